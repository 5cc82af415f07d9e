//! Operators, and their credentials.

use std::sync::Arc;

use serde_json::json;
use tidelock_ca::MAX_SVID_TTL_SECS;
use tidelock_proto::{ErrorCode, OPERATOR_PATH_PREFIX, v1};
use tonic::Status;

use crate::audit::{AuditEntry, hex};
use crate::clock;
use crate::core::Core;
use crate::document::{Document, Kind, Operator, PathPrefix, Role};
use crate::name::Name;
use crate::roles::Permit;

/// Shortest life of an operator's SVID, in seconds. Ours: time to use it.
const MIN_OPERATOR_TTL_SECS: u32 = 60;

/// All of them for who has everything under its prefixes; for others themselves.
pub(super) fn list(core: &Core, permit: &Permit) -> v1::GetOperatorsResponse {
    let world = core.world();
    let operators = world
        .documents
        .values()
        .filter_map(|document| match document {
            Document::Operator(operator) => Some(operator),
            _ => None,
        });
    let seen = |one: &&Operator| permit.is_everywhere() || permit.operator() == Some(&one.name);
    v1::GetOperatorsResponse {
        operators: operators.filter(seen).map(|one| view(core, one)).collect(),
    }
}

fn view(core: &Core, operator: &Operator) -> v1::OperatorView {
    let prefixes = match operator.is_admin() {
        true => &[PathPrefix::everything()][..],
        false => &operator.prefixes,
    };
    v1::OperatorView {
        name: operator.name.to_string(),
        spiffe_id: spiffe_id(core, &operator.name),
        roles: operator.roles.iter().map(Role::to_string).collect(),
        prefixes: prefixes.iter().map(ToString::to_string).collect(),
    }
}

fn spiffe_id(core: &Core, name: &Name) -> String {
    let domain = core.trust_domain.as_str();
    format!("spiffe://{domain}{OPERATOR_PATH_PREFIX}{name}")
}

/// Signs a credential of an operator for whom there is a document.
pub(super) async fn issue(
    core: &Arc<Core>,
    permit: Permit,
    request: v1::IssueOperatorRequest,
) -> Result<v1::IssueOperatorResponse, Status> {
    let name = Name::parse(&request.operator).map_err(|error| {
        let name = crate::report::cleaned(&request.operator);
        Status::invalid_argument(format!("the operator's name `{name}` {error}"))
    })?;
    if !(MIN_OPERATOR_TTL_SECS..=MAX_SVID_TTL_SECS).contains(&request.ttl_secs) {
        return Err(Status::invalid_argument(format!(
            "an operator's SVID lives {MIN_OPERATOR_TTL_SECS} to {MAX_SVID_TTL_SECS} s, not {} s",
            request.ttl_secs
        )));
    }
    let _before_any_revoking = core.issuing.read().await;
    let world = core.world();
    // Its own credential may have been revoked while it waited.
    let permit = permit.again(&world)?;
    if !world.has(&(Kind::Operator, name.clone())) {
        return Err(ErrorCode::OperatorNotFound.status(format!(
            "there is no Operator `{name}`; apply a document of that kind and name first"
        )));
    }
    let (csr, ttl_secs) = (&request.csr, request.ttl_secs);
    let issued = core
        .authority
        .issue_operator(csr, &name, ttl_secs, clock::unix_secs())?;
    let detail = json!({"serial": hex(&issued.serial), "not_after": issued.not_after});
    let subject = spiffe_id(core, &name);
    let audit = AuditEntry::now(&permit.actor(), "svid-issued", &subject, &detail);
    // Before it is handed over: what is not written down was not issued.
    let written = core.journal.record(audit).await;
    written.inspect_err(|_| core.metrics.store_failures.count())?;
    core.metrics.operator_svids.count();
    tracing::info!(operator = %name, "operator's SVID issued");
    Ok(v1::IssueOperatorResponse {
        chain: issued.chain,
        serial: issued.serial,
        not_after_unix_secs: issued.not_after,
        bundle: Some(v1::Bundle::clone(&world.bundle)),
    })
}
