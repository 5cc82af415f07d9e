//! The service that agents call.

mod attest;
mod report;
mod sign;
mod sign_jwt;
mod sync;
mod x509pop;

use std::sync::Arc;

use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::v1::node_server::Node;
use tokio_stream::Empty;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::clock;
use crate::core::Core;
use crate::name::Name;
use crate::net::{Caller, Peer};
use crate::unbuffered::streamed;

pub(crate) use x509pop::Challenges;
pub use x509pop::X509Pop;

/// The service over the control plane's state.
#[derive(Clone, Debug)]
pub(crate) struct NodeService(pub(crate) Arc<Core>);

/// An agent that has proved to be its node.
#[derive(Clone, Debug)]
struct Agent {
    node: Name,
    /// Serial number of the SVID that it showed.
    serial: Vec<u8>,
    caller: Caller,
}

#[tonic::async_trait]
impl Node for NodeService {
    type SyncStream = Empty<Result<v1::SyncResponse, Status>>;

    async fn attest(
        &self,
        request: Request<v1::AttestRequest>,
    ) -> Result<Response<v1::AttestResponse>, Status> {
        let caller = caller(&request)?;
        attest::attest(&self.0, &caller, request.into_inner())
            .await
            .map(Response::new)
    }

    type AttestX509PopStream = ReceiverStream<Result<v1::AttestX509PopResponse, Status>>;

    async fn attest_x509_pop(
        &self,
        request: Request<Streaming<v1::AttestX509PopRequest>>,
    ) -> Result<Response<Self::AttestX509PopStream>, Status> {
        let caller = caller(&request)?;
        let answers = x509pop::attest(&self.0, caller, request.into_inner());
        Ok(Response::new(answers))
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewResponse>, Status> {
        let agent = self.agent(&request, "Renew")?;
        sign::renew(&self.0, &agent, &request.into_inner().csr)
            .await
            .map(Response::new)
    }

    async fn sync(
        &self,
        request: Request<v1::SyncRequest>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let agent = self.agent(&request, "Sync")?;
        sync::sync(&self.0, &agent, &request.into_inner()).map(streamed)
    }

    async fn sign(
        &self,
        request: Request<v1::SignRequest>,
    ) -> Result<Response<v1::SignResponse>, Status> {
        let agent = self.agent(&request, "Sign")?;
        sign::sign(&self.0, &agent, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn sign_jwt(
        &self,
        request: Request<v1::SignJwtRequest>,
    ) -> Result<Response<v1::SignJwtResponse>, Status> {
        let agent = self.agent(&request, "SignJwt")?;
        sign_jwt::sign_jwt(&self.0, &agent, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn report(
        &self,
        request: Request<Streaming<v1::ReportRequest>>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let agent = self.agent(&request, "Report")?;
        report::report(&self.0, &agent, request.into_inner())
            .await
            .map(Response::new)
    }
}

impl NodeService {
    /// The agent that calls, if it is one and its node still stands by the SVID that it showed.
    fn agent<T>(&self, request: &Request<T>, call: &str) -> Result<Agent, Status> {
        let caller = caller(request)?;
        authenticate(&self.0, &caller).inspect_err(|status| {
            tracing::warn!(remote = %caller.remote, call, why = status.message(), "call refused");
            if caller.peer != Peer::Anonymous {
                refused(&self.0, &caller, "", call, status.message());
            }
        })
    }
}

fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(|| Status::internal("the connection does not tell who calls"))
}

fn authenticate(core: &Core, caller: &Caller) -> Result<Agent, Status> {
    let (node, serial, not_after) = match &caller.peer {
        Peer::Anonymous => {
            return Err(Status::unauthenticated(
                "a client certificate is needed; attest first",
            ));
        }
        Peer::Operator { name, .. } => {
            return Err(Status::permission_denied(format!(
                "operator `{name}` is no agent"
            )));
        }
        Peer::Stranger { why } => return Err(Status::permission_denied(why.clone())),
        Peer::Agent {
            node,
            serial,
            not_after,
            ..
        } => (node, serial, not_after),
    };
    if *not_after <= clock::unix_secs() {
        return Err(Status::unauthenticated(
            "the node's SVID has expired; attest again",
        ));
    }
    let Some(record) = core.nodes.record(node) else {
        return Err(Status::unauthenticated(format!(
            "node `{node}` has not attested here"
        )));
    };
    if record.is_barred() {
        return Err(Status::unauthenticated(sync::REVOKED));
    }
    if !record.stands_by(serial) {
        return Err(Status::unauthenticated(format!(
            "a newer SVID was issued to node `{node}`; this one no longer counts"
        )));
    }
    believed(core, serial)?;
    Ok(Agent {
        node: node.clone(),
        serial: serial.clone(),
        caller: caller.clone(),
    })
}

/// Refuses whoever shows an SVID that is revoked.
fn believed(core: &Core, serial: &[u8]) -> Result<(), Status> {
    match core.world().revoked.find(serial) {
        None => Ok(()),
        Some(_) => Err(Status::unauthenticated(sync::REVOKED)),
    }
}

/// Records that a node, or whoever shows a certificate of ours, asked for what it may not have. `node` is empty unless proven.
fn refused(core: &Core, caller: &Caller, node: &str, call: &str, detail: &str) {
    let refused = v1::CallRefused {
        call: call.to_owned(),
        remote: caller.remote.to_string(),
        detail: detail.to_owned(),
    };
    core.metrics.calls_refused.count();
    core.events.record(node, EventKind::CallRefused(refused));
}
