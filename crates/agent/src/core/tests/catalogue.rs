//! Entries and processes that tests draw from, and who matches, written down a second time.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidelock_attest::Template;
use tidelock_policy::{Expr, ImageBuilder, Rule};
use tidelock_proto::v1 as proto;
use tidelock_proto::v1::selector_expression::Is;

use crate::core::Desired;
use crate::measure::{Digest, FileId, Surroundings};

/// Which entries are on, one bit each, and which version of SPIFFE IDs they have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Plan {
    pub(super) on: u16,
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
    /// Any of them, beside the selectors.
    any_of: fn() -> Vec<String>,
    /// How many selectors it fits; `None`: not all that it has to.
    fits: fn(&Program) -> Option<usize>,
}

fn none() -> Vec<String> {
    Vec::new()
}

/// Bit of [`Plan::on`]: policies ask for the hash of what runs.
pub(super) const ASKS_FOR_DIGESTS: u16 = 1 << 15;

/// As many as [`Plan::on`] has bits, less that one.
const ENTRIES: usize = 10;

/// The group that processes under an odd uid are in, beside another.
const ODD: u32 = 77;

fn rows() -> [Row; ENTRIES] {
    [
        Row {
            id: "a",
            selectors: || vec!["unix:path:/bin/a".into()],
            any_of: none,
            fits: |p| (p.exe == "/bin/a").then_some(1),
        },
        Row {
            id: "a-one",
            selectors: || vec!["unix:path:/bin/a".into(), "unix:uid:1".into()],
            any_of: none,
            fits: |p| (p.exe == "/bin/a" && p.uid == 1).then_some(2),
        },
        Row {
            id: "a-one-again",
            selectors: || vec!["unix:uid:1".into(), "unix:path:/bin/a".into()],
            any_of: none,
            fits: |p| (p.exe == "/bin/a" && p.uid == 1).then_some(2),
        },
        Row {
            id: "a-zero",
            selectors: || vec!["unix:path:/bin/a".into(), hash(0)],
            any_of: none,
            fits: |p| (p.exe == "/bin/a" && p.content == 0 && p.hashable).then_some(2),
        },
        Row {
            id: "b-two",
            selectors: || vec!["unix:uid:2".into(), hash(1)],
            any_of: none,
            fits: |p| (p.uid == 2 && p.content == 1 && p.hashable).then_some(2),
        },
        Row {
            id: "b",
            selectors: || vec!["unix:path:/bin/b".into()],
            any_of: none,
            fits: |p| (p.exe == "/bin/b").then_some(1),
        },
        Row {
            id: "b-even-or-two",
            selectors: || {
                vec![
                    "unix:path:/bin/b".into(),
                    format!("not unix:supplementary_gid:{ODD}"),
                ]
            },
            any_of: || vec!["unix:uid:2".into(), hash(2)],
            fits: |p| {
                let even = p.exe == "/bin/b" && p.uid % 2 == 0;
                let any = p.uid == 2 || p.content == 2 && p.hashable;
                (even && any).then_some(3)
            },
        },
        Row {
            id: "c-odd",
            selectors: || {
                vec![
                    "unix:path:/bin/c".into(),
                    format!("unix:supplementary_gid:{ODD}"),
                ]
            },
            any_of: none,
            fits: |p| (p.exe == "/bin/c" && p.uid % 2 == 1).then_some(2),
        },
        Row {
            id: "c-user",
            selectors: || vec!["unix:path:/bin/c".into()],
            any_of: none,
            fits: |p| (p.exe == "/bin/c").then_some(1),
        },
        Row {
            id: "c-unit",
            selectors: || vec!["unix:path:/bin/c".into(), "unix:uid:2".into()],
            any_of: none,
            fits: |p| (p.exe == "/bin/c" && p.uid == 2).then_some(2),
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
    /// What is found in `/proc`.
    pub(super) fn surroundings(&self) -> Surroundings {
        let odd = (self.uid % 2 == 1).then_some(ODD);
        Surroundings {
            groups: odd.into_iter().chain([5]).collect(),
            // Two of three contents run in a unit whose name a SPIFFE ID can hold.
            unit: match self.content {
                0 => Some("c@0.service".into()),
                content => Some(format!("c{content}.service")),
            },
            ..Surroundings::default()
        }
    }

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

impl Row {
    fn entry(&self, spiffe_id: String, x509_ttl_secs: u32) -> proto::Entry {
        let (selectors, any_of) = ((self.selectors)(), (self.any_of)());
        let plain = any_of.is_empty() && selectors.iter().all(|text| !text.starts_with("not "));
        let entry = proto::Entry {
            id: self.id.into(),
            spiffe_id,
            x509_ttl_secs,
            ..proto::Entry::default()
        };
        if plain {
            return proto::Entry { selectors, ..entry };
        }
        let mut of: Vec<_> = selectors.iter().map(|text| expression(text)).collect();
        if !any_of.is_empty() {
            let of_any = any_of.iter().map(|text| expression(text)).collect();
            of.push(is(Is::AnyOf(proto::SelectorExpressions { of: of_any })));
        }
        proto::Entry {
            expression: Some(is(Is::AllOf(proto::SelectorExpressions { of }))),
            version: tidelock_proto::ENTRY_VERSION,
            ..entry
        }
    }
}

fn is(is: Is) -> proto::SelectorExpression {
    proto::SelectorExpression { is: Some(is) }
}

fn expression(text: &str) -> proto::SelectorExpression {
    match text.strip_prefix("not ") {
        Some(text) => is(Is::Not(Box::new(expression(text)))),
        None => is(Is::Selector(text.into())),
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

    /// What the entries say: SPIFFE IDs, and templates of them.
    fn written(self, id: &str) -> String {
        match id {
            "c-user" => self.spiffe_id(id) + "/{{unix.uid}}",
            "c-unit" => self.spiffe_id(id) + "/{{systemd.unit}}",
            fixed => self.spiffe_id(fixed),
        }
    }

    /// The SPIFFE ID that a program has under this plan: the oracle.
    pub(super) fn expects(self, program: &Program) -> Option<String> {
        let fitting = self
            .rows()
            .filter_map(|row| Some((usize::MAX - (row.fits)(program)?, row.id)));
        let (_, id) = fitting.min()?;
        match (id, program.content) {
            ("c-user", _) => Some(format!("{}/{}", self.spiffe_id(id), program.uid)),
            ("c-unit", 0) => None,
            ("c-unit", content) => Some(format!("{}/c{content}.service", self.spiffe_id(id))),
            _ => Some(self.spiffe_id(id)),
        }
    }

    /// Every SPIFFE ID of the plan while these run, and only these.
    pub(super) fn spiffe_ids<'p>(
        self,
        programs: impl IntoIterator<Item = &'p Program>,
    ) -> BTreeSet<String> {
        let fixed = self.rows().map(|row| self.written(row.id));
        let fixed = fixed.filter(|id| !id.contains('{'));
        let of_processes = programs.into_iter().filter_map(|p| self.expects(p));
        fixed.chain(of_processes).collect()
    }

    /// Would a control plane sign it?
    pub(super) fn admits(self, id: &str) -> bool {
        let written = self.rows().map(|row| self.written(row.id));
        let mut templates = written.map(|written| Template::parse(&written).unwrap());
        templates.any(|template| template.admits(id))
    }

    /// The simulated kernel does not decide by it.
    fn policy(self) -> Vec<u8> {
        if self.on & ASKS_FOR_DIGESTS == 0 {
            return Vec::new();
        }
        let client = Box::new(Expr::attribute("client"));
        let measured = Expr::Has(client, "sha256".into());
        let mut image = ImageBuilder::new();
        image
            .push(&Rule::permit("measured").when(&measured))
            .unwrap();
        image.build().unwrap()
    }

    pub(super) fn desired(self, generation: u64, revoked: &[Vec<u8>]) -> Arc<Desired> {
        let entries = self
            .rows()
            .map(|row| row.entry(self.written(row.id), self.ttl_secs))
            .collect();
        let snapshot = proto::Snapshot {
            generation,
            entries,
            services: vec![],
            bundles: vec![],
            policy: Some(proto::PolicySet {
                image: self.policy(),
                ..proto::PolicySet::default()
            }),
            limits: Some(proto::Limits {
                grant_wait_ms: 1000,
                handshake_ms: 1000,
                max_handshakes: 16,
                max_handshakes_per_listener: 16,
            }),
            revoked_serials: revoked.to_vec(),
        };
        Arc::new(Desired::parse(snapshot).unwrap())
    }
}
