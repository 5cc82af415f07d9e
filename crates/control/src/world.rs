//! The documents in force, as one immutable value per generation.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tidelock_proto::v1;
use tidelock_spiffe_core::TrustDomain;

use crate::document::{
    self, Compiled, Document, DocumentError, Format, Key, Kind, Lives, NodeGroup, Parsed, Policy,
    PolicyMode, Service, SourceFile, WorkloadIdentity,
};
use crate::name::Name;
use crate::revoked::Revoked;
use crate::shared::Made;
use crate::store::DocumentRecord;

/// Deadlines and bounds that nodes enforce: the defaults of the kernel contract.
pub(crate) const LIMITS: v1::Limits = v1::Limits {
    grant_wait_ms: 10_000,
    handshake_ms: 10_000,
    max_handshakes: 4_096,
    max_handshakes_per_listener: 1_024,
};

/// All documents at one generation, checked together, with what is made of them, and the bundle.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) generation: u64,
    pub(crate) documents: BTreeMap<Key, Document>,
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) bundle: Arc<v1::Bundle>,
    pub(crate) revoked: Arc<Revoked>,
    /// What nodes are sent of it.
    pub(crate) shared: Made,
}

/// A change that has been checked and can be committed.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) documents: BTreeMap<Key, Document>,
    pub(crate) compiled: Arc<Compiled>,
    /// Every document given, in order.
    pub(crate) changes: Vec<(Key, v1::Change)>,
}

impl World {
    /// Takes up what the store holds.
    ///
    /// # Errors
    /// What is wrong with the stored documents: nothing, unless someone or something else wrote them.
    pub(crate) fn load(
        generation: u64,
        records: &[DocumentRecord],
        bundle: v1::Bundle,
        revoked: Revoked,
        ours: TrustDomain<'_>,
    ) -> Result<Self, Vec<DocumentError>> {
        let mut errors = Vec::new();
        let files: Vec<SourceFile> = records.iter().map(stored_file).collect();
        let parsed = if files.is_empty() {
            Vec::new()
        } else {
            document::parse(&files, ours, &mut errors)
        };
        let documents = parsed
            .iter()
            .map(|p| (p.document.key(), p.document.clone()))
            .collect();
        let compiled = check(&documents, &parsed, &mut errors);
        match compiled {
            Some(compiled) if errors.is_empty() => Ok(Self {
                generation,
                documents,
                compiled: Arc::new(compiled),
                bundle: Arc::new(bundle),
                revoked: Arc::new(revoked),
                shared: Made::default(),
            }),
            _ => Err(errors),
        }
    }

    /// Checks files against what is in force.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn plan_apply(
        &self,
        files: &[SourceFile],
        ours: TrustDomain<'_>,
    ) -> Result<Plan, Vec<DocumentError>> {
        let mut errors = Vec::new();
        let parsed = document::parse(files, ours, &mut errors);
        let mut documents = self.documents.clone();
        let mut changes = Vec::with_capacity(parsed.len());
        for new in &parsed {
            let key = new.document.key();
            let change = match self.documents.get(&key) {
                None => v1::Change::Created,
                Some(old) if *old == new.document => v1::Change::Unchanged,
                Some(_) => v1::Change::Updated,
            };
            documents.insert(key.clone(), new.document.clone());
            changes.push((key, change));
        }
        match check(&documents, &parsed, &mut errors) {
            Some(compiled) if errors.is_empty() => Ok(Plan {
                documents,
                compiled: Arc::new(compiled),
                changes,
            }),
            _ => Err(document::in_order(files, errors)),
        }
    }

    /// Checks the removal of those of these documents that there are.
    ///
    /// # Errors
    /// Everything that is wrong with what would be left.
    pub(crate) fn plan_delete(&self, keys: &[Key]) -> Result<Plan, Vec<DocumentError>> {
        let mut documents = self.documents.clone();
        let mut changes = Vec::new();
        for key in keys {
            if documents.remove(key).is_some() {
                changes.push((key.clone(), v1::Change::Deleted));
            }
        }
        let mut errors = Vec::new();
        match check(&documents, &[], &mut errors) {
            Some(compiled) if errors.is_empty() => Ok(Plan {
                documents,
                compiled: Arc::new(compiled),
                changes,
            }),
            _ => Err(errors),
        }
    }

    /// Whether there is such a document.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.documents.contains_key(key)
    }

    pub(crate) fn identities(&self) -> impl Iterator<Item = &WorkloadIdentity> {
        self.documents.values().filter_map(|d| {
            if let Document::WorkloadIdentity(i) = d {
                Some(i)
            } else {
                None
            }
        })
    }

    pub(crate) fn identity(&self, name: &str) -> Option<&WorkloadIdentity> {
        let key = (Kind::WorkloadIdentity, Name::parse(name).ok()?);
        match self.documents.get(&key)? {
            Document::WorkloadIdentity(identity) => Some(identity),
            _ => None,
        }
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.documents.values().filter_map(|d| {
            if let Document::Service(s) = d {
                Some(s)
            } else {
                None
            }
        })
    }

    /// How many policies are only observed.
    pub(crate) fn policies_observed(&self) -> usize {
        let observed = |policy: &&Policy| policy.mode == PolicyMode::Observe;
        self.policies().filter(observed).count()
    }

    pub(crate) fn node_groups(&self) -> impl Iterator<Item = &NodeGroup> {
        self.documents.values().filter_map(|d| {
            if let Document::NodeGroup(group) = d {
                Some(group)
            } else {
                None
            }
        })
    }

    pub(crate) fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.documents.values().filter_map(|d| {
            if let Document::Policy(p) = d {
                Some(p)
            } else {
                None
            }
        })
    }
}

/// Tells what nodes are sent apart, as far as documents alone do not: another version of this program may make something else
/// of the same documents, and then the generation has to move.
pub(crate) fn fingerprint(compiled: &Compiled, bundle: &v1::Bundle, revoked: &Revoked) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [
        compiled.image.clone(),
        compiled.observed.clone(),
        LIMITS.encode_to_vec(),
        bundle.encode_to_vec(),
        compiled.lives.bytes(),
    ] {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    if let Some(revoked) = revoked.digest() {
        digest.update(revoked);
    }
    digest.finalize().into()
}

fn check(
    documents: &BTreeMap<Key, Document>,
    parsed: &[Parsed],
    errors: &mut Vec<DocumentError>,
) -> Option<Compiled> {
    document::conflicts(documents, parsed, errors);
    let compiled = document::compile(documents, parsed, errors)?;
    document::fits(documents, &compiled, parsed, errors);
    Some(compiled)
}

/// What stored documents say of lives, before all of them are taken up.
pub(crate) fn stored_lives(records: &[DocumentRecord], ours: TrustDomain<'_>) -> Lives {
    let of_domain = |record: &&DocumentRecord| record.key.kind == Kind::TrustDomain.as_str();
    let files: Vec<_> = records.iter().filter(of_domain).map(stored_file).collect();
    // What is wrong with them is told when they are taken up.
    let parsed = document::parse(&files, ours, &mut Vec::new());
    let documents = parsed.into_iter().map(|p| (p.document.key(), p.document));
    Lives::of(&documents.collect())
}

fn stored_file(record: &DocumentRecord) -> SourceFile {
    let name = format!("(store: {} {})", record.key.kind, record.key.name);
    SourceFile {
        name,
        text: record.json.clone(),
        format: Format::Yaml,
    }
}
