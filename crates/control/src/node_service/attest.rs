//! Node attestation with a join token.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tidelock_proto::v1;
use tidelock_proto::v1::AttestRefusal;
use tidelock_proto::v1::event::Kind as EventKind;
use tonic::{Code, Status};

use crate::audit::{Actor, AuditEntry, hex};
use crate::authority::Issued;
use crate::budget::Bearer;
use crate::clock;
use crate::core::{Core, StoreFailure};
use crate::name::Name;
use crate::net::Caller;
use crate::store::{JoinedBy, NodeRecord, TokenRecord};
use crate::token::Token;

/// Why a caller gets no SVID.
enum Failure {
    /// Its own fault, to be told. `node` is known once the token's secret has been proved.
    Refused {
        node: String,
        reason: AttestRefusal,
        detail: String,
    },
    Ours(Status),
}

impl Failure {
    fn refused(node: &str, reason: AttestRefusal) -> Self {
        Self::Refused {
            node: node.to_owned(),
            reason,
            detail: String::new(),
        }
    }
}

impl From<StoreFailure> for Failure {
    fn from(failure: StoreFailure) -> Self {
        Self::Ours(failure.into())
    }
}

pub(super) async fn attest(
    core: &Arc<Core>,
    caller: &Caller,
    request: v1::AttestRequest,
) -> Result<v1::AttestResponse, Status> {
    let now = clock::unix_secs();
    match admit(core, caller, &request, now).await {
        Ok((node, issued)) => {
            let by = v1::JoinedBy::Token;
            Ok(attested(core, caller, &node, issued, by))
        }
        Err(Failure::Refused {
            node,
            reason,
            detail,
        }) => Err(refuse(core, caller, &node, reason, detail)),
        Err(Failure::Ours(status)) => Err(status),
    }
}

/// Tells of a node that has attested; gives what it is answered.
pub(super) fn attested(
    core: &Core,
    caller: &Caller,
    node: &Name,
    issued: Issued,
    by: v1::JoinedBy,
) -> v1::AttestResponse {
    let remote = caller.remote.to_string();
    tracing::info!(%node, remote, by = by.as_str_name(), "node attested");
    let event = v1::NodeAttested {
        remote,
        serial: issued.serial,
        not_after_unix_secs: issued.not_after,
        by: by.into(),
    };
    core.metrics.node_svids.count();
    core.events
        .record(node.as_str(), EventKind::NodeAttested(event));
    v1::AttestResponse {
        chain: issued.chain,
        bundle: Some(v1::Bundle::clone(&core.world().bundle)),
    }
}

/// The token is looked at first, so that nobody without one makes us sign; it is used up last.
async fn admit(
    core: &Arc<Core>,
    caller: &Caller,
    request: &v1::AttestRequest,
    now: i64,
) -> Result<(Name, Issued), Failure> {
    let token = proved(core, &request.token).await?;
    if let Some(reason) = spent(&token, now) {
        return Err(Failure::refused(&token.node, reason));
    }
    let node = Name::parse(&token.node)
        .map_err(|_| Failure::Ours(Status::internal("the token's node has no valid name")))?;
    let issued = match core.authority.issue_node(&request.csr, &node, now) {
        Ok(issued) => issued,
        Err(error) if error.is_callers_fault() => {
            let (node, reason) = (token.node, AttestRefusal::BadCsr);
            return Err(Failure::Refused {
                node,
                reason,
                detail: error.to_string(),
            });
        }
        Err(error) => return Err(Failure::Ours(error.into())),
    };
    let record = NodeRecord {
        name: token.node,
        serial: issued.serial.clone(),
        previous_serial: None,
        not_after: issued.not_after,
        attested: now,
        joined_by: JoinedBy::Token,
        // Whoever wants both says so.
        certificate_allowed: false,
    };
    let detail = json!({
        "serial": hex(&issued.serial),
        "not_after": issued.not_after,
        "remote": caller.remote.to_string(),
    });
    let actor = Actor::Token(hex(&token.id.0));
    let audit = AuditEntry::now(&actor, "node-attested", node.as_str(), &detail);
    let name = node.clone();
    crash_point!(AttestSigned);
    if core.admit(token.id, now, name, record, audit).await? {
        crash_point!(AttestInForce);
        // Never refused: somebody made the token.
        core.budgets.count(&node, Bearer::Node, issued.not_after);
        Ok((node, issued))
    } else {
        // Another call was faster with the same token.
        Err(Failure::refused(node.as_str(), AttestRefusal::UsedToken))
    }
}

/// The stored token whose secret this text holds.
async fn proved(core: &Core, text: &str) -> Result<TokenRecord, Failure> {
    let unknown = || Failure::refused("", AttestRefusal::UnknownToken);
    let token = Token::parse(text).map_err(|_| unknown())?;
    let id = token.id();
    let stored = core.with_store(move |store| store.token(&id)).await?;
    stored
        .filter(|stored| stored.hash.matches(&token))
        .ok_or_else(unknown)
}

fn spent(token: &TokenRecord, now: i64) -> Option<AttestRefusal> {
    if token.used.is_some() {
        Some(AttestRefusal::UsedToken)
    } else if token.expires <= now {
        Some(AttestRefusal::ExpiredToken)
    } else {
        None
    }
}

fn refuse(
    core: &Core,
    caller: &Caller,
    node: &str,
    reason: AttestRefusal,
    detail: String,
) -> Status {
    let status = match reason {
        AttestRefusal::ExpiredToken => (Code::Unauthenticated, "the join token has expired"),
        AttestRefusal::UsedToken => (
            Code::Unauthenticated,
            "the join token has been used already",
        ),
        AttestRefusal::BadCsr => (
            Code::InvalidArgument,
            "the certificate signing request is refused",
        ),
        _ => (Code::Unauthenticated, "the join token is not known here"),
    };
    let message = match detail.as_str() {
        "" => status.1.to_owned(),
        detail => format!("{}: {detail}", status.1),
    };
    core.metrics.attests_refused.count();
    tell(core, caller, node, reason, detail, &message);
    Status::new(status.0, message)
}

/// Tokens that nobody knows, and certificates, cost a caller nothing: not each of them is told, or they would push everything else
/// out of the log.
pub(super) fn tell(
    core: &Core,
    caller: &Caller,
    node: &str,
    reason: AttestRefusal,
    mut detail: String,
    why: &str,
) {
    let throttle = match reason {
        AttestRefusal::UnknownToken => Some(&core.unknown_tokens),
        AttestRefusal::BadCertificate | AttestRefusal::BadProof | AttestRefusal::NotAllowed => {
            Some(&core.refused_certificates)
        }
        _ => None,
    };
    match throttle.map(|throttle| throttle.take(Instant::now())) {
        Some(None) => return,
        None | Some(Some(0)) => {}
        Some(Some(untold)) => {
            let more = format!("and {untold} more before it that were not told");
            let parts = [detail, more].into_iter().filter(|part| !part.is_empty());
            detail = parts.collect::<Vec<_>>().join("; ");
        }
    }
    let remote = caller.remote.to_string();
    tracing::warn!(remote, node, why, detail, "attestation refused");
    let event = v1::AttestRefused {
        reason: reason.into(),
        remote,
        detail,
    };
    core.events.record(node, EventKind::AttestRefused(event));
}
