//! The other ends of the guest's flows: TLS servers on this machine, with SVIDs that nodes of this fleet were given.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::KeyPair;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tidelock_proto::v1;
use tidelock_proto::v1::node_client::NodeClient;
use tidelock_spiffe_core::pem;
use tidelock_spiffe_core::x509::Leaf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::Failure;
use crate::fleet::{admin, connect, join};
use crate::plane::{Place, TRUST_DOMAIN};

/// What moves bytes does so in writes of this many.
const BLOCK_BYTES: usize = 16 * 1024;

/// An SVID of a workload, and the node that it was given to.
pub(super) struct Svid {
    pub(super) serial: Vec<u8>,
    pub(super) node: String,
    acceptor: TlsAcceptor,
}

impl Svid {
    /// Has a node join by this name, and be given an SVID of this identity, which is named as its document is.
    pub(super) async fn issue(
        place: &Place,
        node: String,
        identity: &str,
    ) -> Result<Self, Failure> {
        let keys = join(admin(place).await?, place.clone(), node.clone()).await?;
        let mut client = NodeClient::new(connect(place, Some(&keys)).await?);
        let key = KeyPair::generate()?;
        let request = v1::SignRequest {
            entry_id: identity.into(),
            spiffe_id: spiffe_id(identity),
            csr: tidelock_ca::request(&key)?,
        };
        let chain = client.sign(request).await?.into_inner().chain;
        let leaf = chain.first().ok_or("the chain is empty")?;
        let leaf = Leaf::parse(leaf).map_err(|error| error.to_string())?;
        Ok(Self {
            serial: leaf.serial.to_vec(),
            node,
            acceptor: acceptor(place, chain.clone(), &key)?,
        })
    }
}

/// The SPIFFE ID of an identity whose document has this name.
pub(super) fn spiffe_id(identity: &str) -> String {
    format!("spiffe://{TRUST_DOMAIN}/{identity}")
}

/// Takes clients with SVIDs of the trust domain, as a server does that knows nothing of Tidelock.
fn acceptor(place: &Place, chain: Vec<Vec<u8>>, key: &KeyPair) -> Result<TlsAcceptor, Failure> {
    let mut roots = RootCertStore::empty();
    let authorities = pem::decode("CERTIFICATE", &place.bundle_pem).map_err(|e| e.to_string())?;
    for authority in authorities {
        roots.add(CertificateDer::from(authority))?;
    }
    let provider = Arc::new(ring::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build()?;
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A server. Dropped, it ends with its connections.
pub(super) struct Peer {
    pub(super) port: u16,
    acceptor: Arc<Mutex<Option<TlsAcceptor>>>,
    _task: JoinSet<()>,
}

impl Peer {
    /// Listens. With `busy` it sends bytes over what is connected as fast as they are taken.
    pub(super) async fn start(busy: bool) -> Result<Self, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(address).await?;
        let acceptor = Arc::new(Mutex::new(None));
        let port = listener.local_addr()?.port();
        let mut task = JoinSet::new();
        task.spawn(serve(listener, Arc::clone(&acceptor), busy));
        Ok(Self {
            port,
            acceptor,
            _task: task,
        })
    }

    /// Shows this SVID from the next connection on.
    pub(super) fn show(&self, svid: &Svid) {
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        *acceptor = Some(svid.acceptor.clone());
    }
}

async fn serve(listener: TcpListener, acceptor: Arc<Mutex<Option<TlsAcceptor>>>, busy: bool) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(acceptor) = acceptor {
            connections.spawn(hold(acceptor, stream, busy));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Says one byte, and holds the connection until it ends. What is wrong with it the guest tells.
async fn hold(acceptor: TlsAcceptor, stream: TcpStream, busy: bool) {
    let held = async {
        let mut stream = acceptor.accept(stream).await?;
        stream.write_all(b"x").await?;
        stream.flush().await?;
        let block = [0; BLOCK_BYTES];
        if busy {
            loop {
                stream.write_all(&block).await?;
            }
        }
        stream.read_u8().await
    };
    let _: std::io::Result<u8> = held.await;
}
