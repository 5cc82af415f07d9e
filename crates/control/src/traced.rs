//! A span for each call that is answered, in the trace of who called where that is somebody who proved a name.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use tidelock_ca::Entry;
use tidelock_proto::trace::TARGET;
use tidelock_proto::trace::{self, End};
use tidelock_proto::{AGENT_PATH_PREFIX, OPERATOR_PATH_PREFIX};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::http::{Extensions, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::transport::server::UdsConnectInfo;
use tracing::{Instrument as _, Span};

use crate::core::Core;
use crate::net::{Caller, Peer};
use crate::rotation::Step;

/// A service whose answers are spans.
#[derive(Clone, Debug)]
pub(crate) struct Traced<S> {
    core: Arc<Core>,
    inner: S,
}

impl<S> Traced<S> {
    pub(crate) fn new(core: &Arc<Core>, inner: S) -> Self {
        let core = Arc::clone(core);
        Self { core, inner }
    }
}

impl<S: NamedService> NamedService for Traced<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Traced<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !trace::is_traced() {
            return Box::pin(self.inner.call(request));
        }
        let span = span(&self.core, &request);
        let answer = span.in_scope(|| self.inner.call(request));
        let answer = answer.instrument(span.clone());
        Box::pin(async move {
            let answer = answer.await?;
            trace::answered(&span, End::Server, answer.headers());
            Ok(answer)
        })
    }
}

/// A caller without a name does not get to say in which trace it is, and so not what is traced either.
fn span(core: &Core, request: &Request<Body>) -> Span {
    let span = trace::call(End::Server, request.uri().path());
    if let Some(caller) = named(core, request.extensions()) {
        span.record("tidelock.caller", caller);
        trace::follow(&span, request.headers());
    }
    span
}

/// The SPIFFE ID that the caller proved, or its user at the administrators' socket.
fn named(core: &Core, extensions: &Extensions) -> Option<String> {
    if let Some(local) = extensions.get::<UdsConnectInfo>() {
        let uid = local.peer_cred.map(|user| user.uid())?;
        return Some(format!("uid:{uid}"));
    }
    let (prefix, name) = match &extensions.get::<Caller>()?.peer {
        Peer::Agent { node, .. } => (AGENT_PATH_PREFIX, node),
        Peer::Operator { name, .. } => (OPERATOR_PATH_PREFIX, name),
        Peer::Anonymous | Peer::Stranger { .. } => return None,
    };
    let trust_domain = core.trust_domain.as_str();
    Some(format!("spiffe://{trust_domain}{prefix}{name}"))
}

/// As tokio does, within the span of who asks.
pub(crate) fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    tokio::spawn(task.in_current_span())
}

/// As tokio does, within the span of who asks.
pub(crate) fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

/// The span of an SVID that is signed.
pub(crate) fn issuing(entry: &Entry) -> Span {
    let id = entry.id().as_str();
    within(|| tracing::info_span!(target: TARGET, "issue", tidelock.spiffe_id = id))
}

/// The span of a change that is put on disk.
pub(crate) fn storing() -> Span {
    within(|| tracing::info_span!(target: TARGET, "store commit"))
}

/// The span of a step in the authorities' lives.
pub(crate) fn rotating(step: &Step) -> Span {
    let (step, authority) = match step {
        Step::PassTime => ("pass time", None),
        Step::Prepare(_) => ("prepare", None),
        Step::Activate { id, .. } => ("activate", Some(id)),
        Step::Taint { id } => ("taint", Some(id)),
        Step::Revoke { id } => ("revoke", Some(id)),
    };
    tracing::info_span!(target: TARGET, "rotate", tidelock.step = step, tidelock.authority = authority)
}

/// The span of a new certificate for the server.
pub(crate) fn renewing() -> Span {
    tracing::info_span!(target: TARGET, "renew the server's certificate")
}

/// What is done for nobody's call is part of no trace, or else there would be one for each second of an idle control plane.
fn within(span: impl FnOnce() -> Span) -> Span {
    match Span::current().is_none() {
        true => Span::none(),
        false => span(),
    }
}
