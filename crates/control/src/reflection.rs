//! Server reflection: what a generic client asks for the protobuf files. It is for whoever may make a call of operators, and for
//! nobody else, on the same connections.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::Frame;
use prost::bytes::Bytes;
use tidelock_proto::FILE_DESCRIPTOR_SET;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tonic::transport::server::Router;
use tonic_reflection::pb;
use tonic_reflection::server::v1::ServerReflectionServer as V1;
use tonic_reflection::server::v1alpha::ServerReflectionServer as V1Alpha;
use tonic_reflection::server::{Builder, Error};

use crate::core::Core;
use crate::server::guarded;

/// Longest question, in bytes: the name of a file or symbol, with room to spare.
const MAX_QUESTION_BYTES: usize = 4_096;

/// The service in both versions: clients that know the newer one ask for it first.
const OURS: [&str; 2] = [
    pb::v1::server_reflection_server::SERVICE_NAME,
    pb::v1alpha::server_reflection_server::SERVICE_NAME,
];

/// Adds server reflection to a listener on which these services are.
pub(crate) fn add(router: Router, core: &Arc<Core>, services: &[&str]) -> Result<Router, Error> {
    let v1: V1<_> = builder(services).build_v1()?;
    let v1 = v1.max_decoding_message_size(MAX_QUESTION_BYTES);
    let v1alpha: V1Alpha<_> = builder(services).build_v1alpha()?;
    let v1alpha = v1alpha.max_decoding_message_size(MAX_QUESTION_BYTES);
    Ok(router
        .add_service(guarded(core, Stopped::new(core, v1)))
        .add_service(guarded(core, Stopped::new(core, v1alpha))))
}

fn builder(services: &[&str]) -> Builder<'static> {
    let builder = Builder::configure()
        // Both of them, in the place of the one that is asked.
        .include_reflection_service(false)
        .register_encoded_file_descriptor_set(pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(pb::v1alpha::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET);
    let names = services.iter().chain(&OURS).copied();
    names.fold(builder, Builder::with_service_name)
}

/// A service whose callers have asked everything when the control plane stops, so that it need not wait for who holds a stream open.
#[derive(Clone, Debug)]
struct Stopped<S> {
    core: Arc<Core>,
    inner: S,
}

impl<S> Stopped<S> {
    fn new(core: &Arc<Core>, inner: S) -> Self {
        let core = Arc::clone(core);
        Self { core, inner }
    }
}

impl<S: NamedService> NamedService for Stopped<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Stopped<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let core = Arc::clone(&self.core);
        self.inner.call(request.map(|body| {
            Body::new(UntilStop {
                stop: Box::pin(async move { core.stopping().await }),
                body: Some(body),
            })
        }))
    }
}

/// A request's body, which ends when the control plane stops.
struct UntilStop {
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// `None` when it has ended.
    body: Option<Body>,
}

impl http_body::Body for UntilStop {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { stop, body } = &mut *self;
        let Some(open) = body else {
            return Poll::Ready(None);
        };
        if stop.as_mut().poll(context).is_ready() {
            *body = None;
            return Poll::Ready(None);
        }
        http_body::Body::poll_frame(Pin::new(open), context)
    }
}
