//! The authorities, and moving them on.

use std::sync::Arc;

use tidelock_ca::LifecycleError;
use tidelock_proto::{ErrorCode, v1};
use tonic::Status;

use crate::authority::AuthorityError;
use crate::clock;
use crate::core::Core;
use crate::crl::CrlRefusal;
use crate::roles::Permit;
use crate::rotation::{Step, StepError};

pub(super) fn list(core: &Core) -> v1::ListAuthoritiesResponse {
    v1::ListAuthoritiesResponse {
        x509: core.authority.views(),
        bundle_sequence: core.world().bundle.sequence,
        jwt: core.authority.jwt_views(),
    }
}

pub(super) fn bundle(core: &Core) -> Result<v1::GetBundleResponse, Status> {
    let ring = core.authority.ring();
    let jwks = core.authority.jwks(&ring).map_err(|error| {
        tracing::error!(%error, "the bundle cannot be written");
        Status::internal("the bundle cannot be written; see the control plane's log")
    })?;
    let bundle = Some(core.authority.bundle(&ring));
    Ok(v1::GetBundleResponse { bundle, jwks })
}

pub(super) async fn step(
    core: &Arc<Core>,
    permit: Permit,
    step: Step,
) -> Result<v1::AuthorityResponse, Status> {
    let taken = match core.step(Some(permit.clone()), step).await {
        Ok(taken) => taken,
        Err(StepError::NotPermitted(why)) => return Err(core.tell_refusal(&permit, why).await),
        Err(error) => return Err(refusal(error)),
    };
    Ok(v1::AuthorityResponse {
        authority: taken.authority,
        generation: taken.generation,
        jwt_authority: taken.jwt_authority,
    })
}

pub(super) async fn crl(core: &Arc<Core>, id: &str) -> Result<v1::GetCrlResponse, Status> {
    match core.crl(id).await {
        Ok(list) => Ok(v1::GetCrlResponse { crl: list.to_vec() }),
        Err(CrlRefusal::Unknown) => Err(lifecycle(LifecycleError::Unknown)),
        Err(error @ (CrlRefusal::State(_) | CrlRefusal::Jwt)) => {
            Err(ErrorCode::AuthorityState.status(error.to_string()))
        }
        Err(CrlRefusal::Failed) => Err(Status::internal(CrlRefusal::Failed.to_string())),
    }
}

fn refusal(error: StepError) -> Status {
    let text = error.to_string();
    match error {
        StepError::Authority(AuthorityError::Lifecycle(error)) => lifecycle(error),
        StepError::Nodes(_) => ErrorCode::NodesBehind.status(format!(
            "{text}; wait for them, or go on without them (`--despite-nodes`)"
        )),
        error => {
            tracing::error!(%error, "an authority cannot be moved on");
            Status::internal(format!("nothing was changed: {text}"))
        }
    }
}

fn lifecycle(error: LifecycleError) -> Status {
    match error {
        LifecycleError::Unknown => ErrorCode::AuthorityNotFound.status(format!(
            "{error}: `tidelock authority list` shows those there are"
        )),
        LifecycleError::TooSoon { at } => {
            let secs = at.saturating_sub(clock::unix_secs()).max(0);
            ErrorCode::AuthorityTooSoon.status(format!("{error}, which is in {secs} s"))
        }
        error => ErrorCode::AuthorityState.status(error.to_string()),
    }
}
