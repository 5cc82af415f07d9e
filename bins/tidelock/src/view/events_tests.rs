//! Rendering of events.

use tidelock_proto::v1::{Change, DenyReason, DocumentChange, DocumentKind, Process, Role};

use super::*;

fn event(kind: Kind) -> EventView {
    view(Event {
        seq: 5,
        time_unix_ns: 1_767_225_600_123_000_000,
        node: "n1".into(),
        kind: Some(kind),
    })
}

fn denied_event(detail: &str) -> EventView {
    event(Kind::Denied(Denied {
        process: Some(Process {
            pid: 12,
            exe: "/usr/bin/wget".into(),
            ..Process::default()
        }),
        role: Role::Client.into(),
        remote: "10.0.0.1:80".into(),
        service: "web".into(),
        reason: DenyReason::NoPermit.into(),
        detail: detail.into(),
        ..Denied::default()
    }))
}

#[test]
fn a_denial_says_when_where_what_and_why() {
    assert_eq!(
        line(&denied_event("no permit matched")),
        "2026-01-01T00:00:00.123Z  n1            denied             \
         no permit matched: /usr/bin/wget[12] as client of web at 10.0.0.1:80\n"
    );
    assert!(
        denied_event("policy web-1")
            .why
            .starts_with("no permit matched (policy web-1): ")
    );
}

#[test]
fn what_is_only_observed_is_no_denial() {
    let observed = |reason: DenyReason| {
        event(Kind::Denied(Denied {
            service: "web".into(),
            remote: "10.0.0.1:80".into(),
            reason: reason.into(),
            detail: "no batch, at night".into(),
            ..Denied::default()
        }))
    };
    for (reason, why) in [
        (DenyReason::WouldDeny, "denied"),
        (DenyReason::WouldPermit, "permitted"),
    ] {
        let told = observed(reason);
        assert_eq!(told.what, "observed");
        let start = format!("would have been {why} by policy no batch, at night (observe): ");
        assert!(told.why.starts_with(&start), "{}", told.why);
    }
    let json = serde_json::to_value(observed(DenyReason::WouldDeny)).unwrap();
    assert_eq!(json["data"]["reason"], "would_deny");
}

#[test]
fn a_denial_in_json_names_process_peer_and_reason() {
    let json = serde_json::to_value(denied_event("no permit matched")).unwrap();
    assert_eq!(json["what"], "denied");
    assert_eq!(json["data"]["reason"], "no_permit");
    assert_eq!(json["data"]["detail"], "no permit matched");
    assert_eq!(json["data"]["process"]["exe"], "/usr/bin/wget");
    assert!(json["data"]["peer_id"].is_null());
    assert_eq!(json["time"], "2026-01-01T00:00:00.123Z");
}

#[test]
fn columns_line_up_under_the_header() {
    let row = line(&denied_event(""));
    for column in ["NODE", "WHAT", "WHY"] {
        let at = HEADER.find(column).unwrap();
        assert_eq!(row.as_bytes()[at - 1], b' ', "{column}");
        assert_ne!(row.as_bytes()[at], b' ', "{column}");
    }
}

#[test]
fn escape_sequences_in_names_are_not_printed() {
    let told = event(Kind::RecordRefused(tidelock_proto::v1::RecordRefused {
        reason: "\u{1b}]0;x\u{7}".into(),
    }));
    assert!(!line(&told).trim_end().chars().any(char::is_control));
}

#[test]
fn a_grant_that_is_refused_says_of_which_identity_to_whom_and_why() {
    let told = event(Kind::GrantRefused(GrantRefused {
        process: Some(Process {
            pid: 12,
            exe: "/usr/bin/wget".into(),
            ..Process::default()
        }),
        entry_id: "units".into(),
        reason: "it is not known what `{{systemd.unit}}` is".into(),
        untold: 3,
    }));
    let why = "units of /usr/bin/wget[12]: it is not known what `{{systemd.unit}}` is; and 3 more before it";
    assert_eq!((told.what, told.why.as_str()), ("grant-refused", why));
    assert_eq!(told.data["identity"], "units");
    assert_eq!(told.data["untold"], 3);
}

#[test]
fn refused_tokens_say_which_rule() {
    let told = event(Kind::AttestRefused(AttestRefused {
        reason: AttestRefusal::UsedToken.into(),
        remote: "10.0.0.9:4000".into(),
        detail: String::new(),
    }));
    assert_eq!(
        told.why,
        "the join token was used before, from 10.0.0.9:4000"
    );
    assert_eq!(told.data["reason"], "used_token");
}

#[test]
fn changed_documents_are_each_named() {
    let document = |name: &str, change: Change| DocumentChange {
        kind: DocumentKind::Policy.into(),
        name: name.into(),
        change: change.into(),
    };
    let told = event(Kind::DocumentsChanged(DocumentsChanged {
        generation: 8,
        documents: vec![
            document("a", Change::Created),
            document("b", Change::Deleted),
        ],
    }));
    assert_eq!(told.why, "generation 8: Policy a created, Policy b deleted");
}

#[test]
fn an_event_of_a_newer_server_is_still_an_event() {
    let told = view(Event::default());
    assert_eq!(told.what, "unknown");
}
