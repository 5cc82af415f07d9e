//! Revoking SVIDs, and what is revoked.

use std::sync::Arc;

use serde_json::Value;
use tidelock_proto::v1::revoke_request::What;
use tidelock_proto::{
    ErrorCode, MAX_REVOKE_REASON_BYTES, OPERATOR_PATH_PREFIX, RESERVED_PATH_PREFIX, v1,
};
use tidelock_spiffe_core::SpiffeIdBuf;
use tidelock_spiffe_core::x509::MAX_SERIAL_BYTES;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::clock;
use crate::core::Core;
use crate::name::Name;
use crate::revocation::{Done, RevokeError, Target};
use crate::roles::Permit;
use crate::store::{Revocation, RevokedRecord, StoreError};

pub(super) async fn revoke(
    core: &Arc<Core>,
    permit: Permit,
    request: v1::RevokeRequest,
) -> Result<v1::RevokeResponse, Status> {
    let reason = reason(request.reason)?;
    let target = target(core, request.what)?;
    match core.revoke(permit.clone(), target, reason).await {
        Ok(done) => Ok(response(done)),
        Err(RevokeError::NotPermitted(refusal)) => Err(core.tell_refusal(&permit, refusal).await),
        Err(error) => Err(refused(error)),
    }
}

type Listed = ReceiverStream<Result<v1::Revocation, Status>>;

/// How many are read from the store at once: others wait for it meanwhile.
const PAGE: u32 = 1_000;

/// What is revoked now, of SPIFFE IDs that are the caller's.
pub(super) fn list(core: &Arc<Core>, permit: Permit) -> Listed {
    let (sender, listed) = mpsc::channel(64);
    tokio::spawn(send(Arc::clone(core), permit, sender, clock::unix_secs()));
    ReceiverStream::new(listed)
}

/// Ends: serial numbers only grow on the way, and at most [`tidelock_proto::MAX_REVOKED_SVIDS`] are revoked at one time.
async fn send(
    core: Arc<Core>,
    permit: Permit,
    sender: mpsc::Sender<Result<v1::Revocation, Status>>,
    now: i64,
) {
    let mut after = Vec::new();
    loop {
        let page = core.with_store(move |store| store.revocations(&after, now, PAGE));
        let page = match page.await {
            Ok(page) => page,
            Err(error) => {
                let _ = sender.send(Err(error.into())).await;
                return;
            }
        };
        let Some(last) = page.last() else {
            return;
        };
        after = last.revoked.serial.clone();
        for one in page
            .into_iter()
            .filter(|one| permit.covers(&one.revoked.spiffe_id))
        {
            let sent = tokio::select! {
                sent = sender.send(Ok(revocation(one))) => sent.is_ok(),
                // Who does not read does not keep the control plane from stopping.
                () = core.stopping() => false,
            };
            if !sent {
                return;
            }
        }
    }
}

fn revocation(found: Revocation) -> v1::Revocation {
    let svid = Some(svid(found.revoked));
    let Some(entry) = found.entry else {
        return v1::Revocation {
            svid,
            ..Default::default()
        };
    };
    let detail: Value = serde_json::from_str(&entry.detail).unwrap_or_default();
    let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
    v1::Revocation {
        svid,
        what: text("by"),
        reason: text("reason"),
        actor: entry.actor,
        time_unix_ns: entry.time_unix_ns,
    }
}

fn reason(text: String) -> Result<String, Status> {
    let refuse = |what: String| Err(Status::invalid_argument(format!("the reason {what}")));
    match text.len() {
        0 => refuse("is missing".into()),
        len if len > MAX_REVOKE_REASON_BYTES => refuse(format!(
            "has {len} bytes, at most {MAX_REVOKE_REASON_BYTES} are possible"
        )),
        _ if text.chars().any(char::is_control) => refuse("has control characters".into()),
        _ => Ok(text),
    }
}

fn target(core: &Core, what: Option<What>) -> Result<Target, Status> {
    match what {
        None => Err(Status::invalid_argument(
            "nothing is named that is to be revoked",
        )),
        Some(What::Serial(serial)) if (1..=MAX_SERIAL_BYTES).contains(&serial.len()) => {
            Ok(Target::Svid(serial))
        }
        Some(What::Serial(serial)) => Err(Status::invalid_argument(format!(
            "a serial number has 1 to {MAX_SERIAL_BYTES} bytes, not {}",
            serial.len()
        ))),
        Some(What::SpiffeId(id)) => identity(core, &id).map(Target::Identity),
        Some(What::Node(name)) => match Name::parse(&name) {
            Ok(name) => Ok(Target::Node(name)),
            Err(error) => Err(Status::invalid_argument(format!(
                "the node's name `{}` {error}",
                crate::report::cleaned(&name)
            ))),
        },
    }
}

fn identity(core: &Core, text: &str) -> Result<String, Status> {
    let shown = crate::report::cleaned(text);
    let id = SpiffeIdBuf::parse(text)
        .map_err(|error| Status::invalid_argument(format!("`{shown}`: {error}")))?;
    let parsed = id.as_id();
    if parsed.trust_domain() != core.trust_domain.as_trust_domain() {
        return Err(Status::invalid_argument(format!(
            "`{shown}` is of another trust domain, whose own authority revokes it"
        )));
    }
    let operator = parsed.path().strip_prefix(OPERATOR_PATH_PREFIX);
    let operator = operator.is_some_and(|name| Name::parse(name).is_ok());
    if parsed.path().starts_with(RESERVED_PATH_PREFIX) && !operator {
        return Err(Status::invalid_argument(format!(
            "`{shown}` is no workload's; a node is revoked by its name (`tidelock revoke node`)"
        )));
    }
    Ok(id.as_str().to_owned())
}

fn response(done: Done) -> v1::RevokeResponse {
    v1::RevokeResponse {
        revoked: done.revoked.into_iter().map(svid).collect(),
        already: u32::try_from(done.already).unwrap_or(u32::MAX),
        left_out: done.left_out.into_iter().map(svid).collect(),
        generation: done.generation,
    }
}

fn svid(record: RevokedRecord) -> v1::RevokedSvid {
    v1::RevokedSvid {
        serial: record.serial,
        spiffe_id: record.spiffe_id,
        node: record.node,
        until_unix_secs: record.until,
    }
}

fn refused(error: RevokeError) -> Status {
    let text = error.to_string();
    match error {
        RevokeError::UnknownSerial | RevokeError::UnknownIdentity(_) => {
            ErrorCode::SvidNotFound.status(text)
        }
        RevokeError::UnknownNode(_) => ErrorCode::NodeNotFound.status(text),
        RevokeError::TooMany { .. } => ErrorCode::RevokedTooMany.status(format!(
            "{text}; there is room when the first of those is over (`tidelock get revoked`), or move to another authority \
             now, which renews everything (`tidelock authority`)"
        )),
        RevokeError::NotPermitted(refusal) => refusal.into(),
        RevokeError::Store(StoreError::Full) => {
            tracing::error!(error = text, "SVIDs cannot be revoked");
            ErrorCode::StoreFull.status(format!("nothing was revoked: {text}"))
        }
        RevokeError::Store(_) | RevokeError::Broken => {
            tracing::error!(error = text, "SVIDs cannot be revoked");
            Status::internal(format!("nothing was revoked: {text}"))
        }
    }
}
