//! Listening for agents.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidelock_spiffe_core::TrustDomainBuf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::{ACCEPT_PAUSE, Caller, Connection, Peer, Tls};
use crate::clock;
use crate::start_error::StartError;

/// Most connections at once, over all listeners.
const MAX_CONNECTIONS: usize = 16_384;

/// Most connections at once of callers that are neither agents (yet) nor operators.
const MAX_ANONYMOUS_CONNECTIONS: usize = 256;

/// How long a TLS handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// Listens at every address; gives the addresses too, ports filled in.
pub(crate) async fn bind(
    addresses: &[SocketAddr],
) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), StartError> {
    let (mut listeners, mut bound) = (Vec::new(), Vec::new());
    for &address in addresses {
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        bound.push(listener.local_addr().map_err(failed)?);
        listeners.push(listener);
    }
    Ok((listeners, bound))
}

/// What every handshake needs.
#[derive(Clone)]
struct Acceptor {
    tls: Arc<Tls>,
    ours: Arc<TrustDomainBuf>,
    slots: Arc<Semaphore>,
    anonymous_slots: Arc<Semaphore>,
    sender: mpsc::Sender<io::Result<Connection>>,
}

/// Accepts on all listeners until the receiver is dropped; what comes out has finished its TLS handshake.
pub(crate) fn accept(
    listeners: Vec<TcpListener>,
    tls: Arc<Tls>,
    ours: TrustDomainBuf,
) -> mpsc::Receiver<io::Result<Connection>> {
    let (sender, connections) = mpsc::channel(1);
    let acceptor = Acceptor {
        tls,
        ours: Arc::new(ours),
        slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        anonymous_slots: Arc::new(Semaphore::new(MAX_ANONYMOUS_CONNECTIONS)),
        sender,
    };
    for listener in listeners {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = acceptor.listen(&listener) => {}
                () = acceptor.sender.closed() => {}
            }
        });
    }
    connections
}

impl Acceptor {
    async fn listen(&self, listener: &TcpListener) {
        // The semaphore is never closed; were it, this would stop accepting.
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, remote)) => {
                    let acceptor = self.clone();
                    tokio::spawn(async move { acceptor.take(stream, remote, slot).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn take(&self, stream: TcpStream, remote: SocketAddr, slot: OwnedSemaphorePermit) {
        match timeout(HANDSHAKE_DEADLINE, self.handshake(stream, remote, slot)).await {
            Ok(Ok(connection)) => drop(self.sender.send(Ok(connection)).await),
            Ok(Err(error)) => tracing::debug!(%remote, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%remote, "TLS handshake took too long"),
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        slot: OwnedSemaphorePermit,
    ) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let (tls, believed) = self.tls.current();
        let stream = tls.accept(stream).await?;
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first());
        let peer =
            Peer::from_certificate(certificate.map(AsRef::as_ref), self.ours.as_trust_domain());
        let mut slots = vec![slot];
        if !matches!(peer, Peer::Agent { .. } | Peer::Operator { .. }) {
            let slot = Arc::clone(&self.anonymous_slots).try_acquire_owned();
            slots.push(slot.map_err(|_| {
                io::Error::other("too many callers that are neither agents nor operators")
            })?);
        }
        Ok(Connection::new(
            stream,
            Caller { remote, peer },
            clock::unix_secs(),
            believed,
            slots,
        ))
    }
}
