//! Selectors that own their text.

use alloc::boxed::Box;
use core::fmt;
use core::str::FromStr;

use crate::evidence::{ContainerId, Sha256};
use crate::selector::{Selector, SelectorKind};
use crate::selector_error::SelectorError;

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
    SupplementaryGid(u32),
    Unit(Box<str>),
    Container(ContainerId),
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
            Owned::SupplementaryGid(gid) => Selector::SupplementaryGid(*gid),
            Owned::Unit(unit) => Selector::Unit(unit),
            Owned::Container(id) => Selector::Container(*id),
        }
    }

    /// What it looks at.
    #[must_use]
    pub fn kind(&self) -> SelectorKind {
        self.as_selector().kind()
    }
}

impl From<Selector<'_>> for SelectorBuf {
    fn from(selector: Selector<'_>) -> Self {
        Self(match selector {
            Selector::Uid(uid) => Owned::Uid(uid),
            Selector::Gid(gid) => Owned::Gid(gid),
            Selector::Path(path) => Owned::Path(path.into()),
            Selector::Sha256(digest) => Owned::Sha256(digest),
            Selector::Script(path) => Owned::Script(path.into()),
            Selector::SupplementaryGid(gid) => Owned::SupplementaryGid(gid),
            Selector::Unit(unit) => Owned::Unit(unit.into()),
            Selector::Container(id) => Owned::Container(id),
        })
    }
}

impl FromStr for SelectorBuf {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Selector::parse(text).map(Self::from)
    }
}

impl fmt::Display for SelectorBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_selector().fmt(f)
    }
}
