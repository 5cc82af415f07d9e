//! Which entry a process fits best.

use tidelock_attest::{MAX_PATH_BYTES, Need, appraise as compare};

use super::entry::Entry;
use super::process::Process;
use crate::measure::{Digest, Surroundings};

/// Something about a process that takes looking at it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fact<T> {
    /// Nobody asked yet.
    Unknown,
    /// It is being looked at.
    Asked,
    /// It is this, or cannot be known.
    Settled(Option<T>),
}

impl<T> Fact<T> {
    /// Asks, unless somebody did; `true` if that is news.
    pub(super) fn ask(&mut self) -> bool {
        let news = matches!(self, Self::Unknown);
        if news {
            *self = Self::Asked;
        }
        news
    }

    pub(super) fn known(&self) -> Option<&T> {
        match self {
            Self::Settled(known) => known.as_ref(),
            Self::Unknown | Self::Asked => None,
        }
    }

    fn is_open(&self) -> bool {
        !matches!(self, Self::Settled(_))
    }
}

/// What is known of a process beside what the kernel says.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The hash of its file.
    pub(super) digest: Fact<Digest>,
    /// What it belongs to.
    pub(super) surroundings: Fact<Surroundings>,
}

/// What the answer depends on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Needs {
    pub(super) digest: bool,
    pub(super) surroundings: bool,
}

/// What appraising a process against all entries comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Appraised<'e> {
    /// This entry fits best.
    Matched(&'e Entry),
    /// No entry fits.
    NoMatch,
    /// It depends on what is not known yet.
    Needs(Needs),
}

/// Finds the entry that fits a process best: the one with most selectors in one way to fit, of several the first by name.
///
/// A fact is asked for only where the answer depends on it, or, with `policies_need_digest`, what policies make of it.
/// `entries` are sorted by name.
pub(super) fn appraise<'e>(
    entries: &'e [Entry],
    process: &Process,
    facts: &Facts,
    policies_need_digest: bool,
) -> Appraised<'e> {
    let mut buf = [0; MAX_PATH_BYTES];
    let digest = facts.digest.known().copied();
    let evidence = process.evidence(digest, facts.surroundings.known(), &mut buf);
    let open = |need: Option<Need>| match need {
        None => false,
        Some(Need::Digest) => facts.digest.is_open(),
        Some(Need::Surroundings) => facts.surroundings.is_open(),
    };
    // Sorted by name, and only a longer way takes the place of an earlier one.
    let mut best: Option<(usize, &Entry)> = None;
    let mut needs = Needs::default();
    for entry in entries {
        for branch in entry.selectors.branches() {
            if best.is_some_and(|(len, _)| len >= branch.len()) {
                continue;
            }
            let known = branch
                .literals()
                .filter(|literal| !open(literal.selector.kind().need()));
            if !compare(known, &evidence).matched() {
                continue;
            }
            let lacks = |need| open(Some(need)) && branch.needs(need);
            let lacking = Needs {
                digest: lacks(Need::Digest),
                surroundings: lacks(Need::Surroundings),
            };
            if lacking == Needs::default() {
                best = Some((branch.len(), entry));
            }
            needs.digest |= lacking.digest;
            needs.surroundings |= lacking.surroundings;
        }
    }
    match best {
        // What `best` took the place of may have been shorter: asking costs little.
        _ if needs != Needs::default() => Appraised::Needs(needs),
        Some((_, entry)) => {
            let needs = Needs {
                digest: policies_need_digest && facts.digest.is_open(),
                surroundings: fills_from_unknown(entry, facts),
            };
            match needs == Needs::default() {
                true => Appraised::Matched(entry),
                false => Appraised::Needs(needs),
            }
        }
        None => Appraised::NoMatch,
    }
}

/// Who matches is known, and its SPIFFE ID is not yet.
fn fills_from_unknown(entry: &Entry, facts: &Facts) -> bool {
    facts.surroundings.is_open() && entry.fills_from(Need::Surroundings)
}
