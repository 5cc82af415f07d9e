//! Why selectors were refused together.

use core::fmt;

use crate::selector::SelectorKind;
use crate::selector_error::SelectorError;
use crate::selectors::{MAX_BRANCHES, MAX_EXPRESSION_DEPTH, MAX_SELECTORS};

/// Why selectors were refused. `index` counts nodes of the [`Expression`](crate::Expression)s from 0: of a list without operators,
/// selectors.
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
    /// Two selectors of a kind in one list: they say the same twice, or never match.
    Repeated {
        /// The second of them.
        index: usize,
        /// Their kind.
        kind: SelectorKind,
    },
    /// An operator with nothing in it.
    EmptyGroup {
        /// Which.
        index: usize,
    },
    /// Operators within operators, beyond [`MAX_EXPRESSION_DEPTH`].
    TooDeep {
        /// The first that is too deep.
        index: usize,
    },
    /// There are more than [`MAX_BRANCHES`] ways to fit.
    TooManyBranches,
    /// No process can be what this selector and others with it ask for.
    Contradiction {
        /// The selector.
        index: usize,
        /// The one that it contradicts.
        other: usize,
    },
    /// One way to fit only says what the process is not: nearly every process would have the identity.
    OnlyNot {
        /// Where that way begins; `None`: the whole list.
        index: Option<usize>,
    },
    /// One way to fit names neither path nor digest of an executable: every program of a user would have the identity.
    NoExecutable {
        /// Where that way begins; `None`: the whole list.
        index: Option<usize>,
    },
    /// One way to fit names neither path nor uid: the kernel would have to govern every process to find the right one.
    GovernsAll {
        /// Where that way begins; `None`: the whole list.
        index: Option<usize>,
    },
}

impl SelectorsError {
    /// The node at fault; `None` if it is the list.
    #[must_use]
    pub const fn index(&self) -> Option<usize> {
        match *self {
            Self::Selector { index, .. }
            | Self::Repeated { index, .. }
            | Self::EmptyGroup { index }
            | Self::TooDeep { index }
            | Self::Contradiction { index, .. } => Some(index),
            Self::OnlyNot { index } | Self::NoExecutable { index } | Self::GovernsAll { index } => {
                index
            }
            Self::Empty | Self::TooMany | Self::TooManyBranches => None,
        }
    }
}

impl fmt::Display for SelectorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = |index: &Option<usize>| match index {
            None => "the selectors",
            Some(_) => "this way to fit, with what is beside it,",
        };
        match self {
            Self::Empty => f.write_str("there are no selectors"),
            Self::TooMany => write!(f, "there are more than {MAX_SELECTORS} selectors"),
            Self::Selector { error, .. } => error.fmt(f),
            Self::Repeated { kind, .. } => write!(f, "`{}` is given twice", kind.prefix()),
            Self::EmptyGroup { .. } => f.write_str("there is nothing in it"),
            Self::TooDeep { .. } => {
                write!(f, "is nested deeper than {MAX_EXPRESSION_DEPTH} operators")
            }
            Self::TooManyBranches => write!(
                f,
                "there are more than {MAX_BRANCHES} ways to fit: make several identities of it"
            ),
            Self::Contradiction { .. } => {
                f.write_str("no process can be this together with what it is combined with")
            }
            Self::OnlyNot { index } => write!(
                f,
                "{} would match every process but a few: say what the process is, by `unix:path:` or `unix:sha256:`",
                way(index)
            ),
            Self::NoExecutable { index } => write!(
                f,
                "{} {} no executable: add `unix:path:` or `unix:sha256:`",
                way(index),
                if index.is_some() { "names" } else { "name" },
            ),
            Self::GovernsAll { index } => write!(
                f,
                "{} would govern every process: add `unix:path:` or `unix:uid:`",
                way(index)
            ),
        }
    }
}

impl core::error::Error for SelectorsError {}
