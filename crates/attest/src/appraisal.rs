//! Appraisal: evidence against selectors.

use core::fmt;

use crate::evidence::{ContainerId, Evidence, Script, Sha256};
use crate::selector::Selector;

/// A selector, or its opposite.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Literal<'a> {
    /// The selector.
    pub selector: Selector<'a>,
    /// Must the process be anything else?
    pub negated: bool,
}

impl<'a> From<Selector<'a>> for Literal<'a> {
    fn from(selector: Selector<'a>) -> Self {
        Self {
            selector,
            negated: false,
        }
    }
}

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.negated {
            true => write!(f, "not {}", self.selector),
            false => self.selector.fmt(f),
        }
    }
}

/// Whether evidence fits selectors; if not, the first that it does not fit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Appraisal<'a> {
    fitting: usize,
    mismatch: Option<Mismatch<'a>>,
}

impl<'a> Appraisal<'a> {
    /// Does the evidence fit every selector?
    #[must_use]
    pub const fn matched(&self) -> bool {
        self.mismatch.is_none()
    }

    /// How many selectors it fits, counted up to the first that it does not.
    #[must_use]
    pub const fn fitting(&self) -> usize {
        self.fitting
    }

    /// The first selector that the evidence does not fit.
    #[must_use]
    pub const fn first_mismatch(&self) -> Option<&Mismatch<'a>> {
        self.mismatch.as_ref()
    }
}

/// A selector that evidence does not fit, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mismatch<'a> {
    /// The selector; `None` if there were none, which matches nobody.
    pub literal: Option<Literal<'a>>,
    /// What the evidence says.
    pub why: Why<'a>,
}

/// Why evidence does not fit a selector.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Why<'a> {
    /// There is no selector.
    NoSelectors,
    /// It is what it must not be.
    Excluded,
    /// Another uid.
    Uid(u32),
    /// Another gid.
    Gid(u32),
    /// Another path; empty if the file has none.
    Path(&'a [u8]),
    /// Another digest.
    Sha256(Sha256),
    /// Another script.
    Script(Script<'a>),
    /// In this many supplementary groups, and not in this one.
    Groups(usize),
    /// Another unit; `None`: in none.
    Unit(Option<&'a str>),
    /// Another container; `None`: in none.
    Container(Option<ContainerId>),
    /// Its paths are not the host's.
    ForeignPaths,
    /// The executed file's content can change unseen.
    Unhashable,
    /// The executed file's digest was not taken.
    NoDigest,
    /// It runs no script, or it cannot be told which.
    NoScript,
    /// What it belongs to was not or could not be looked at.
    NoSurroundings,
}

impl Why<'_> {
    /// Is it unknown what the process is? Then it fits neither a selector nor its opposite.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::ForeignPaths
                | Self::Path([])
                | Self::Unhashable
                | Self::NoDigest
                | Self::NoScript
                | Self::NoSurroundings
        )
    }
}

/// Compares evidence with selectors, all of which must fit, in their order. No selectors match nobody.
///
/// What is not known fits nothing, not even the opposite of a selector.
pub fn appraise<'a>(
    literals: impl IntoIterator<Item = impl Into<Literal<'a>>>,
    evidence: &Evidence<'a>,
) -> Appraisal<'a> {
    let mut fitting = 0_usize;
    for literal in literals {
        let literal = literal.into();
        if let Err(why) = check(literal, evidence) {
            let literal = Some(literal);
            let mismatch = Some(Mismatch { literal, why });
            return Appraisal { fitting, mismatch };
        }
        fitting = fitting.saturating_add(1);
    }
    let none = Mismatch {
        literal: None,
        why: Why::NoSelectors,
    };
    Appraisal {
        fitting,
        mismatch: if fitting > 0 { None } else { Some(none) },
    }
}

fn check<'a>(literal: Literal<'a>, evidence: &Evidence<'a>) -> Result<(), Why<'a>> {
    match (fits(literal.selector, evidence), literal.negated) {
        (fits, false) => fits,
        (Ok(()), true) => Err(Why::Excluded),
        (Err(why), true) if why.is_unknown() => Err(why),
        (Err(_), true) => Ok(()),
    }
}

fn fits<'a>(selector: Selector<'a>, evidence: &Evidence<'a>) -> Result<(), Why<'a>> {
    let fits = |fits: bool, why| if fits { Ok(()) } else { Err(why) };
    let around = evidence.surroundings.ok_or(Why::NoSurroundings);
    match selector {
        Selector::Uid(uid) => fits(uid == evidence.uid, Why::Uid(evidence.uid)),
        Selector::Gid(gid) => fits(gid == evidence.gid, Why::Gid(evidence.gid)),
        Selector::Path(_) | Selector::Script(_) if !evidence.host_paths => Err(Why::ForeignPaths),
        Selector::Path(path) => fits(path.as_bytes() == evidence.exe, Why::Path(evidence.exe)),
        Selector::Script(path) => match evidence.script {
            None => Err(Why::NoScript),
            Some(script) => fits(path.as_bytes() == script.path, Why::Script(script)),
        },
        Selector::Sha256(_) if evidence.unhashable => Err(Why::Unhashable),
        Selector::Sha256(digest) => match evidence.sha256 {
            None => Err(Why::NoDigest),
            Some(own) => fits(digest == own, Why::Sha256(own)),
        },
        Selector::SupplementaryGid(gid) => {
            let groups = around?.groups;
            fits(groups.contains(&gid), Why::Groups(groups.len()))
        }
        Selector::Unit(unit) => {
            let own = around?.unit;
            fits(own == Some(unit), Why::Unit(own))
        }
        Selector::Container(id) => {
            let own = around?.container;
            fits(own == Some(id), Why::Container(own))
        }
    }
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.literal {
            Some(literal) => write!(f, "`{literal}` does not match: {}", self.why),
            None => self.why.fmt(f),
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSelectors => f.write_str("there are no selectors"),
            Self::Excluded => f.write_str("that is what the process is"),
            Self::Uid(uid) => write!(f, "the uid is {uid}"),
            Self::Gid(gid) => write!(f, "the gid is {gid}"),
            Self::Path([]) => f.write_str("the executed file has no path"),
            Self::Path(path) => write!(f, "the executed file is `{}`", path.escape_ascii()),
            Self::Sha256(digest) => write!(f, "the executed file's sha256 is {digest}"),
            Self::Script(script) => {
                write!(f, "the script is `{}`, {}", script.path.escape_ascii(), script.source)
            }
            Self::Groups(count) => write!(f, "it is none of the {count} supplementary groups"),
            Self::Unit(Some(unit)) => write!(f, "the unit is `{unit}`"),
            Self::Unit(None) => f.write_str("the process belongs to no unit of the host's systemd"),
            Self::Container(Some(id)) => write!(f, "the container is {id}"),
            Self::Container(None) => f.write_str("the process is in no container of the host's"),
            Self::ForeignPaths => {
                f.write_str("the process has a mount namespace or root directory of its own")
            }
            Self::Unhashable => f.write_str(
                "the executed file is a memfd, deleted, or on FUSE or a network: its content can change",
            ),
            Self::NoDigest => f.write_str("the executed file could not be read"),
            Self::NoScript => f.write_str("the process runs no script, or none that can be told"),
            Self::NoSurroundings => {
                f.write_str("what the process belongs to could not be looked at")
            }
        }
    }
}
