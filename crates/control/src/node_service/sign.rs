//! SVIDs for workloads, and for the node itself.

use std::sync::Arc;

use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tonic::Status;

use super::{Agent, refused};
use crate::authority::IssueError;
use crate::clock;
use crate::core::Core;

pub(super) fn sign(
    core: &Arc<Core>,
    agent: &Agent,
    request: &v1::SignRequest,
) -> Result<v1::SignResponse, Status> {
    let response = issue(core, agent, request);
    if let Err(status) = &response {
        let detail = format!(
            "entry `{}`: {}",
            crate::report::cleaned(&request.entry_id),
            status.message()
        );
        tracing::warn!(node = %agent.node, detail, "Sign refused");
        refused(core, &agent.caller, agent.node.as_str(), "Sign", &detail);
    }
    response
}

fn issue(
    core: &Core,
    agent: &Agent,
    request: &v1::SignRequest,
) -> Result<v1::SignResponse, Status> {
    let world = core.world();
    let Some(identity) = world.identity(&request.entry_id) else {
        return Err(Status::not_found("there is no such entry"));
    };
    if !identity.is_for(&agent.node) {
        return Err(Status::permission_denied("the entry is not this node's"));
    }
    if identity.spiffe_id.as_str() != request.spiffe_id {
        return Err(Status::failed_precondition(format!(
            "the entry's SPIFFE ID is `{}` by now",
            identity.spiffe_id.as_str()
        )));
    }
    let issued = core
        .authority
        .issue_workload(&request.csr, identity, clock::unix_secs())?;
    tracing::debug!(node = %agent.node, entry = %identity.name, "SVID issued");
    let event = v1::SvidIssued {
        entry_id: identity.name.to_string(),
        spiffe_id: identity.spiffe_id.as_str().to_owned(),
        serial: issued.serial,
        not_after_unix_secs: issued.not_after,
    };
    core.events
        .record(agent.node.as_str(), EventKind::SvidIssued(event));
    Ok(v1::SignResponse {
        chain: issued.chain,
    })
}

pub(super) async fn renew(
    core: &Arc<Core>,
    agent: &Agent,
    csr: &[u8],
) -> Result<v1::RenewResponse, Status> {
    let issued = core
        .authority
        .issue_node(csr, &agent.node, clock::unix_secs())
        .map_err(|error| {
            refused(
                core,
                &agent.caller,
                agent.node.as_str(),
                "Renew",
                &error.to_string(),
            );
            Status::from(error)
        })?;
    let (node, presented) = (agent.node.clone(), agent.serial.clone());
    let (serial, not_after) = (issued.serial.clone(), issued.not_after);
    if !core.renew(node, presented, serial, not_after).await? {
        return Err(Status::unauthenticated(
            "the node attested anew; this SVID no longer counts",
        ));
    }
    let event = v1::NodeRenewed {
        serial: issued.serial,
        not_after_unix_secs: issued.not_after,
    };
    core.events
        .record(agent.node.as_str(), EventKind::NodeRenewed(event));
    Ok(v1::RenewResponse {
        chain: issued.chain,
        bundle: Some(core.authority.bundle()),
    })
}

impl From<IssueError> for Status {
    fn from(error: IssueError) -> Self {
        if error.is_callers_fault() {
            return Self::invalid_argument(format!(
                "the certificate signing request is refused: {error}"
            ));
        }
        tracing::error!(%error, "the authority cannot issue");
        Self::internal("the authority cannot issue; see the control plane's log")
    }
}
