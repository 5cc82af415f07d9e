//! `events`: when, where, what, why.

use serde::Serialize;
use serde_json::{Value, json};
use tidelock_proto::v1::event::Kind;
use tidelock_proto::v1::{
    AttestRefusal, AttestRefused, Denied, DenyReason, DocumentsChanged, Event, FlowClosed,
    GrantEnded, GrantRefused,
};

use super::authorities::{self, state_name};
use super::documents::{change_name, kind_name};
use super::flows::FlowView;
use super::identities::{GrantView, SvidView};
use super::revoked::svids;
use super::{hex, joined_by, known, process, reason};
use crate::span;
use crate::table::clean;

/// The first line of the table.
pub(crate) const HEADER: &str = "TIME                      NODE          WHAT               WHY\n";

/// Something that happened.
#[derive(Debug, Serialize)]
pub(crate) struct EventView {
    seq: u64,
    time: Option<String>,
    node: Option<String>,
    /// A stable name, for example `denied`; `observed` where nothing was, but would have been or not; `plain` where an
    /// exception let a connection go in plain.
    what: &'static str,
    /// For people.
    why: String,
    /// What programs need to know of it; its members depend on `what`.
    data: Value,
    #[serde(skip)]
    time_unix_ns: u64,
}

/// The JSON form.
pub(crate) fn view(event: Event) -> EventView {
    let told = tell(event.kind);
    EventView {
        seq: event.seq,
        time: span::rfc3339_ns(event.time_unix_ns),
        time_unix_ns: event.time_unix_ns,
        node: known(event.node),
        what: told.what,
        why: told.why,
        data: told.data,
    }
}

/// One line of the table. Events come one by one, so the widths are fixed.
pub(crate) fn line(event: &EventView) -> String {
    format!(
        "{:<24}  {:<12}  {:<17}  {}\n",
        span::table_time(event.time_unix_ns),
        clean(event.node.as_deref().unwrap_or("-")),
        event.what,
        clean(&event.why),
    )
}

struct Told {
    what: &'static str,
    why: String,
    data: Value,
}

fn told(what: &'static str, why: impl Into<String>, data: Value) -> Told {
    Told {
        what,
        why: why.into(),
        data,
    }
}

fn tell(kind: Option<Kind>) -> Told {
    match kind {
        Some(
            node @ (Kind::Granted(_)
            | Kind::GrantEnded(_)
            | Kind::GrantRefused(_)
            | Kind::SvidInstalled(_)
            | Kind::FlowOpened(_)
            | Kind::FlowClosed(_)
            | Kind::Denied(_)
            | Kind::ConfigApplied(_)
            | Kind::RecordRefused(_)
            | Kind::RecordsLost(_)),
        ) => tell_of_node(node),
        Some(control) => tell_of_control(control),
        None => told(
            "unknown",
            "an event that this `tidelock` is too old for",
            Value::Null,
        ),
    }
}

fn tell_of_node(kind: Kind) -> Told {
    match kind {
        Kind::Granted(grant) => {
            let grant = GrantView::new(None, grant);
            told("granted", grant.text(), json!(grant))
        }
        Kind::GrantEnded(ended) => grant_ended(&ended),
        Kind::GrantRefused(refused) => grant_refused(refused),
        Kind::SvidInstalled(svid) => {
            let svid = SvidView::new(None, svid);
            told("svid-installed", svid.text(), json!(svid))
        }
        Kind::FlowOpened(flow) => {
            let flow = FlowView::new(None, flow);
            told("flow-opened", flow.text(), json!(flow))
        }
        Kind::FlowClosed(closed) => flow_closed(&closed),
        Kind::Denied(denied) => self::denied(denied),
        Kind::ConfigApplied(applied) => told(
            "config-applied",
            format!(
                "generation {}, {} flows cut",
                applied.generation, applied.flows_cut
            ),
            json!({"generation": applied.generation, "flows_cut": applied.flows_cut}),
        ),
        Kind::RecordRefused(refused) => told(
            "record-refused",
            refused.reason.clone(),
            json!({"reason": refused.reason}),
        ),
        Kind::RecordsLost(lost) => told(
            "records-lost",
            format!("{} records of the kernel", lost.count),
            json!({"count": lost.count}),
        ),
        other => tell_of_control(other),
    }
}

fn tell_of_control(kind: Kind) -> Told {
    match kind {
        Kind::DocumentsChanged(changed) => documents_changed(&changed),
        Kind::TokenCreated(token) => {
            let expires = span::rfc3339(token.expires_unix_secs);
            told(
                "token-created",
                format!("good until {}", expires.as_deref().unwrap_or("?")),
                json!({"expires": expires}),
            )
        }
        Kind::AttestRefused(refused) => attest_refused(refused),
        Kind::SvidIssued(svid) => told(
            "svid-issued",
            format!("{} serial {}", svid.spiffe_id, hex(&svid.serial)),
            json!({
                "identity": svid.entry_id,
                "spiffe_id": svid.spiffe_id,
                "serial": hex(&svid.serial),
                "not_after": span::rfc3339(svid.not_after_unix_secs),
            }),
        ),
        Kind::CallRefused(call) => told(
            "call-refused",
            format!("{} from {}: {}", call.call, call.remote, call.detail),
            json!({"call": call.call, "remote": call.remote, "detail": call.detail}),
        ),
        Kind::Started(started) => told(
            "started",
            format!(
                "version {} at generation {}",
                started.version, started.generation
            ),
            json!({"version": started.version, "generation": started.generation}),
        ),
        Kind::EventsLost(lost) => told(
            "events-lost",
            format!("{} events", lost.count),
            json!({"count": lost.count}),
        ),
        node => tell_of_membership(node),
    }
}

/// Nodes and authorities that come and go.
fn tell_of_membership(kind: Kind) -> Told {
    match kind {
        Kind::NodeAttested(node) => told(
            "node-attested",
            match joined_by(node.by) {
                Some(by) => format!("joined by {by} from {}", node.remote),
                None => format!("joined from {}", node.remote),
            },
            json!({
                "remote": node.remote,
                "by": joined_by(node.by),
                "serial": hex(&node.serial),
                "not_after": span::rfc3339(node.not_after_unix_secs),
            }),
        ),
        Kind::CertificateAllowed(_) => told(
            "certificate-allowed",
            "a certificate may attest as this node".to_owned(),
            json!({}),
        ),
        Kind::NodeRenewed(node) => told(
            "node-renewed",
            format!("serial {}", hex(&node.serial)),
            json!({"serial": hex(&node.serial), "not_after": span::rfc3339(node.not_after_unix_secs)}),
        ),
        Kind::NodeConnected(node) => told(
            "node-connected",
            format!("from {}", node.remote),
            json!({"remote": node.remote}),
        ),
        Kind::NodeDisconnected(node) => told(
            "node-disconnected",
            node.reason.clone(),
            json!({"reason": node.reason}),
        ),
        Kind::AuthorityMoved(moved) => {
            let (kind, state) = (authorities::kind_name(moved.kind), state_name(moved.state));
            told(
                "authority-moved",
                format!("{kind} authority {} {state}", moved.id),
                json!({"id": moved.id, "kind": kind, "state": state}),
            )
        }
        Kind::SvidsRevoked(revoked) => told(
            "svids-revoked",
            format!(
                "{} of {}: {}",
                svids(revoked.count as usize),
                revoked.what,
                revoked.reason
            ),
            json!({
                "what": revoked.what,
                "reason": revoked.reason,
                "count": revoked.count,
                "generation": revoked.generation,
            }),
        ),
        other => told("unknown", format!("{other:?}"), Value::Null),
    }
}

fn grant_ended(ended: &GrantEnded) -> Told {
    told(
        "grant-ended",
        format!(
            "{} of subject {}: {}",
            ended.entry_id, ended.subject, ended.reason
        ),
        json!({"subject": ended.subject, "identity": ended.entry_id, "reason": ended.reason}),
    )
}

fn grant_refused(refused: GrantRefused) -> Told {
    let process = process::view(refused.process);
    let more = match refused.untold {
        0 => String::new(),
        untold => format!("; and {untold} more before it"),
    };
    told(
        "grant-refused",
        format!(
            "{} of {}: {}{more}",
            refused.entry_id,
            process.text(),
            refused.reason
        ),
        json!({
            "process": process,
            "identity": refused.entry_id,
            "reason": refused.reason,
            "untold": refused.untold,
        }),
    )
}

fn flow_closed(closed: &FlowClosed) -> Told {
    told(
        "flow-closed",
        format!("flow {}: {}", closed.flow, reason::text(closed.reason)),
        json!({"id": closed.flow, "subject": closed.subject, "reason": reason::name(closed.reason)}),
    )
}

fn denied(denied: Denied) -> Told {
    let (what, why) = match denied.reason() {
        DenyReason::WouldDeny => ("observed", would("denied", &denied.detail)),
        DenyReason::WouldPermit => ("observed", would("permitted", &denied.detail)),
        DenyReason::TookInPlain | DenyReason::WentInPlain => ("plain", refused(&denied)),
        _ => ("denied", refused(&denied)),
    };
    let process = process::view(denied.process);
    let service = if denied.service.is_empty() {
        "no service"
    } else {
        &denied.service
    };
    let why = format!(
        "{why}: {} as {} of {service} at {}",
        process.text(),
        reason::role(denied.role),
        denied.remote,
    );
    told(
        what,
        why,
        json!({
            "process": process,
            "role": reason::role(denied.role),
            "local": known(denied.local),
            "remote": known(denied.remote),
            "service": known(denied.service),
            "local_id": known(denied.local_id),
            "peer_id": known(denied.peer_id),
            "reason": reason::name(denied.reason),
            "detail": known(denied.detail),
        }),
    )
}

/// Why a connection was refused.
fn refused(denied: &Denied) -> String {
    let why = reason::text(denied.reason);
    if denied.detail.is_empty() || denied.detail == why {
        return why;
    }
    format!("{why} ({})", denied.detail)
}

/// What policies that are only observed would have done.
fn would(done: &str, policies: &str) -> String {
    format!("would have been {done} by policy {policies} (observe)")
}

fn documents_changed(changed: &DocumentsChanged) -> Told {
    let documents: Vec<_> = changed
        .documents
        .iter()
        .map(|document| {
            format!(
                "{} {} {}",
                kind_name(document.kind),
                document.name,
                change_name(document.change)
            )
        })
        .collect();
    told(
        "documents-changed",
        format!(
            "generation {}: {}",
            changed.generation,
            documents.join(", ")
        ),
        json!({
            "generation": changed.generation,
            "documents": changed.documents.iter().map(|document| json!({
                "kind": kind_name(document.kind),
                "name": document.name,
                "change": change_name(document.change),
            })).collect::<Vec<_>>(),
        }),
    )
}

fn attest_refused(refused: AttestRefused) -> Told {
    let (name, words) = match refused.reason() {
        AttestRefusal::UnknownToken => ("unknown_token", "no such join token"),
        AttestRefusal::ExpiredToken => ("expired_token", "the join token has expired"),
        AttestRefusal::UsedToken => ("used_token", "the join token was used before"),
        AttestRefusal::BadCsr => ("bad_csr", "the certificate request is bad"),
        AttestRefusal::BadCertificate => ("bad_certificate", "the node's certificate is refused"),
        AttestRefusal::BadProof => ("bad_proof", "the certificate's key is not proved"),
        AttestRefusal::NotAllowed => ("not_allowed", "no certificate is allowed for this node"),
        AttestRefusal::Unspecified => ("unspecified", "refused"),
    };
    let detail = if refused.detail.is_empty() {
        String::new()
    } else {
        format!(" ({})", refused.detail)
    };
    told(
        "attest-refused",
        format!("{words}{detail}, from {}", refused.remote),
        json!({"reason": name, "remote": refused.remote, "detail": known(refused.detail)}),
    )
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
