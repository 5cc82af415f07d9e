//! One TLS connection, which ends when its caller's certificate does.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{Caller, Peer};

/// How long a caller without a certificate may stay: enough to attest, too short to hoard connections.
const ANONYMOUS_LIFE: Duration = Duration::from_secs(60);

/// A TLS connection and who is at its other end.
#[derive(Debug)]
pub(crate) struct Connection<S = TlsStream<TcpStream>> {
    stream: S,
    caller: Caller,
    expiry: Pin<Box<Sleep>>,
    _slots: Vec<OwnedSemaphorePermit>,
}

impl<S> Connection<S> {
    /// `now` is in seconds since the Unix epoch; `slots` are given back when the connection ends.
    pub(crate) fn new(
        stream: S,
        caller: Caller,
        now: i64,
        slots: Vec<OwnedSemaphorePermit>,
    ) -> Self {
        let life = match &caller.peer {
            Peer::Agent { not_after, .. } => {
                Duration::from_secs(u64::try_from(not_after.saturating_sub(now)).unwrap_or(0))
            }
            Peer::Anonymous | Peer::Stranger { .. } => ANONYMOUS_LIFE,
        };
        Self {
            stream,
            caller,
            expiry: Box::pin(tokio::time::sleep(life)),
            _slots: slots,
        }
    }

    fn expired(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.expiry.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the caller's certificate has expired",
            )),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S> Connected for Connection<S> {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.expired(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use tokio::io::AsyncReadExt as _;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::name::Name;

    #[tokio::test]
    async fn a_connection_ends_with_the_callers_certificate() {
        let slots = Arc::new(Semaphore::new(1));
        let slot = Arc::clone(&slots).try_acquire_owned().expect("a slot");
        let node = Name::parse("n").expect("name");
        let peer = Peer::Agent {
            node,
            serial: vec![1],
            not_after: 101,
        };
        let caller = Caller {
            remote: SocketAddr::from(([127, 0, 0, 1], 1)),
            peer,
        };
        let (_other, stream) = tokio::io::duplex(1);
        let mut connection = Connection::new(stream, caller, 100, vec![slot]);
        let begun = std::time::Instant::now();
        let error = connection.read_u8().await.expect_err("over");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= Duration::from_millis(990));
        assert_eq!(slots.available_permits(), 0);
        drop(connection);
        assert_eq!(slots.available_permits(), 1);
    }
}
