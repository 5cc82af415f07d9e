//! JWT-SVIDs for workloads: the same questions as before an X509-SVID, and then whom it is for.

use std::sync::Arc;

use tidelock_proto::v1;
use tonic::{Code, Status};

use super::sign::{admitted, within_limit};
use super::{Agent, believed, refused};
use crate::audit::Actor;
use crate::clock;
use crate::core::Core;
use crate::jwt;

const CALL: &str = "SignJwt";

pub(super) async fn sign_jwt(
    core: &Arc<Core>,
    agent: &Agent,
    request: &v1::SignJwtRequest,
) -> Result<v1::SignJwtResponse, Status> {
    let response = issue(core, agent, request).await;
    if let Err(status) = &response
        && status.code() != Code::ResourceExhausted
    {
        let entry = crate::report::cleaned(&request.entry_id);
        let detail = format!("entry `{entry}`: {}", status.message());
        tracing::warn!(node = %agent.node, detail, "SignJwt refused");
        refused(core, &agent.caller, agent.node.as_str(), CALL, &detail);
    }
    response
}

async fn issue(
    core: &Core,
    agent: &Agent,
    request: &v1::SignJwtRequest,
) -> Result<v1::SignJwtResponse, Status> {
    within_limit(core, agent, CALL)?;
    let audience = jwt::audience(&request.audience)?;
    let _before_any_revoking = core.issuing.read().await;
    believed(core, &agent.serial)?;
    let world = core.world();
    let (identity, spiffe_id) = admitted(&world, agent, &request.entry_id, &request.spiffe_id)?;
    let lives = &world.compiled.lives;
    let most = lives
        .max_jwt_secs(identity)
        .min(core.authority.max_jwt_ttl_secs());
    let ttl_secs = jwt::ttl_secs(request.ttl_secs, most, lives.jwt)?;
    let issued = core
        .authority
        .issue_jwt(spiffe_id, &audience, ttl_secs, clock::unix_secs())?;
    let actor = Actor::Node(agent.node.clone());
    let audit = issued.audit(&actor, Some(identity.name.as_str()), &audience);
    crash_point!(IssueSigned);
    // Before it is handed over: what is not written down was not issued.
    let written = core.journal.record(audit).await;
    written.inspect_err(|_| core.metrics.store_failures.count())?;
    crash_point!(IssueTold);
    core.metrics.node_jwt_svids.count();
    // No event: there may be one for each request that a workload makes, and they would push out all else.
    tracing::debug!(node = %agent.node, entry = %identity.name, "JWT-SVID issued");
    Ok(v1::SignJwtResponse {
        expires_unix_secs: issued.svid.expires_at,
        token: issued.svid.token,
    })
}
