//! What errors tell of a document that gets in the way of another, or of its caller.

use std::fmt;

use super::Kind;
use super::address::Address;
use crate::name::Name;
use crate::yaml::Pos;

/// A change that an operator may not make.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("operator `{operator}` may not change {kind} `{name}`: {why}; needed is {needed}")]
pub struct NotPermitted {
    /// Who asked.
    pub operator: Name,
    /// The document's kind.
    pub kind: Kind,
    /// The document's name.
    pub name: Name,
    /// Why not.
    pub why: String,
    /// What would do: a role, and a prefix where it counts.
    pub needed: &'static str,
}

/// Two ranges that share an address and port.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{range}` of Service `{name}` overlaps `{other_range}` of Service `{other_name}` ({other})"
)]
pub struct Overlap {
    /// The range concerned.
    pub range: Address,
    /// Whose it is.
    pub name: Name,
    /// The one it overlaps.
    pub other_range: Address,
    /// Whose that is.
    pub other_name: Name,
    /// Where that stands.
    pub other: Place,
}

/// Where a document stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// In the store, from an earlier apply.
    Stored,
    /// In a file of this apply.
    File {
        /// The file's name as the user gave it.
        file: String,
        /// Where in it, if that is known.
        pos: Option<Pos>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored => f.write_str("applied before"),
            Self::File { file, pos: None } => f.write_str(file),
            Self::File {
                file,
                pos: Some(pos),
            } => write!(f, "{file}:{}", pos.line),
        }
    }
}
