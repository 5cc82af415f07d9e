//! Rows to write.

use tidelock_ca::State;

use crate::audit::AuditEntry;
use crate::store::{
    Authorities, AuthorityRecord, DocumentKey, DocumentRecord, EventRecord, JoinedBy,
    JwtAuthorityRecord, NodeRecord, RevokedRecord, TokenRecord,
};
use crate::token::{TokenHash, TokenId};

pub(super) fn document(name: &str, json: &str) -> DocumentRecord {
    document_of("Policy", name, json)
}

pub(super) fn document_of(kind: &str, name: &str, json: &str) -> DocumentRecord {
    DocumentRecord {
        key: DocumentKey {
            kind: kind.into(),
            name: name.into(),
        },
        json: json.into(),
    }
}

pub(super) fn authority(certificate: u8, state: State) -> AuthorityRecord {
    AuthorityRecord {
        certificate: vec![certificate],
        key_file: "k".into(),
        state,
        since: 1,
        until: Some(2),
        generation: 3,
    }
}

pub(super) fn jwt_authority(key: u8, state: State) -> JwtAuthorityRecord {
    JwtAuthorityRecord {
        key_id: format!("k{key}"),
        public_key: vec![key],
        key_file: "j".into(),
        state,
        since: 1,
        until: 2,
        not_after: 4,
        generation: 3,
    }
}

pub(super) fn authorities() -> Authorities {
    Authorities {
        trust_domain: "example.org".into(),
        sequence: 1,
        x509: vec![authority(1, State::Active)],
        jwt: vec![jwt_authority(1, State::Active)],
    }
}

pub(super) fn token(id: u8, expires: i64) -> TokenRecord {
    TokenRecord {
        id: TokenId([id; 8]),
        hash: TokenHash([id; 32]),
        node: format!("n{id}"),
        expires,
        used: None,
    }
}

pub(super) fn node(name: &str, serial: u8) -> NodeRecord {
    NodeRecord {
        name: name.into(),
        serial: vec![serial],
        previous_serial: None,
        not_after: 5,
        attested: 4,
        joined_by: JoinedBy::Token,
        certificate_allowed: false,
    }
}

pub(super) fn event(seq: u64) -> EventRecord {
    EventRecord {
        seq,
        bytes: vec![1],
    }
}

pub(super) fn revoked(serial: &[u8], until: i64) -> RevokedRecord {
    RevokedRecord {
        serial: serial.to_vec(),
        spiffe_id: "spiffe://td/web".into(),
        node: "n1".into(),
        until,
    }
}

pub(super) fn entry(subject: &str) -> AuditEntry {
    AuditEntry {
        time_unix_ns: 1,
        actor: "uid 0".into(),
        action: "document-created".into(),
        subject: subject.into(),
        detail: "{}".into(),
    }
}

/// What the audit log says of an SVID.
pub(super) fn issuance(
    (action, actor): (&str, &str),
    subject: &str,
    serial: &str,
    not_after: i64,
) -> AuditEntry {
    AuditEntry {
        actor: actor.into(),
        action: action.into(),
        detail: format!(r#"{{"entry":"e","not_after":{not_after},"serial":"{serial}"}}"#),
        ..entry(subject)
    }
}

/// What the audit log says of an SVID that is revoked.
pub(super) fn revocation(serial: &str, why: &str) -> AuditEntry {
    let detail = format!(r#"{{"by":"svid {serial}","reason":"{why}","serial":"{serial}"}}"#);
    AuditEntry {
        action: "svid-revoked".into(),
        detail,
        ..entry("spiffe://td/web")
    }
}
