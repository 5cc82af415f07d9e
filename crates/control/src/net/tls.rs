//! The server's side of TLS: 1.3 only, client certificates checked against our own authority alone, no resumption.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tidelock_spiffe_core::x509::SigningCert;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// Why TLS cannot be set up with what the authority made. A fault of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// `rustls` refused it.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// `rustls` refused the authority.
    #[error(transparent)]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// What the server shows and whom it believes, both of which change while it runs.
pub(crate) struct Tls {
    certificate: Arc<ServerCertificate>,
    /// Changes together with what follows: who holds the lock sees both as they were, or both as they are.
    acceptor: RwLock<TlsAcceptor>,
    believed: watch::Sender<Believed>,
}

/// The Names, in DER, of the authorities that are believed.
pub(crate) type Believed = Arc<[Vec<u8>]>;

impl Tls {
    pub(crate) fn new(
        authorities: &[Vec<u8>],
        certificate: Arc<ServerCertificate>,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            acceptor: RwLock::new(acceptor(authorities, Arc::clone(&certificate))?),
            certificate,
            believed: watch::Sender::new(names(authorities)),
        })
    }

    /// The certificate that it shows.
    pub(crate) fn certificate(&self) -> &ServerCertificate {
        &self.certificate
    }

    /// Believes these authorities from the next handshake on, and ends the connections of callers that another one vouched for.
    pub(crate) fn trust(&self, authorities: &[Vec<u8>]) -> Result<(), TlsError> {
        let new = acceptor(authorities, Arc::clone(&self.certificate))?;
        let mut acceptor = self
            .acceptor
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *acceptor = new;
        self.believed.send_replace(names(authorities));
        Ok(())
    }

    /// What a handshake needs that begins now, and what tells when its connection is to end.
    pub(crate) fn current(&self) -> (TlsAcceptor, watch::Receiver<Believed>) {
        let acceptor = self.acceptor.read().unwrap_or_else(PoisonError::into_inner);
        (acceptor.clone(), self.believed.subscribe())
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn names(authorities: &[Vec<u8>]) -> Believed {
    let name = |der: &Vec<u8>| Some(SigningCert::parse(der).ok()?.subject.to_vec());
    authorities.iter().filter_map(name).collect()
}

/// The certificate that the server shows now. It is replaced before it expires.
#[derive(Debug)]
pub(crate) struct ServerCertificate(RwLock<Arc<CertifiedKey>>);

impl ServerCertificate {
    pub(crate) fn new(chain: Vec<Vec<u8>>, key_pkcs8: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(RwLock::new(certified(chain, key_pkcs8)?)))
    }

    /// Shows another from the next handshake on.
    pub(crate) fn replace(&self, chain: Vec<Vec<u8>>, key_pkcs8: &[u8]) -> Result<(), TlsError> {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified(chain, key_pkcs8)?;
        Ok(())
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.0.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

fn certified(chain: Vec<Vec<u8>>, key_pkcs8: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key_pkcs8.to_vec()));
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// Makes the acceptor. A caller may come without certificate, but not with one that does not lead to an authority of ours.
fn acceptor(
    authorities: &[Vec<u8>],
    certificate: Arc<ServerCertificate>,
) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(provider());
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(CertificateDer::from(authority.as_slice()))?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would outlive the certificate that it was opened with.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
