//! The audit log: who changed what, and what was issued to whom, as a chain in which nothing can be altered, taken out or
//! put in without breaking it.
//!
//! Each entry's hash is over its content, its number and the hash of the entry before it. The store keeps the number and the
//! hash of the last one beside the log, so that an end that is cut off is missed too. Who can write to the store can write a
//! whole new chain: what [`Chain`] cannot see is seen by comparing with a hash that was noted elsewhere.

use std::fmt;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::clock;
use crate::document::Role;
use crate::name::Name;

/// What every hash begins with, so that it can be no other kind of hash.
const DOMAIN: &[u8] = b"tidelock audit log 1\0";

/// SHA-256 over an entry and all before it.
pub type AuditHash = [u8; 32];

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

/// Where a log ends. The default is that of an empty one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AuditHead {
    /// The last entry's number; 0 if there is none.
    pub seq: u64,
    /// The last entry's hash; zeros if there is none.
    pub hash: AuditHash,
}

/// Where the chain is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// An entry is not there.
    #[error("entry {seq} is missing")]
    Missing {
        /// Its number.
        seq: u64,
    },
    /// An entry, or its hash, is not what was written after the one before it.
    #[error("entry {seq} was altered, or does not follow the one before it")]
    Altered {
        /// Its number.
        seq: u64,
    },
    /// An entry is there that was never written.
    #[error("entry {seq} is behind the end of the log")]
    Unwritten {
        /// Its number.
        seq: u64,
    },
    /// The chain is whole, and not the one that was noted.
    #[error("entry {seq} is not the one that was noted: the log was written anew")]
    Rewritten {
        /// Its number.
        seq: u64,
    },
}

impl Broken {
    /// The number of the first entry that is wrong.
    #[must_use]
    pub fn seq(self) -> u64 {
        match self {
            Self::Missing { seq }
            | Self::Altered { seq }
            | Self::Unwritten { seq }
            | Self::Rewritten { seq } => seq,
        }
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

impl AuditHead {
    /// The next entry's place in the log, and the head that it makes.
    #[must_use]
    pub fn append(self, entry: &AuditEntry) -> Self {
        let seq = self.seq.saturating_add(1);
        let mut digest = Sha256::new();
        digest.update(DOMAIN);
        digest.update(self.hash);
        digest.update(seq.to_le_bytes());
        digest.update(entry.time_unix_ns.to_le_bytes());
        for text in [&entry.actor, &entry.action, &entry.subject, &entry.detail] {
            // With its length, so that nothing moves from one text to the next.
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        let hash = digest.finalize().into();
        Self { seq, hash }
    }
}

/// Follows a log from its beginning to where the store says that it ends.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    at: AuditHead,
    end: AuditHead,
    noted: Option<AuditHead>,
}

impl Chain {
    /// Begins. `noted` is what somebody wrote down of this log before, if anything.
    #[must_use]
    pub fn new(end: AuditHead, noted: Option<AuditHead>) -> Self {
        let at = AuditHead::default();
        Self { at, end, noted }
    }

    /// The last entry seen.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.at.seq
    }

    /// Takes the next record, in order of the numbers.
    ///
    /// # Errors
    /// It is not the one that belongs there.
    pub fn take(&mut self, record: &AuditRecord) -> Result<(), Broken> {
        let next = self.at.append(&record.entry);
        if record.seq != next.seq {
            return Err(Broken::Missing { seq: next.seq });
        }
        let seq = record.seq;
        if seq > self.end.seq {
            return Err(Broken::Unwritten { seq });
        }
        if record.hash != next.hash {
            return Err(Broken::Altered { seq });
        }
        if self
            .noted
            .is_some_and(|noted| noted.seq == seq && noted != next)
        {
            return Err(Broken::Rewritten { seq });
        }
        self.at = next;
        Ok(())
    }

    /// There are no more records.
    ///
    /// # Errors
    /// There should be.
    pub fn finish(self) -> Result<AuditHead, Broken> {
        let noted = self.noted.map_or(0, |noted| noted.seq);
        if self.at.seq < self.end.seq.max(noted) {
            let seq = self.at.seq.saturating_add(1);
            return Err(Broken::Missing { seq });
        }
        if self.at != self.end {
            let seq = self.at.seq;
            return Err(Broken::Altered { seq });
        }
        Ok(self.at)
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
