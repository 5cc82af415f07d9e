//! One trace over both ends of a call: a span at each, and the W3C trace context that goes along in the call's metadata.
//!
//! The spans are `tracing`'s, below the target [`TARGET`]. They are in nobody's way where a program does not export them: without
//! a [`TraceContext`] nothing is sent, and clients make no spans.
//!
//! ```
//! use tidelock_proto::trace::Traced;
//! use tidelock_proto::v1::GetStatusRequest;
//! use tidelock_proto::v1::admin_client::AdminClient;
//! use tonic::transport::{Channel, Endpoint};
//!
//! // A client whose calls are spans, and whose spans the control plane goes on with.
//! async fn connect() -> Result<AdminClient<Traced<Channel>>, tonic::transport::Error> {
//!     let channel = Endpoint::from_static("unix:///run/tidelock/ca.sock").connect().await?;
//!     Ok(AdminClient::new(Traced(channel)))
//! }
//! ```

use std::sync::OnceLock;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::{Code, Status};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::{ADMIN_CALLS, NODE_CALLS};

/// The target of every span that is to be exported. Whoever writes logs can leave it out by this name.
pub const TARGET: &str = "tidelock::trace";

/// The metadata by which a call says which span it is made in (W3C Trace Context, §3.2).
pub const TRACEPARENT: &str = "traceparent";

/// How long one is (W3C Trace Context, §3.2.2, version 00).
const TRACEPARENT_BYTES: usize = 55;

/// What is said of a call that the contracts do not have.
const OTHER: (&str, &str) = ("_OTHER", "_OTHER");

/// What makes traces of spans. A program that exports them says so once, by [`set_trace_context`].
pub trait TraceContext: Send + Sync {
    /// What a call within this span says of it; `None`: it is in no trace.
    fn outgoing(&self, span: &Span) -> Option<String>;

    /// Makes a span that was not entered yet a child of the one that this `traceparent` names.
    fn incoming(&self, span: &Span, traceparent: &str);
}

static CONTEXT: OnceLock<Box<dyn TraceContext>> = OnceLock::new();

/// Has this process' calls traced from now on. `false`: they are already, by another.
pub fn set_trace_context(context: Box<dyn TraceContext>) -> bool {
    CONTEXT.set(context).is_ok()
}

/// Whether calls are traced in this process.
#[must_use]
pub fn is_traced() -> bool {
    CONTEXT.get().is_some()
}

/// Which end of a call a span is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// Who asks.
    Client,
    /// Who answers.
    Server,
}

/// A span for a call by its HTTP path: its service and method, if the contracts have them, and room for what comes of it.
#[must_use]
pub fn call(end: End, path: &str) -> Span {
    let (service, method) = named(path);
    tracing::info_span!(
        target: TARGET,
        "call",
        otel.name = format_args!("{service}/{method}"),
        otel.kind = match end {
            End::Client => "client",
            End::Server => "server",
        },
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
        otel.status_code = Empty,
        tidelock.caller = Empty,
    )
}

/// What a stranger asks for goes into no trace.
fn named(path: &str) -> (&'static str, &'static str) {
    let services = [
        ("tidelock.v1.Node", NODE_CALLS),
        ("tidelock.v1.Admin", ADMIN_CALLS),
    ];
    let asked = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let Some((service, method)) = asked else {
        return OTHER;
    };
    let service = services.into_iter().find(|(name, _)| *name == service);
    let found = service.and_then(|(name, calls)| {
        let method = calls.iter().find(|call| **call == method)?;
        Some((name, *method))
    });
    found.unwrap_or(OTHER)
}

/// Makes the span of a call one of the trace that its caller is in.
pub fn follow(span: &Span, headers: &HeaderMap) {
    let said = headers
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok());
    let said = said.filter(|said| said.len() == TRACEPARENT_BYTES);
    if let (Some(context), Some(said)) = (CONTEXT.get(), said) {
        context.incoming(span, said);
    }
}

/// Puts down how a call was answered. An answer that is a stream was opened; how it ends is not in its headers.
pub fn answered(span: &Span, end: End, headers: &HeaderMap) {
    let code = Status::from_header_map(headers).map_or(Code::Ok, |status| status.code());
    span.record("rpc.grpc.status_code", i64::from(i32::from(code)));
    if is_failure(end, code) {
        span.record("otel.status_code", "ERROR");
    }
}

/// What is the caller's fault is no failure of who answers (OpenTelemetry's conventions for gRPC).
fn is_failure(end: End, code: Code) -> bool {
    match end {
        End::Client => code != Code::Ok,
        End::Server => matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ),
    }
}

/// A channel whose calls are spans, and which tells who answers of them.
#[derive(Clone, Debug)]
pub struct Traced<S>(pub S);

impl<S, B> Service<Request<Body>> for Traced<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Some(context) = CONTEXT.get() else {
            return Box::pin(self.0.call(request));
        };
        let span = call(End::Client, request.uri().path());
        let said = context.outgoing(&span);
        if let Some(Ok(said)) = said.map(|said| HeaderValue::from_str(&said)) {
            request.headers_mut().insert(TRACEPARENT, said);
        }
        let answer = self.0.call(request).instrument(span.clone());
        Box::pin(async move {
            let answer = answer.await;
            match &answer {
                Ok(answer) => answered(&span, End::Client, answer.headers()),
                Err(_) => {
                    span.record("otel.status_code", "ERROR");
                }
            }
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_contracts_have_is_named() {
        assert_eq!(
            named("/tidelock.v1.Node/Sign"),
            ("tidelock.v1.Node", "Sign")
        );
        assert_eq!(
            named("/tidelock.v1.Admin/Apply"),
            ("tidelock.v1.Admin", "Apply")
        );
        for path in [
            "/tidelock.v1.Node/Apply",
            "/tidelock.v1.Node/",
            "/tidelock.v1.Node/Sign/",
            "/Node/Sign",
            "Sign",
            "",
        ] {
            assert_eq!(named(path), OTHER, "{path}");
        }
    }

    #[test]
    fn what_a_caller_did_wrong_is_no_failure_of_who_answers() {
        for (code, server) in [
            (Code::Ok, false),
            (Code::PermissionDenied, false),
            (Code::Internal, true),
        ] {
            assert_eq!(is_failure(End::Server, code), server);
            assert_eq!(is_failure(End::Client, code), code != Code::Ok);
        }
    }
}
