//! Reaching the control plane: TLS pinned to the bundle file, and the node's SVID as our side of it.

use std::error::Error as _;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tidelock_proto::trace::Traced;
use tidelock_proto::{CONTROL_DNS_NAME, MAX_MESSAGE_BYTES};
use tidelock_spiffe_core::pem;
use tidelock_spiffe_core::x509::SigningCert;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::Client;
use crate::node::{BundleDigest, NodeSvid, Store, StoreError, digest};

/// How long reaching the server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that does not answer a ping for this long is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Where the control plane is, and how it is recognised.
#[derive(Clone, Debug)]
pub struct Server {
    /// Host name or address, and port: `127.0.0.1:8443`.
    pub address: String,
    /// The trust domain's authorities, PEM. Read anew for every connection, so that it can be replaced. While it stays as it
    /// is, those count that the control plane told of since, so that they can change without it.
    pub bundle: PathBuf,
}

/// Why the control plane was not reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The bundle cannot be read.
    #[error("cannot read the server bundle {}: {source}", path.display())]
    Bundle {
        /// Where it should be.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// What the control plane told of its authorities cannot be read.
    #[error(transparent)]
    Kept(StoreError),
    /// No authority in the bundle says of which trust domain it is.
    #[error(
        "no certificate in the server bundle {} names a trust domain: take the control plane's `bundle.pem`",
        path.display()
    )]
    NoTrustDomain {
        /// Where the bundle is.
        path: PathBuf,
    },
    /// The address is none.
    #[error("`{address}` is not an address: write HOST:PORT")]
    Address {
        /// The text given.
        address: String,
    },
    /// No connection, or not to the one that the bundle vouches for.
    #[error("cannot reach the control plane at {address}: {why}")]
    Transport {
        /// Where it should be.
        address: String,
        /// Every cause, outermost first.
        why: String,
    },
}

impl Server {
    /// Connects. Whoever answers has to prove, by the bundle, that it is the control plane of the trust
    /// domain, whatever its address. Without `svid` all that can be done is to join. Gives the digest of the bundle's file
    /// too: what the control plane tells of its authorities counts for as long as the file is the same.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn connect(
        &self,
        store: &Store,
        svid: Option<&NodeSvid>,
    ) -> Result<(Client, BundleDigest), ConnectError> {
        let (given, bundle) = self.bundle(store)?;
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(bundle))
            .domain_name(CONTROL_DNS_NAME);
        if let Some(svid) = svid {
            tls = tls.identity(Identity::from_pem(
                svid.chain_pem(),
                svid.key().to_pem().as_bytes(),
            ));
        }
        let address = || self.address.clone();
        let channel = Endpoint::from_shared(format!("https://{}", self.address))
            .map_err(|_| ConnectError::Address { address: address() })?
            .tls_config(tls)
            .map_err(|error| self.transport(&error))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .connect()
            .await
            .map_err(|error| self.transport(&error))?;
        let client = Client::new(Traced(channel))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok((client, digest(&given)))
    }

    /// The bundle's file, and the authorities to recognise the control plane by.
    fn bundle(&self, store: &Store) -> Result<(String, String), ConnectError> {
        let given = fs::read_to_string(&self.bundle).map_err(|source| ConnectError::Bundle {
            path: self.bundle.clone(),
            source,
        })?;
        let bundle = store.server_bundle(&given).map_err(ConnectError::Kept)?;
        Ok((given, bundle))
    }

    /// The trust domain of the authorities that the control plane is recognised by, as they say it.
    ///
    /// # Errors
    /// They cannot be read, or none says.
    pub(crate) fn trust_domain(&self, store: &Store) -> Result<String, ConnectError> {
        let (_, bundle) = self.bundle(store)?;
        let authorities = pem::decode("CERTIFICATE", &bundle).unwrap_or_default();
        let said = authorities.iter().find_map(|der| {
            let id = SigningCert::parse(der).ok()?.id?;
            Some(id.trust_domain().as_str().to_owned())
        });
        said.ok_or_else(|| ConnectError::NoTrustDomain {
            path: self.bundle.clone(),
        })
    }

    fn transport(&self, error: &tonic::transport::Error) -> ConnectError {
        let mut why = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            why = format!("{why}: {cause}");
            source = cause.source();
        }
        ConnectError::Transport {
            address: self.address.clone(),
            why,
        }
    }
}
