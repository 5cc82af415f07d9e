//! YAML as a tree that knows where everything stands, and a reader over it that collects every error.
//!
//! The tree is a small, safe part of YAML 1.2: mappings with string keys, sequences and scalars. Anchors, aliases, tags and
//! duplicate keys are refused, so that what a document says is what is written where the error message points.

mod load;
mod read;

pub use load::SyntaxError;
pub(crate) use load::documents;
pub(crate) use read::{Cursor, Fields, Reader};

use std::fmt;

/// Deepest nesting of a document. Ours need 4.
pub(crate) const MAX_DEPTH: usize = 16;

/// Most nodes in one file: some 100,000 documents.
pub(crate) const MAX_NODES: usize = 2_000_000;

/// A place in a file: line and column, both from 1, the column in characters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pos {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Node {
    pub(crate) pos: Pos,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    /// An empty plain scalar, `~` or `null`.
    Null,
    /// A plain scalar that YAML reads as a number or truth value.
    NotText(String),
    Text(Text),
    Seq(Vec<Node>),
    /// In the order written; keys are unique.
    Map(Vec<Entry>),
}

/// A string scalar.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// How to find a place within the text in the file again.
    pub(crate) origin: Origin,
}

/// How the text of a scalar relates to the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// The text's first line begins here; all later ones begin at `indent` (a column, from 1) of the lines that follow.
    Verbatim { start: Pos, indent: u32 },
    /// Escapes or folding moved things: only the start is known.
    Start(Pos),
}

/// One key and its value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_pos: Pos,
    pub(crate) value: Node,
}

impl Origin {
    /// The place in the file of line and column (both from 1) within the text.
    pub(crate) fn locate(self, line: u32, column: u32) -> Pos {
        match self {
            Self::Start(pos) => pos,
            Self::Verbatim { start, indent } => {
                let first = if line <= 1 { start.column } else { indent };
                Pos {
                    line: start.line.saturating_add(line.saturating_sub(1)),
                    column: first.saturating_add(column.saturating_sub(1)),
                }
            }
        }
    }
}
