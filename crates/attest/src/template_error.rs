//! Why a template was refused, or cannot be filled.

use core::fmt;

use crate::template::{MAX_TEMPLATE_BYTES, SCHEME};
use crate::variable::Variable;

/// Why a template was refused. `at` counts bytes from its start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TemplateError {
    /// Longer than [`MAX_TEMPLATE_BYTES`].
    TooLong,
    /// It does not begin with `spiffe://`.
    NotSpiffe,
    /// Neither a trust domain nor `{{trustDomain}}` where one should stand.
    TrustDomain {
        /// Where.
        at: usize,
    },
    /// No path: such an ID is not a workload's.
    NoPath,
    /// A segment that is empty, `.` or `..`.
    Segment {
        /// Where it begins.
        at: usize,
    },
    /// A byte that no SPIFFE ID has in its path.
    BadByte {
        /// Where it is.
        at: usize,
    },
    /// `{{` without `}}`.
    Open {
        /// Where it begins.
        at: usize,
    },
    /// No such variable, or not here.
    UnknownVariable {
        /// Where it begins.
        at: usize,
    },
    /// A second variable in one segment: it could not be told where one ends and the other begins.
    SecondVariable {
        /// Where it begins.
        at: usize,
    },
}

impl TemplateError {
    /// Where it is wrong.
    #[must_use]
    pub const fn at(&self) -> usize {
        match *self {
            Self::TooLong | Self::NotSpiffe | Self::NoPath => 0,
            Self::TrustDomain { at }
            | Self::Segment { at }
            | Self::BadByte { at }
            | Self::Open { at }
            | Self::UnknownVariable { at }
            | Self::SecondVariable { at } => at,
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => return write!(f, "it is longer than {MAX_TEMPLATE_BYTES} bytes"),
            Self::NotSpiffe => return write!(f, "it does not begin with `{SCHEME}`"),
            Self::NoPath => return f.write_str("it has no path"),
            Self::TrustDomain { .. } => {
                f.write_str("neither a trust domain nor `{{trustDomain}}` stands there")?;
            }
            Self::Segment { .. } => f.write_str("a segment is empty, `.` or `..`")?,
            Self::BadByte { .. } => {
                f.write_str("only letters, digits, `.`, `-`, `_` and variables stand in a path")?;
            }
            Self::Open { .. } => f.write_str("`{{` is not closed")?,
            Self::UnknownVariable { .. } => {
                f.write_str("there is no such variable; known are")?;
                let mut known = Variable::ALL.iter();
                known.try_for_each(|variable| write!(f, " `{}`", variable.name()))?;
                f.write_str(", `trustDomain` only in the place of a trust domain")?;
            }
            Self::SecondVariable { .. } => f.write_str("a segment has at most one variable")?,
        }
        write!(f, " (at byte {})", self.at())
    }
}

impl core::error::Error for TemplateError {}

/// Why a process cannot have an ID of a template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FillError {
    /// A value that the variable cannot have, or no SPIFFE ID can hold. Nothing is escaped: two values would become one.
    Value(Variable),
    /// A variable of which nothing is known.
    Unknown(Variable),
    /// A segment became `.` or `..`, or all of it too long.
    NoId,
}

impl fmt::Display for FillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(variable) => write!(f, "no SPIFFE ID can hold the value of `{variable}`"),
            Self::Unknown(variable) => write!(f, "it is not known what `{variable}` is"),
            Self::NoId => f.write_str("what comes of the template is no SPIFFE ID"),
        }
    }
}

impl core::error::Error for FillError {}
