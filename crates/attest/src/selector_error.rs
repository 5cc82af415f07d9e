//! Why a selector was refused.

use core::fmt;

use crate::path::PathError;
use crate::selector::SelectorKind;

/// Why a selector was refused. `at` counts bytes from the start of the selector.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SelectorError {
    /// It does not begin with the type of any selector.
    UnknownType,
    /// No selector of its type has this name.
    UnknownKind {
        /// Where the name begins.
        at: usize,
    },
    /// Nothing follows the name.
    NoValue {
        /// Where the value should begin.
        at: usize,
    },
    /// A uid or gid with something other than a decimal digit, or a zero in front.
    BadNumber {
        /// Where it is wrong.
        at: usize,
    },
    /// A uid or gid above 4294967294; 4294967295 is nobody's.
    NumberTooLarge {
        /// Where it begins.
        at: usize,
    },
    /// No name of a unit that processes run in.
    BadUnit {
        /// Where it is wrong, or begins.
        at: usize,
    },
    /// A digest or container id with something other than a hexadecimal digit.
    BadDigest {
        /// Where it is wrong.
        at: usize,
    },
    /// A digest or container id that has not 64 digits.
    DigestLength {
        /// How many it has.
        len: usize,
        /// Where it begins.
        at: usize,
    },
    /// A path that no process can have.
    BadPath {
        /// What is wrong with it; positions in it count from the start of the path.
        error: PathError,
        /// Where the path begins.
        at: usize,
    },
}

impl SelectorError {
    /// Offset of the first byte at fault, from the start of the selector.
    #[must_use]
    pub const fn at(&self) -> usize {
        match *self {
            Self::UnknownType => 0,
            Self::UnknownKind { at }
            | Self::NoValue { at }
            | Self::BadNumber { at }
            | Self::NumberTooLarge { at }
            | Self::BadUnit { at }
            | Self::BadDigest { at }
            | Self::DigestLength { at, .. } => at,
            Self::BadPath { error, at } => at.saturating_add(error.at()),
        }
    }
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at();
        match self {
            Self::UnknownType | Self::UnknownKind { .. } => {
                f.write_str("unknown selector: expected one of")?;
                SelectorKind::ALL
                    .iter()
                    .try_for_each(|kind| write!(f, " `{}`", kind.prefix()))
            }
            Self::NoValue { .. } => f.write_str("the selector has no value"),
            Self::BadNumber { .. } => {
                f.write_str("not a decimal number: names of users and groups are not resolved")
            }
            Self::NumberTooLarge { .. } => f.write_str("the number is above 4294967294"),
            Self::BadUnit { .. } => f.write_str(
                "not the name of a unit that processes run in, such as `nginx.service`: a service, scope, socket, mount or swap",
            ),
            Self::BadDigest { .. } => f.write_str("not a hexadecimal digit"),
            Self::DigestLength { len, .. } => write!(f, "it has 64 digits, this has {len}"),
            Self::BadPath { error, .. } => error.fmt(f),
        }?;
        write!(f, " (at byte {at})")
    }
}

impl core::error::Error for SelectorError {}
