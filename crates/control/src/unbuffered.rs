//! Streams of messages that keep no buffer. One of tonic's grows to the largest message that it has sent and stays so until the
//! stream ends, which for an agent's is as long as it lives.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use http_body::Frame;
use prost::Message;
use prost::bytes::{BufMut as _, Bytes};
use tidelock_proto::MAX_MESSAGE_BYTES;
use tokio::sync::mpsc;
use tokio_stream::Empty;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::{Code, Status};

/// Bytes before each message: whether it is compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-Message").
const PREFIX_BYTES: usize = 5;

/// The messages of a stream. What ends it is a status, or that nobody sends any more.
pub(crate) type Messages<T> = mpsc::Receiver<Result<T, Status>>;

/// A service whose [`streamed`] answers keep no buffer. Without it they are empty.
#[derive(Clone, Debug)]
pub(crate) struct Unbuffered<S>(pub(crate) S);

/// The body of an answer on its way past tonic, which would have made another.
#[derive(Clone)]
struct Handed(Arc<Mutex<Option<Body>>>);

/// The answer of a method whose service is [`Unbuffered`].
pub(crate) fn streamed<T: Message + 'static>(
    messages: Messages<T>,
) -> tonic::Response<Empty<Result<T, Status>>> {
    let mut answer = tonic::Response::new(tokio_stream::empty());
    let body = Body::new(MessageBody(Some(messages)));
    let handed = Handed(Arc::new(Mutex::new(Some(body))));
    answer.extensions_mut().insert(handed);
    answer
}

impl<S: NamedService> NamedService for Unbuffered<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Unbuffered<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            if let Some(Handed(body)) = answer.extensions_mut().remove()
                && let Some(body) = body.lock().unwrap_or_else(PoisonError::into_inner).take()
            {
                *answer.body_mut() = body;
            }
            Ok(answer)
        })
    }
}

/// `None` when it has ended.
struct MessageBody<T>(Option<Messages<T>>);

impl<T: Message> http_body::Body for MessageBody<T> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(messages) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let end = match ready!(messages.poll_recv(context)) {
            Some(Ok(message)) => match encoded(&message) {
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(status) => status,
            },
            Some(Err(status)) => status,
            None => Status::new(Code::Ok, ""),
        };
        self.0 = None;
        let mut trailers = HeaderMap::new();
        end.add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// A message as gRPC sends it, in no more memory than it needs.
fn encoded(message: &impl Message) -> Result<Bytes, Status> {
    let len = message.encoded_len();
    let prefix = u32::try_from(len).ok();
    let Some(prefix) = prefix.filter(|_| len <= MAX_MESSAGE_BYTES) else {
        let why = format!("a message has {len} bytes, at most {MAX_MESSAGE_BYTES} are possible");
        return Err(Status::out_of_range(why));
    };
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + len);
    // Not compressed.
    bytes.put_u8(0);
    bytes.put_u32(prefix);
    // A vector grows.
    let _ = message.encode(&mut bytes);
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body::Body as _;
    use tidelock_proto::v1::SignResponse;

    use super::*;

    fn message(len: usize) -> SignResponse {
        let chain = vec![vec![7; len]];
        SignResponse { chain }
    }

    async fn next(body: &mut MessageBody<SignResponse>) -> Option<Frame<Bytes>> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        frame.map(|frame| frame.expect("no failure"))
    }

    /// The status that ends a stream of these, after so many messages.
    async fn end(
        sent: impl IntoIterator<Item = Result<SignResponse, Status>>,
        before: usize,
    ) -> Status {
        let (sender, messages) = mpsc::channel(8);
        for message in sent {
            sender.send(message).await.expect("room");
        }
        drop(sender);
        let mut body = MessageBody(Some(messages));
        for _ in 0..before {
            assert!(next(&mut body).await.expect("a frame").is_data());
        }
        let frame = next(&mut body).await.expect("trailers");
        let trailers = frame.into_trailers().expect("trailers");
        assert!(body.is_end_stream() && next(&mut body).await.is_none());
        Status::from_header_map(&trailers).expect("a status")
    }

    #[tokio::test]
    async fn what_was_sent_is_kept_by_nobody_else() {
        let (sender, messages) = mpsc::channel(1);
        let mut body = MessageBody(Some(messages));
        for len in [100_000, 3] {
            sender.send(Ok(message(len))).await.expect("room");
            let frame = next(&mut body).await.expect("a frame");
            let bytes = frame.into_data().expect("data");
            assert!(bytes.is_unique(), "a buffer stays behind");
            let (prefix, encoded) = bytes.split_at(PREFIX_BYTES);
            assert_eq!(prefix[0], 0);
            assert_eq!(prefix[1..], (encoded.len() as u32).to_be_bytes());
            assert_eq!(SignResponse::decode(encoded), Ok(message(len)));
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_status() {
        let ended = end([Ok(message(1)), Err(Status::aborted("why"))], 1).await;
        assert_eq!((ended.code(), ended.message()), (Code::Aborted, "why"));
        assert_eq!(end([Ok(message(1))], 1).await.code(), Code::Ok);
        assert_eq!(end([], 0).await.code(), Code::Ok);
    }

    #[tokio::test]
    async fn a_message_that_nobody_takes_ends_the_stream() {
        let ended = end([Ok(message(MAX_MESSAGE_BYTES))], 0).await;
        assert_eq!(ended.code(), Code::OutOfRange);
    }
}
