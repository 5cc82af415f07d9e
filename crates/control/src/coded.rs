//! What gives each refusal its code, where whoever refused did not.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tidelock_proto::{ERROR_CODE_METADATA, ErrorCode};
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::{Code, Status};

/// A service whose errors have codes, those of gRPC itself among them.
#[derive(Clone, Debug)]
pub(crate) struct Coded<S>(pub(crate) S);

impl<S: NamedService> NamedService for Coded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Coded<S>
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
            complete(answer.headers_mut());
            Ok(answer)
        })
    }
}

fn complete(headers: &mut HeaderMap) {
    if headers.contains_key(ERROR_CODE_METADATA) {
        return;
    }
    if let Some(status) = Status::from_header_map(headers)
        && status.code() != Code::Ok
    {
        let code = ErrorCode::of_status(status.code()).as_str();
        headers.insert(ERROR_CODE_METADATA, HeaderValue::from_static(code));
    }
}
