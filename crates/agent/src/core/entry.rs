//! Entries: who matches, and which SPIFFE ID they get.

use tidelock_attest::{Selectors, SelectorsError};
use tidelock_proto::v1 as proto;
use tidelock_spiffe_core::{SpiffeIdBuf, SpiffeIdError};

use super::prefilter::Rule;
use super::process::Process;
use super::subjects::DigestState;

/// Longest life of an X509-SVID that is sensible to renew by timer: a year, in seconds.
const MAX_TTL_SECS: u32 = 366 * 86_400;

/// What the authority made of a WorkloadIdentity.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name, unique.
    pub id: String,
    /// All of them have to match.
    pub selectors: Selectors,
    /// Life of its certificates.
    pub ttl_secs: u32,
    spiffe_id: SpiffeIdBuf,
}

/// Why this agent cannot serve an entry.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProblem {
    /// It has no name.
    #[error("it has no name")]
    NoName,
    /// Its selectors are wrong, or newer than this agent.
    #[error("{0}")]
    Selectors(SelectorsError),
    /// Its SPIFFE ID is none.
    #[error("`{id}`: {why}")]
    SpiffeId {
        /// The text given.
        id: String,
        /// What is wrong with it.
        why: SpiffeIdError,
    },
    /// A SPIFFE ID of a trust domain, not of a workload.
    #[error("`{id}` has no path")]
    Pathless {
        /// The SPIFFE ID.
        id: String,
    },
    /// A life that is no life.
    #[error("a life of {ttl_secs} s is out of range")]
    Ttl {
        /// The life given.
        ttl_secs: u32,
    },
}

impl Entry {
    /// Reads an entry.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn parse(entry: proto::Entry) -> Result<Self, EntryProblem> {
        if entry.id.is_empty() {
            return Err(EntryProblem::NoName);
        }
        let selectors = Selectors::parse(&entry.selectors).map_err(EntryProblem::Selectors)?;
        let spiffe_id = SpiffeIdBuf::parse(&entry.spiffe_id).map_err(|why| {
            let id = entry.spiffe_id.clone();
            EntryProblem::SpiffeId { id, why }
        })?;
        if spiffe_id.path().is_empty() {
            let id = spiffe_id.as_str().to_owned();
            return Err(EntryProblem::Pathless { id });
        }
        if !(1..=MAX_TTL_SECS).contains(&entry.x509_ttl_secs) {
            let ttl_secs = entry.x509_ttl_secs;
            return Err(EntryProblem::Ttl { ttl_secs });
        }
        Ok(Self {
            id: entry.id,
            selectors,
            ttl_secs: entry.x509_ttl_secs,
            spiffe_id,
        })
    }

    /// The SPIFFE ID of its certificates.
    #[must_use]
    pub fn spiffe_id(&self) -> &str {
        self.spiffe_id.as_str()
    }

    /// Which processes the kernel has to ask about for this entry's sake.
    pub(super) fn rule(&self) -> Rule {
        Rule {
            exe: self.selectors.path().map(str::to_owned),
            uid: self.selectors.uid(),
        }
    }
}

/// What appraising a process against all entries comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Appraised<'e> {
    /// This entry fits best.
    Matched(&'e Entry),
    /// No entry fits.
    NoMatch,
    /// It depends on the hash of the process's file, which is not known yet.
    NeedsDigest,
}

/// Finds the entry that fits a process best: the one with most selectors, of several the first by name.
///
/// A hash is asked for only where the answer depends on it. `entries` are sorted by name.
pub(super) fn appraise<'e>(
    entries: &'e [Entry],
    process: &Process,
    digest: DigestState,
) -> Appraised<'e> {
    let mut buf = [0; tidelock_attest::MAX_PATH_BYTES];
    let (evidence, settled) = match digest {
        DigestState::Settled(digest) => (process.evidence(digest, &mut buf), true),
        DigestState::Unknown | DigestState::Making => (process.evidence(None, &mut buf), false),
    };
    // Sorted by name, and only a longer list takes the place of an earlier one.
    let mut best: Option<&Entry> = None;
    let mut depends = false;
    for entry in entries {
        if best.is_some_and(|best| best.selectors.len() >= entry.selectors.len()) {
            continue;
        }
        if settled || !entry.selectors.needs_digest() {
            if entry.selectors.matches(&evidence).matched() {
                best = Some(entry);
            }
        } else {
            depends |= process.fits_but_for_digest(&entry.selectors, &evidence);
        }
    }
    match best {
        // An entry seen before `best` that depends on the hash may still be shorter: asking costs little.
        _ if depends => Appraised::NeedsDigest,
        Some(entry) => Appraised::Matched(entry),
        None => Appraised::NoMatch,
    }
}
