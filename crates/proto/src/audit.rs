//! The audit log's chain of hashes, for whoever follows it: the control plane in its store, and anybody in what it lists.
//!
//! Each entry's hash is over its content, its number and the hash of the entry before it. Who can write to the store can write a
//! whole new chain: what [`Chain`] cannot see is seen by comparing with a head that was noted elsewhere.

use sha2::{Digest as _, Sha256};

use crate::v1;

/// What every hash begins with, so that it can be no other kind of hash.
const DOMAIN: &[u8] = b"tidelock audit log 1\0";

/// SHA-256 over an entry and all before it.
pub type AuditHash = [u8; 32];

/// Where a log ends. The default is that of an empty one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AuditHead {
    /// The last entry's number; 0 if there is none.
    pub seq: u64,
    /// The last entry's hash; zeros if there is none.
    pub hash: AuditHash,
}

/// What of an entry its hash is over, besides its place.
pub trait Audited {
    /// When it was done, in nanoseconds since the Unix epoch.
    fn time_unix_ns(&self) -> u64;

    /// Actor, action, subject and detail.
    fn texts(&self) -> [&str; 4];
}

/// An entry in its place.
pub trait Recorded {
    /// What it says.
    type Entry: Audited;

    /// Its number, from 1.
    fn seq(&self) -> u64;

    /// What it says.
    fn entry(&self) -> &Self::Entry;

    /// What is said to be its hash.
    fn hash(&self) -> &[u8];
}

impl Audited for v1::AuditEntry {
    fn time_unix_ns(&self) -> u64 {
        self.time_unix_ns
    }

    fn texts(&self) -> [&str; 4] {
        [&self.actor, &self.action, &self.subject, &self.detail]
    }
}

impl Recorded for v1::AuditEntry {
    type Entry = Self;

    fn seq(&self) -> u64 {
        self.seq
    }

    fn entry(&self) -> &Self {
        self
    }

    fn hash(&self) -> &[u8] {
        &self.hash
    }
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

impl AuditHead {
    /// The next entry's place in the log, and the head that it makes.
    #[must_use]
    pub fn append(self, entry: &impl Audited) -> Self {
        let seq = self.seq.saturating_add(1);
        let mut digest = Sha256::new();
        digest.update(DOMAIN);
        digest.update(self.hash);
        digest.update(seq.to_le_bytes());
        digest.update(entry.time_unix_ns().to_le_bytes());
        for text in entry.texts() {
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
    pub fn take(&mut self, record: &impl Recorded) -> Result<(), Broken> {
        let (seq, next) = (record.seq(), self.at.append(record.entry()));
        if seq != next.seq {
            return Err(Broken::Missing { seq: next.seq });
        }
        if seq > self.end.seq {
            return Err(Broken::Unwritten { seq });
        }
        if record.hash() != next.hash {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a control plane lists whose entries are changed by `forge` before it makes their hashes.
    fn listed(forge: impl Fn(&mut v1::AuditEntry)) -> (Vec<v1::AuditEntry>, AuditHead) {
        let mut head = AuditHead::default();
        let entry = |n| {
            let mut entry = v1::AuditEntry {
                seq: n,
                time_unix_ns: n,
                actor: "uid 0".into(),
                action: "svid-issued".into(),
                subject: format!("spiffe://example.org/{n}"),
                detail: "{}".into(),
                hash: vec![],
            };
            forge(&mut entry);
            head = head.append(&entry);
            entry.hash = head.hash.to_vec();
            entry
        };
        let entries = (1..=5).map(entry).collect();
        (entries, head)
    }

    fn follow(
        entries: &[v1::AuditEntry],
        end: AuditHead,
        noted: Option<AuditHead>,
    ) -> Result<AuditHead, Broken> {
        let mut chain = Chain::new(end, noted);
        entries.iter().try_for_each(|entry| chain.take(entry))?;
        chain.finish()
    }

    #[test]
    fn what_is_listed_as_it_was_written_is_whole() {
        let (entries, end) = listed(|_| {});
        assert_eq!(follow(&entries, end, Some(end)), Ok(end));
    }

    #[test]
    fn what_is_listed_otherwise_than_it_was_written_is_found() {
        let tampers: [fn(&mut v1::AuditEntry); 6] = [
            |entry| entry.time_unix_ns += 1,
            |entry| entry.actor = "uid 7".into(),
            |entry| entry.action.push('x'),
            |entry| entry.subject.clear(),
            |entry| entry.detail = "{ }".into(),
            |entry| entry.hash = vec![0; 31],
        ];
        for tamper in tampers {
            let (mut entries, end) = listed(|_| {});
            tamper(&mut entries[2]);
            let found = follow(&entries, end, None);
            assert_eq!(found, Err(Broken::Altered { seq: 3 }));
        }
        let (mut entries, end) = listed(|_| {});
        entries.remove(2);
        let found = follow(&entries, end, None);
        assert_eq!(found, Err(Broken::Missing { seq: 3 }));
    }

    #[test]
    fn a_control_plane_that_made_a_whole_new_log_is_found_by_who_noted_an_earlier_head() {
        let (entries, _) = listed(|_| {});
        let noted = AuditHead::default().append(&entries[0]);
        let noted = noted.append(&entries[1]);
        let (forged, end) = listed(|entry| entry.actor = "uid 7".into());
        assert_eq!(follow(&forged, end, None), Ok(end), "it is whole");
        let found = follow(&forged, end, Some(noted));
        assert_eq!(found, Err(Broken::Rewritten { seq: 2 }));
        // Nor is it enough to say of another end that it is that of the log.
        let found = follow(&entries, end, None);
        assert_eq!(found, Err(Broken::Altered { seq: 5 }));
    }
}
