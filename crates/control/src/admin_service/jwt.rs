//! JWT-SVIDs that operators mint.

use std::sync::Arc;

use tidelock_ca::{Entry, Ttl};
use tidelock_proto::v1;
use tidelock_spiffe_core::SpiffeIdBuf;
use tonic::Status;

use crate::clock;
use crate::core::Core;
use crate::document::{WorkloadId, WorkloadIdentity};
use crate::jwt;
use crate::roles::Permit;
use crate::world::World;

pub(super) async fn mint(
    core: &Arc<Core>,
    permit: Permit,
    request: v1::MintJwtRequest,
) -> Result<v1::MintJwtResponse, Status> {
    let spiffe_id = workload(core, &request.spiffe_id)?;
    let audience = jwt::audience(&request.audience)?;
    let _before_any_revoking = core.issuing.read().await;
    let world = core.world();
    // Its own credential may have been revoked while it waited.
    let permit = permit.again(&world)?;
    if !permit.covers(spiffe_id.as_str()) {
        let why = format!(
            "`{spiffe_id}` does not lie under {}; needed is the role `issuer` with a prefix that holds it",
            permit.prefixes_told()
        );
        return Err(core.tell_refusal(&permit, permit.refuse(why)).await);
    }
    let most = given(&world, &spiffe_id).min(core.authority.max_jwt_ttl_secs());
    let ttl_secs = jwt::ttl_secs(request.ttl_secs, most, world.compiled.lives.jwt)?;
    let issued = core
        .authority
        .issue_jwt(spiffe_id, &audience, ttl_secs, clock::unix_secs())?;
    let audit = issued.audit(&permit.actor(), None, &audience);
    // Before it is handed over: what is not written down was not issued.
    let written = core.journal.record(audit).await;
    written.inspect_err(|_| core.metrics.store_failures.count())?;
    core.metrics.operator_jwt_svids.count();
    tracing::info!(id = issued.svid.id.as_str(), "JWT-SVID minted");
    Ok(v1::MintJwtResponse {
        expires_unix_secs: issued.svid.expires_at,
        token_id: issued.svid.token_id.to_string(),
        token: issued.svid.token,
        key_id: issued.key_id,
    })
}

/// The SPIFFE ID of a workload of ours. There may be no document of it: what has no node can be given a name too.
fn workload(core: &Core, asked: &str) -> Result<SpiffeIdBuf, Status> {
    let shown = crate::report::cleaned(asked);
    let refused = |why: String| Status::invalid_argument(format!("`{shown}`: {why}"));
    let id = SpiffeIdBuf::parse(asked).map_err(|error| refused(error.to_string()))?;
    let ours = core.trust_domain.as_trust_domain();
    if id.trust_domain() != ours {
        return Err(refused(format!("the trust domain is `{}`", ours.as_str())));
    }
    let ttl = Ttl::from_secs(tidelock_ca::MIN_SVID_TTL_SECS.into());
    let ttl = ttl.map_err(|error| refused(error.to_string()))?;
    Entry::workload(id.clone(), ttl).map_err(|error| refused(error.to_string()))?;
    Ok(id)
}

/// Longest life that documents give what bears this SPIFFE ID, where one writes it out; where none does, the trust domain alone bounds it.
fn given(world: &World, spiffe_id: &SpiffeIdBuf) -> u32 {
    let fixed = |id: &WorkloadId| matches!(id, WorkloadId::Fixed(own) if own == spiffe_id);
    let found = world.identities().filter(|one| fixed(&one.spiffe_id));
    let secs = found.map(|one: &WorkloadIdentity| world.compiled.lives.max_jwt_secs(one));
    secs.min().unwrap_or(u32::MAX)
}
