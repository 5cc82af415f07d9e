//! One TLS connection, which ends when its caller's certificate does, or when that may be believed no more.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{Believed, Caller, Peer};

/// How long a caller without a certificate may stay: enough to attest, too short to hoard connections.
const ANONYMOUS_LIFE: Duration = Duration::from_secs(60);

/// Waits for the end of a connection; gives the reason.
struct End(Pin<Box<dyn Future<Output = &'static str> + Send>>);

/// A TLS connection and who is at its other end.
#[derive(Debug)]
pub(crate) struct Connection<S = TlsStream<TcpStream>> {
    stream: S,
    caller: Caller,
    end: End,
    _slots: Vec<OwnedSemaphorePermit>,
}

impl<S> Connection<S> {
    /// `now` is in seconds since the Unix epoch; `believed` ends it early when the authority that vouched for the caller is in it no
    /// more; `slots` are given back when it ends.
    pub(crate) fn new(
        stream: S,
        caller: Caller,
        now: i64,
        believed: watch::Receiver<Believed>,
        slots: Vec<OwnedSemaphorePermit>,
    ) -> Self {
        let (life, issuer) = match &caller.peer {
            Peer::Agent {
                not_after, issuer, ..
            }
            | Peer::Operator {
                not_after, issuer, ..
            } => {
                let secs = u64::try_from(not_after.saturating_sub(now)).unwrap_or(0);
                (Duration::from_secs(secs), Some(issuer.clone()))
            }
            Peer::Anonymous | Peer::Stranger { .. } => (ANONYMOUS_LIFE, None),
        };
        Self {
            stream,
            caller,
            end: End(Box::pin(end(life, issuer, believed))),
            _slots: slots,
        }
    }

    fn over(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.0.as_mut().poll(context) {
            Poll::Ready(why) => {
                // It may be asked again before it is dropped.
                self.end = End(Box::pin(std::future::ready(why)));
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            }
            Poll::Pending => Ok(()),
        }
    }
}

async fn end(
    life: Duration,
    issuer: Option<Vec<u8>>,
    mut believed: watch::Receiver<Believed>,
) -> &'static str {
    let cut = async {
        let is_not_believed = |believed: &Believed| {
            issuer
                .as_ref()
                .is_some_and(|issuer| !believed.contains(issuer))
        };
        if believed.wait_for(is_not_believed).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = tokio::time::sleep(life) => "the caller's certificate has expired",
        () = cut => "the authority was revoked that signed the caller's certificate",
    }
}

impl std::fmt::Debug for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("End(..)")
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
        self.over(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.over(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.over(context)?;
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

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::name::Name;

    const OLD: &[u8] = b"old";
    const NEW: &[u8] = b"new";

    fn believed(names: &[&[u8]]) -> Believed {
        names.iter().map(|name| name.to_vec()).collect()
    }

    fn caller(not_after: i64) -> Caller {
        let peer = Peer::Agent {
            node: Name::parse("n").expect("name"),
            serial: vec![1],
            not_after,
            issuer: OLD.to_vec(),
        };
        Caller {
            remote: SocketAddr::from(([127, 0, 0, 1], 1)),
            peer,
        }
    }

    #[tokio::test]
    async fn a_connection_ends_with_the_callers_certificate() {
        let slots = Arc::new(Semaphore::new(1));
        let slot = Arc::clone(&slots).try_acquire_owned().expect("a slot");
        let (_other, stream) = tokio::io::duplex(1);
        let cut = watch::channel(believed(&[OLD])).1;
        let mut connection = Connection::new(stream, caller(101), 100, cut, vec![slot]);
        let begun = std::time::Instant::now();
        let error = connection.read_u8().await.expect_err("over");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= Duration::from_millis(990));
        assert_eq!(slots.available_permits(), 0);
        drop(connection);
        assert_eq!(slots.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_connection_ends_with_the_authority_that_vouched_for_the_caller_and_with_no_other() {
        let (authorities, receiver) = watch::channel(believed(&[b"oldest", OLD]));
        let (mut other, stream) = tokio::io::duplex(1);
        let mut connection = Connection::new(stream, caller(1_000), 100, receiver, vec![]);
        let read = tokio::spawn(async move {
            let read = connection.read_u8().await;
            (read, connection.read_u8().await)
        });
        tokio::task::yield_now().await;
        authorities.send_replace(believed(&[OLD, NEW]));
        tokio::task::yield_now().await;
        other.write_u8(7).await.expect("it lives");
        tokio::task::yield_now().await;
        authorities.send_replace(believed(&[NEW]));
        let (lives, ended) = read.await.expect("no panic");
        assert_eq!(lives.expect("it lives"), 7);
        let why = ended.expect_err("over").to_string();
        assert!(why.starts_with("the authority was revoked"), "{why}");
    }

    #[tokio::test]
    async fn a_connection_of_whom_no_authority_is_believed_any_more_never_begins() {
        let (_authorities, receiver) = watch::channel(believed(&[NEW]));
        let (_other, stream) = tokio::io::duplex(1);
        let mut connection = Connection::new(stream, caller(1_000), 100, receiver, vec![]);
        connection.read_u8().await.expect_err("over");
    }

    #[tokio::test]
    async fn a_connection_that_is_over_sends_nothing_more() {
        let (authorities, receiver) = watch::channel(believed(&[OLD]));
        let (_other, stream) = tokio::io::duplex(64);
        let mut connection = Connection::new(stream, caller(1_000), 100, receiver, vec![]);
        connection.write_u8(1).await.expect("it lives");
        authorities.send_replace(believed(&[NEW]));
        let error = connection.write_u8(2).await.expect_err("over");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
