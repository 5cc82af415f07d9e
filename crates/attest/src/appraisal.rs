//! Appraisal: evidence against selectors.

use core::fmt;

use crate::evidence::{Evidence, Script, Sha256};
use crate::selector::Selector;

/// Whether evidence fits selectors; if not, the first that it does not fit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Appraisal<'a> {
    mismatch: Option<Mismatch<'a>>,
}

impl<'a> Appraisal<'a> {
    /// Does the evidence fit every selector?
    #[must_use]
    pub const fn matched(&self) -> bool {
        self.mismatch.is_none()
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
    pub selector: Option<Selector<'a>>,
    /// What the evidence says.
    pub why: Why<'a>,
}

/// Why evidence does not fit a selector.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Why<'a> {
    /// There is no selector.
    NoSelectors,
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
    /// Its paths are not the host's.
    ForeignPaths,
    /// The executed file's content can change unseen.
    Unhashable,
    /// The executed file's digest was not taken.
    NoDigest,
    /// It runs no script, or it cannot be told which.
    NoScript,
}

/// Compares evidence with selectors, in their order. No selectors match nobody.
pub fn appraise<'a>(
    selectors: impl IntoIterator<Item = Selector<'a>>,
    evidence: &Evidence<'a>,
) -> Appraisal<'a> {
    let mut seen = false;
    for selector in selectors {
        seen = true;
        if let Err(why) = check(selector, evidence) {
            return Appraisal {
                mismatch: Some(Mismatch {
                    selector: Some(selector),
                    why,
                }),
            };
        }
    }
    let none = Mismatch {
        selector: None,
        why: Why::NoSelectors,
    };
    Appraisal {
        mismatch: if seen { None } else { Some(none) },
    }
}

fn check<'a>(selector: Selector<'a>, evidence: &Evidence<'a>) -> Result<(), Why<'a>> {
    let fits = |fits: bool, why| if fits { Ok(()) } else { Err(why) };
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
    }
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.selector {
            Some(selector) => write!(f, "`{selector}` does not match: {}", self.why),
            None => self.why.fmt(f),
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSelectors => f.write_str("there are no selectors"),
            Self::Uid(uid) => write!(f, "the uid is {uid}"),
            Self::Gid(gid) => write!(f, "the gid is {gid}"),
            Self::Path([]) => f.write_str("the executed file has no path"),
            Self::Path(path) => write!(f, "the executed file is `{}`", path.escape_ascii()),
            Self::Sha256(digest) => write!(f, "the executed file's sha256 is {digest}"),
            Self::Script(script) => {
                write!(f, "the script is `{}`, {}", script.path.escape_ascii(), script.source)
            }
            Self::ForeignPaths => {
                f.write_str("the process has a mount namespace or root directory of its own")
            }
            Self::Unhashable => f.write_str(
                "the executed file is a memfd, deleted, or on FUSE or a network: its content can change",
            ),
            Self::NoDigest => f.write_str("the executed file could not be read"),
            Self::NoScript => f.write_str("the process runs no script, or none that can be told"),
        }
    }
}
