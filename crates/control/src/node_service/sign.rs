//! SVIDs for workloads, and for the node itself.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::{ErrorCode, v1};
use tidelock_spiffe_core::SpiffeIdBuf;
use tonic::{Code, Status};

use super::{Agent, believed, refused};
use crate::audit::{Actor, AuditEntry, hex};
use crate::authority::IssueError;
use crate::budget::{Bearer, Spent};
use crate::clock;
use crate::core::Core;
use crate::document::{Placed, WorkloadIdentity};
use crate::journal::NotWritten;
use crate::world::World;

pub(super) async fn sign(
    core: &Arc<Core>,
    agent: &Agent,
    request: &v1::SignRequest,
) -> Result<v1::SignResponse, Status> {
    let response = issue(core, agent, request).await;
    if let Err(status) = &response
        && status.code() != Code::ResourceExhausted
    {
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

async fn issue(
    core: &Core,
    agent: &Agent,
    request: &v1::SignRequest,
) -> Result<v1::SignResponse, Status> {
    within_limit(core, agent, "Sign")?;
    let _before_any_revoking = core.issuing.read().await;
    believed(core, &agent.serial)?;
    let world = core.world();
    let (identity, spiffe_id) = admitted(&world, agent, &request.entry_id, &request.spiffe_id)?;
    let ttl_secs = world.compiled.lives.x509_secs(identity);
    let id = spiffe_id.clone();
    let now = clock::unix_secs();
    let spent = |spent: Spent| limited(core, agent, "Sign", &spent);
    core.learn_budget(&agent.node).await?;
    // Before anything is signed, and again with it, since others ask at the same time.
    core.budgets
        .room(&agent.node, Bearer::Workload, now)
        .map_err(spent)?;
    let issued = core
        .authority
        .issue_workload(&request.csr, id, ttl_secs, now)?;
    core.budgets
        .take(&agent.node, Bearer::Workload, issued.not_after, now)
        .map_err(spent)?;
    let actor = Actor::Node(agent.node.clone());
    let detail = json!({
        "entry": identity.name.as_str(),
        "serial": hex(&issued.serial),
        "not_after": issued.not_after,
    });
    let subject = spiffe_id.as_str();
    let audit = AuditEntry::now(&actor, "svid-issued", subject, &detail);
    crash_point!(IssueSigned);
    // Before it is handed over: what is not written down was not issued.
    let written = core.journal.record(audit).await;
    written.inspect_err(|_| {
        core.budgets
            .give_back(&agent.node, Bearer::Workload, issued.not_after);
        core.metrics.store_failures.count();
    })?;
    crash_point!(IssueTold);
    core.metrics.workload_svids.count();
    tracing::debug!(node = %agent.node, entry = %identity.name, "SVID issued");
    let event = v1::SvidIssued {
        entry_id: identity.name.to_string(),
        spiffe_id: spiffe_id.as_str().to_owned(),
        serial: issued.serial,
        not_after_unix_secs: issued.not_after,
    };
    core.events
        .record(agent.node.as_str(), EventKind::SvidIssued(event));
    Ok(v1::SignResponse {
        chain: issued.chain,
    })
}

/// The entry that an agent asks for, if its node has it, and the SPIFFE ID, if that comes of the entry there.
///
/// Of a template, what it gives the node that attested: of the request only what the node alone can know of its processes goes
/// into the SVID, where the template has a variable for it.
pub(super) fn admitted<'w>(
    world: &'w World,
    agent: &Agent,
    entry_id: &str,
    asked: &str,
) -> Result<(&'w WorkloadIdentity, SpiffeIdBuf), Status> {
    let Some(identity) = world.identity(entry_id) else {
        return Err(Status::not_found("there is no such entry"));
    };
    let Some(placed) = identity.placed(&agent.node, &world.compiled.groups) else {
        return Err(Status::permission_denied("the entry is not this node's"));
    };
    match identity.spiffe_id.admitted(placed, asked) {
        Some(spiffe_id) => Ok((identity, spiffe_id)),
        None => {
            let why = not_admitted(identity, placed, asked);
            Err(Status::failed_precondition(why))
        }
    }
}

fn not_admitted(identity: &WorkloadIdentity, node: Placed<'_>, asked: &str) -> String {
    if let Some(own) = identity.spiffe_id.on(node) {
        return format!("the entry's SPIFFE ID is `{}` by now", own.as_str());
    }
    let (template, asked) = (&identity.spiffe_id, crate::report::cleaned(asked));
    match identity.spiffe_id.is_of_process() {
        true => format!("`{asked}` does not come of `{template}` on this node"),
        false => format!("`{template}` gives this node no SPIFFE ID"),
    }
}

pub(super) async fn renew(
    core: &Arc<Core>,
    agent: &Agent,
    csr: &[u8],
) -> Result<v1::RenewResponse, Status> {
    within_limit(core, agent, "Renew")?;
    let _before_any_revoking = core.issuing.read().await;
    believed(core, &agent.serial)?;
    let now = clock::unix_secs();
    let spent = |spent: Spent| limited(core, agent, "Renew", &spent);
    core.learn_budget(&agent.node).await?;
    core.budgets
        .room(&agent.node, Bearer::Node, now)
        .map_err(spent)?;
    let issued = core
        .authority
        .issue_node(csr, &agent.node, now)
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
    core.budgets
        .take(&agent.node, Bearer::Node, issued.not_after, now)
        .map_err(spent)?;
    let (node, presented) = (agent.node.clone(), agent.serial.clone());
    let (serial, not_after) = (issued.serial.clone(), issued.not_after);
    let detail = json!({"serial": hex(&serial), "not_after": not_after});
    let actor = Actor::Node(node.clone());
    let audit = AuditEntry::now(&actor, "node-renewed", node.as_str(), &detail);
    crash_point!(RenewSigned);
    let renewed = core.renew(node, presented, serial, not_after, audit).await;
    if !matches!(renewed, Ok(true)) {
        core.budgets.give_back(&agent.node, Bearer::Node, not_after);
    }
    if !renewed? {
        return Err(Status::unauthenticated(
            "the node attested anew; this SVID no longer counts",
        ));
    }
    crash_point!(RenewInForce);
    core.metrics.node_svids.count();
    let event = v1::NodeRenewed {
        serial: issued.serial,
        not_after_unix_secs: issued.not_after,
    };
    core.events
        .record(agent.node.as_str(), EventKind::NodeRenewed(event));
    Ok(v1::RenewResponse {
        chain: issued.chain,
        bundle: Some(v1::Bundle::clone(&core.world().bundle)),
    })
}

/// Refuses a node that asks for too many SVIDs. Not each refusal is told: that would be the next thing to have too many of.
pub(super) fn within_limit(core: &Core, agent: &Agent, call: &str) -> Result<(), Status> {
    match core.limiter.take(&agent.node, Instant::now()) {
        Ok(()) => Ok(()),
        Err(why) => Err(limited(core, agent, call, &why)),
    }
}

/// Tells of a node that asks for too much; gives what it is answered.
fn limited(core: &Core, agent: &Agent, call: &str, why: &dyn fmt::Display) -> Status {
    core.metrics.calls_limited.count();
    if let Some(untold) = core.limited.take(Instant::now()) {
        let more = match untold {
            0 => String::new(),
            untold => format!("; and {untold} more before it that were not told"),
        };
        tracing::warn!(node = %agent.node, call, %why, "too many SVIDs");
        let detail = format!("{why}{more}");
        refused(core, &agent.caller, agent.node.as_str(), call, &detail);
    }
    Status::resource_exhausted(why.to_string())
}

impl From<NotWritten> for Status {
    fn from(error: NotWritten) -> Self {
        let code = match error {
            NotWritten::Full => ErrorCode::StoreFull,
            NotWritten::Clock | NotWritten::Failed => ErrorCode::Internal,
        };
        code.status(format!("nothing was issued: {error}"))
    }
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
