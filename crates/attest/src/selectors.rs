//! Lists of selectors, all of which must match.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::appraisal::{Appraisal, appraise};
use crate::evidence::{Evidence, Sha256};
use crate::selector::{Selector, SelectorKind};
use crate::selector_error::SelectorError;

/// Most selectors in a list. There are fewer kinds; the bound is for lists not yet parsed.
pub const MAX_SELECTORS: usize = 16;

/// A [`Selector`] that owns its text.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct SelectorBuf(Owned);

#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
enum Owned {
    Uid(u32),
    Gid(u32),
    Path(Box<str>),
    Sha256(Sha256),
    Script(Box<str>),
}

impl SelectorBuf {
    /// The selector, borrowed.
    #[must_use]
    pub fn as_selector(&self) -> Selector<'_> {
        match &self.0 {
            Owned::Uid(uid) => Selector::Uid(*uid),
            Owned::Gid(gid) => Selector::Gid(*gid),
            Owned::Path(path) => Selector::Path(path),
            Owned::Sha256(digest) => Selector::Sha256(*digest),
            Owned::Script(path) => Selector::Script(path),
        }
    }

    const fn kind(&self) -> SelectorKind {
        match self.0 {
            Owned::Uid(_) => SelectorKind::Uid,
            Owned::Gid(_) => SelectorKind::Gid,
            Owned::Path(_) => SelectorKind::Path,
            Owned::Sha256(_) => SelectorKind::Sha256,
            Owned::Script(_) => SelectorKind::Script,
        }
    }
}

impl FromStr for SelectorBuf {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Ok(Self(match Selector::parse(text)? {
            Selector::Uid(uid) => Owned::Uid(uid),
            Selector::Gid(gid) => Owned::Gid(gid),
            Selector::Path(path) => Owned::Path(path.into()),
            Selector::Sha256(digest) => Owned::Sha256(digest),
            Selector::Script(path) => Owned::Script(path.into()),
        }))
    }
}

impl fmt::Display for SelectorBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_selector().fmt(f)
    }
}

/// Selectors of which all must match, one of a kind at most, in the order they were written.
///
/// They name an executable, by path or digest, and something that the kernel can tell a process by
/// before anybody looks at the file: a path or a uid.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct Selectors(Vec<SelectorBuf>);

/// Why a list of selectors was refused. `index` counts selectors from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SelectorsError {
    /// There are none.
    Empty,
    /// There are more than [`MAX_SELECTORS`].
    TooMany,
    /// A selector is wrong.
    Selector {
        /// Which.
        index: usize,
        /// What is wrong with it.
        error: SelectorError,
    },
    /// Two selectors of a kind: they say the same twice, or never match.
    Repeated {
        /// The second of them.
        index: usize,
        /// Their kind.
        kind: SelectorKind,
    },
    /// Neither path nor digest of an executable: every program of a user would have the identity.
    NoExecutable,
    /// Neither path nor uid: the kernel would have to govern every process to find the right one.
    GovernsAll,
}

impl SelectorsError {
    /// The selector at fault; `None` if it is the list.
    #[must_use]
    pub const fn index(&self) -> Option<usize> {
        match *self {
            Self::Selector { index, .. } | Self::Repeated { index, .. } => Some(index),
            Self::Empty | Self::TooMany | Self::NoExecutable | Self::GovernsAll => None,
        }
    }
}

impl fmt::Display for SelectorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there are no selectors"),
            Self::TooMany => write!(f, "there are more than {MAX_SELECTORS} selectors"),
            Self::Selector { error, .. } => error.fmt(f),
            Self::Repeated { kind, .. } => write!(f, "`{}` is given twice", kind.prefix()),
            Self::NoExecutable => {
                f.write_str("the selectors name no executable: add `unix:path:` or `unix:sha256:`")
            }
            Self::GovernsAll => f.write_str(
                "the selectors would govern every process: add `unix:path:` or `unix:uid:`",
            ),
        }
    }
}

impl core::error::Error for SelectorsError {}

impl Selectors {
    /// Parses a list.
    ///
    /// # Errors
    /// The first selector that is wrong, then what is wrong with the list.
    pub fn parse<S: AsRef<str>>(
        texts: impl IntoIterator<Item = S>,
    ) -> Result<Self, SelectorsError> {
        let mut list: Vec<SelectorBuf> = Vec::new();
        for (index, text) in texts.into_iter().enumerate() {
            if index >= MAX_SELECTORS {
                return Err(SelectorsError::TooMany);
            }
            let selector = text.as_ref().parse::<SelectorBuf>();
            let selector = selector.map_err(|error| SelectorsError::Selector { index, error })?;
            let kind = selector.kind();
            if list.iter().any(|earlier| earlier.kind() == kind) {
                return Err(SelectorsError::Repeated { index, kind });
            }
            list.push(selector);
        }
        let has = |kind| list.iter().any(|selector| selector.kind() == kind);
        match () {
            () if list.is_empty() => Err(SelectorsError::Empty),
            () if !has(SelectorKind::Path) && !has(SelectorKind::Sha256) => {
                Err(SelectorsError::NoExecutable)
            }
            () if !has(SelectorKind::Path) && !has(SelectorKind::Uid) => {
                Err(SelectorsError::GovernsAll)
            }
            () => Ok(Self(list)),
        }
    }

    /// The selectors, in the order they were written.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Selector<'_>> + Clone {
        self.0.iter().map(SelectorBuf::as_selector)
    }

    /// How many there are: the more, the more specific.
    #[expect(clippy::len_without_is_empty, reason = "a list is never empty")]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// The path of the executable, if one is named.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.iter().find_map(|selector| match selector {
            Selector::Path(path) => Some(path),
            _ => None,
        })
    }

    /// The uid, if one is named.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        self.iter().find_map(|selector| match selector {
            Selector::Uid(uid) => Some(uid),
            _ => None,
        })
    }

    /// Must the executable's digest be taken to decide?
    #[must_use]
    pub fn needs_digest(&self) -> bool {
        self.0
            .iter()
            .any(|selector| selector.kind() == SelectorKind::Sha256)
    }

    /// Does a process fit every selector?
    pub fn matches<'a>(&'a self, evidence: &Evidence<'a>) -> Appraisal<'a> {
        appraise(self.iter(), evidence)
    }
}

impl fmt::Display for Selectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, selector) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            selector.fmt(f)?;
        }
        Ok(())
    }
}
