//! Entries and processes that tests draw from, and who matches, written down a second time.

use std::sync::Arc;

use tidelock_proto::v1 as proto;

use crate::core::Desired;
use crate::measure::{Digest, FileId};

/// Which entries are on, one bit each, and which version of SPIFFE IDs they have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Plan {
    pub(super) on: u8,
    pub(super) version: u8,
    pub(super) ttl_secs: u32,
}

/// A program that processes run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Program {
    pub(super) exe: &'static str,
    pub(super) uid: u32,
    /// Which content the file has.
    pub(super) content: u8,
    pub(super) hashable: bool,
}

/// An entry: its name, its selectors, and the same as a predicate.
struct Row {
    id: &'static str,
    selectors: fn() -> Vec<String>,
    fits: fn(&Program) -> bool,
}

pub(super) const ENTRIES: u8 = 6;

fn rows() -> [Row; ENTRIES as usize] {
    [
        Row {
            id: "a",
            selectors: || vec!["unix:path:/bin/a".into()],
            fits: |p| p.exe == "/bin/a",
        },
        Row {
            id: "a-one",
            selectors: || vec!["unix:path:/bin/a".into(), "unix:uid:1".into()],
            fits: |p| p.exe == "/bin/a" && p.uid == 1,
        },
        Row {
            id: "a-one-again",
            selectors: || vec!["unix:uid:1".into(), "unix:path:/bin/a".into()],
            fits: |p| p.exe == "/bin/a" && p.uid == 1,
        },
        Row {
            id: "a-zero",
            selectors: || vec!["unix:path:/bin/a".into(), hash(0)],
            fits: |p| p.exe == "/bin/a" && p.content == 0 && p.hashable,
        },
        Row {
            id: "b-two",
            selectors: || vec!["unix:uid:2".into(), hash(1)],
            fits: |p| p.uid == 2 && p.content == 1 && p.hashable,
        },
        Row {
            id: "b",
            selectors: || vec!["unix:path:/bin/b".into()],
            fits: |p| p.exe == "/bin/b",
        },
    ]
}

fn hash(content: u8) -> String {
    let hex: String = digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("unix:sha256:{hex}")
}

pub(super) fn digest(content: u8) -> Digest {
    [content + 1; 32]
}

impl Program {
    pub(super) fn file(&self) -> FileId {
        let ino = u64::from(self.exe.as_bytes()[5]) << 8 | u64::from(self.content);
        FileId {
            dev: 5,
            ino,
            size: 100,
            ctime_ns: 7,
        }
    }
}

impl Plan {
    fn rows(self) -> impl Iterator<Item = Row> {
        rows()
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| self.on & 1 << bit != 0)
            .map(|(_, row)| row)
    }

    fn spiffe_id(self, id: &str) -> String {
        format!("spiffe://td/v{}/{id}", self.version)
    }

    /// The SPIFFE ID that a program has under this plan: the oracle.
    pub(super) fn expects(self, program: &Program) -> Option<String> {
        let fitting = self.rows().filter(|row| (row.fits)(program));
        let best = fitting.min_by_key(|row| (usize::MAX - (row.selectors)().len(), row.id));
        best.map(|row| self.spiffe_id(row.id))
    }

    /// Every SPIFFE ID of the plan.
    pub(super) fn spiffe_ids(self) -> Vec<String> {
        self.rows().map(|row| self.spiffe_id(row.id)).collect()
    }

    pub(super) fn desired(self, generation: u64) -> Arc<Desired> {
        let entries = self
            .rows()
            .map(|row| proto::Entry {
                id: row.id.into(),
                spiffe_id: self.spiffe_id(row.id),
                selectors: (row.selectors)(),
                x509_ttl_secs: self.ttl_secs,
            })
            .collect();
        let snapshot = proto::Snapshot {
            generation,
            entries,
            services: vec![],
            bundles: vec![],
            policy: Some(proto::PolicySet::default()),
            limits: Some(proto::Limits {
                grant_wait_ms: 1000,
                handshake_ms: 1000,
                max_handshakes: 16,
                max_handshakes_per_listener: 16,
            }),
        };
        Arc::new(Desired::parse(snapshot).unwrap())
    }
}
