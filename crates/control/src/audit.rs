//! The audit log: who changed what, and what was issued to whom, as a chain in which nothing can be altered, taken out or
//! put in without breaking it.
//!
//! Each entry's hash is over its content, its number and the hash of the entry before it. The store keeps the number and the
//! hash of the last one beside the log, so that an end that is cut off is missed too. Who can write to the store can write a
//! whole new chain: what [`Chain`] cannot see is seen by comparing with a hash that was noted elsewhere.

use std::fmt;

use serde_json::Value;
pub use tidelock_proto::audit::{AuditHash, AuditHead, Broken, Chain};
use tidelock_proto::audit::{Audited, Recorded};

use crate::clock;
use crate::document::Role;
use crate::name::Name;

/// Who did something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Actor {
    /// The control plane itself, as time passed or its version changed.
    Control,
    /// A user of the control plane's machine, at the administrators' socket.
    User(u32),
    /// An operator, by its SVID, and the role that let it; none did what was refused.
    Operator(Name, Option<Role>),
    /// A node, by its SVID.
    Node(Name),
    /// Whoever held a join token, by the part of it that is no secret.
    Token(String),
    /// Whoever held a node's certificate, by the first 8 bytes of its SHA-256.
    Certificate(String),
}

/// Something that was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEntry {
    /// When, in nanoseconds since the Unix epoch.
    pub time_unix_ns: u64,
    /// Who did it: `control plane`, `uid 0`, `operator alice (editor)`, `node web-1`, `token 1f2e…`, `certificate 1f2e…`.
    pub actor: String,
    /// What was done: a stable name, such as `svid-issued`.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// What more there is to say, as JSON.
    pub detail: String,
}

/// An entry as it stands in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditRecord {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// What it says.
    pub entry: AuditEntry,
    /// Over it and all before it.
    pub hash: AuditHash,
}

impl Audited for AuditEntry {
    fn time_unix_ns(&self) -> u64 {
        self.time_unix_ns
    }

    fn texts(&self) -> [&str; 4] {
        [&self.actor, &self.action, &self.subject, &self.detail]
    }
}

impl Recorded for AuditRecord {
    type Entry = AuditEntry;

    fn seq(&self) -> u64 {
        self.seq
    }

    fn entry(&self) -> &AuditEntry {
        &self.entry
    }

    fn hash(&self) -> &[u8] {
        &self.hash
    }
}

impl AuditEntry {
    /// Says that something is done now.
    pub(crate) fn now(actor: &Actor, action: &str, subject: &str, detail: &Value) -> Self {
        Self {
            time_unix_ns: clock::unix_nanos(),
            actor: actor.to_string(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_string(),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control => f.write_str("control plane"),
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Operator(name, Some(role)) => write!(f, "operator {name} ({role})"),
            Self::Operator(name, None) => write!(f, "operator {name}"),
            Self::Node(name) => write!(f, "node {name}"),
            Self::Token(id) => write!(f, "token {id}"),
            Self::Certificate(id) => write!(f, "certificate {id}"),
        }
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
