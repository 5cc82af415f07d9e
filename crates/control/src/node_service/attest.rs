//! Node attestation with a join token.

use std::sync::Arc;

use tidelock_proto::v1;
use tidelock_proto::v1::AttestRefusal;
use tidelock_proto::v1::event::Kind as EventKind;
use tonic::{Code, Status};

use crate::authority::Issued;
use crate::clock;
use crate::core::Core;
use crate::name::Name;
use crate::net::Caller;
use crate::store::{NodeRecord, TokenRecord};
use crate::token::Token;

/// Why a caller is not let in. `node` is known once the token's secret has been proved.
struct Refusal {
    node: String,
    reason: AttestRefusal,
    detail: String,
}

pub(super) async fn attest(
    core: &Arc<Core>,
    caller: &Caller,
    request: v1::AttestRequest,
) -> Result<v1::AttestResponse, Status> {
    match admit(core, caller, request).await? {
        Ok(issued) => Ok(v1::AttestResponse {
            chain: issued.chain,
            bundle: Some(core.authority.bundle()),
        }),
        Err(refusal) => Err(refuse(core, caller, refusal)),
    }
}

async fn admit(
    core: &Arc<Core>,
    caller: &Caller,
    request: v1::AttestRequest,
) -> Result<Result<Issued, Refusal>, Status> {
    let token = match Token::parse(&request.token) {
        Ok(token) => token,
        Err(_) => return Ok(Err(refusal("", AttestRefusal::UnknownToken, ""))),
    };
    let id = token.id();
    let stored = core.with_store(move |store| store.token(&id)).await?;
    let Some(stored) = stored.filter(|stored| stored.hash.matches(&token)) else {
        return Ok(Err(refusal("", AttestRefusal::UnknownToken, "")));
    };
    let now = clock::unix_secs();
    if let Some(reason) = spent(&stored, now) {
        return Ok(Err(refusal(&stored.node, reason, "")));
    }
    let Ok(node) = Name::parse(&stored.node) else {
        return Err(Status::internal("the token's node has no valid name"));
    };
    let issued = match core.authority.issue_node(&request.csr, &node, now) {
        Ok(issued) => issued,
        Err(error) if error.is_callers_fault() => {
            return Ok(Err(refusal(
                &stored.node,
                AttestRefusal::BadCsr,
                &error.to_string(),
            )));
        }
        Err(error) => return Err(error.into()),
    };
    let record = NodeRecord {
        name: node.as_str().to_owned(),
        serial: issued.serial.clone(),
        previous_serial: None,
        not_after: issued.not_after,
        attested: now,
    };
    let row = record.clone();
    if !core
        .with_store(move |store| store.redeem(&id, now, &row))
        .await?
    {
        // Another call was faster with the same token.
        return Ok(Err(refusal(node.as_str(), AttestRefusal::UsedToken, "")));
    }
    core.nodes.attested(&node, record);
    tracing::info!(%node, remote = %caller.remote, "node attested");
    let attested = v1::NodeAttested {
        remote: caller.remote.to_string(),
        serial: issued.serial.clone(),
        not_after_unix_secs: issued.not_after,
    };
    core.events
        .record(node.as_str(), EventKind::NodeAttested(attested));
    Ok(Ok(issued))
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

fn refusal(node: &str, reason: AttestRefusal, detail: &str) -> Refusal {
    Refusal {
        node: node.to_owned(),
        reason,
        detail: detail.to_owned(),
    }
}

fn refuse(core: &Core, caller: &Caller, refusal: Refusal) -> Status {
    let Refusal {
        node,
        reason,
        detail,
    } = refusal;
    let (code, message) = match reason {
        AttestRefusal::ExpiredToken => (
            Code::Unauthenticated,
            "the join token has expired".to_owned(),
        ),
        AttestRefusal::UsedToken => (
            Code::Unauthenticated,
            "the join token has been used already".to_owned(),
        ),
        AttestRefusal::BadCsr => (
            Code::InvalidArgument,
            format!("the certificate signing request is refused: {detail}"),
        ),
        _ => (
            Code::Unauthenticated,
            "the join token is not known here".to_owned(),
        ),
    };
    tracing::warn!(remote = %caller.remote, node, why = message, "attestation refused");
    let remote = caller.remote.to_string();
    let event = v1::AttestRefused {
        reason: reason.into(),
        remote,
        detail,
    };
    core.events.record(&node, EventKind::AttestRefused(event));
    Status::new(code, message)
}
