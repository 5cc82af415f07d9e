//! Why a policy was refused, and where.

use alloc::string::{String, ToString};
use core::fmt;

use super::bounds::{MAX_NESTING, MAX_OPERATORS, MAX_POLICIES, MAX_POLICY_BYTES, MAX_SOURCE_BYTES};
use crate::build::BuildError;

/// A place in a source.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The source's name, as given.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// The policy's name: its annotation `@id`, or `policyN` by its place among all policies of the compilation.
    pub policy: String,
}

/// One thing wrong with what was to be compiled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CompileError {
    /// Where; `None` if it is about everything together.
    pub place: Option<Place>,
    /// What.
    pub reason: Reason,
}

impl CompileError {
    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> String {
        self.reason.to_string()
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place {
            file,
            line,
            column,
            policy,
        }) = &self.place
        {
            write!(f, "{file}:{line}:{column}: policy `{policy}`: ")?;
        }
        self.reason.fmt(f)
    }
}

impl core::error::Error for CompileError {}

/// What is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Not Cedar; in Cedar's words.
    Syntax(String),
    /// Not valid by the schema; in Cedar's words.
    Invalid(String),
    /// Valid, but to be looked at; in Cedar's words. Only among [`Compiled::warnings`](super::Compiled::warnings).
    Warning(String),
    /// Valid Cedar that the image cannot express.
    Unsupported(Unsupported),
    /// A policy longer than [`MAX_POLICY_BYTES`].
    PolicyTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Brackets nested deeper than [`MAX_NESTING`].
    TooDeep,
    /// More operators of the kind that [`MAX_OPERATORS`] counts in one policy.
    TooManyOperators {
        /// How many there are.
        count: usize,
    },
    /// More than [`MAX_POLICIES`] policies.
    TooManyPolicies {
        /// How many there are.
        count: usize,
    },
    /// Sources of more than [`MAX_SOURCE_BYTES`] together.
    SourceTooLong {
        /// Their length in bytes.
        len: usize,
    },
    /// A bound of the image.
    Image(BuildError),
    /// The schema itself is no schema; in Cedar's words.
    Schema(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(text) | Self::Invalid(text) | Self::Warning(text) => f.write_str(text),
            Self::Unsupported(what) => what.fmt(f),
            Self::PolicyTooLong { len } => {
                write!(
                    f,
                    "a policy of {len} bytes, at most {MAX_POLICY_BYTES} are allowed"
                )
            }
            Self::TooDeep => write!(f, "brackets nested deeper than {MAX_NESTING}"),
            Self::TooManyOperators { count } => {
                write!(
                    f,
                    "{count} operators in one policy, at most {MAX_OPERATORS} are allowed"
                )
            }
            Self::TooManyPolicies { count } => {
                write!(f, "{count} policies, at most {MAX_POLICIES} are allowed")
            }
            Self::SourceTooLong { len } => {
                write!(
                    f,
                    "{len} bytes of policy, at most {MAX_SOURCE_BYTES} are allowed"
                )
            }
            Self::Image(error) => error.fmt(f),
            Self::Schema(text) => write!(f, "schema: {text}"),
        }
    }
}

/// Valid Cedar that the image cannot express.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unsupported {
    /// An operator, function or keyword.
    Operation(&'static str),
    /// `principal`, `action` or `resource` in a condition.
    Variable(&'static str),
    /// A literal of that kind.
    Literal(&'static str),
    /// A set with other elements than numbers, or anywhere but before `.contains`.
    Set,
    /// `.contains` of something else than a set written out.
    Contains,
    /// An attribute of something else than `context`.
    Attribute,
    /// `-` before something else than a number.
    Negation,
    /// A template's slot.
    Slot,
    /// Something that this version of Cedar has and this crate does not know.
    Unknown,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(name) => write!(f, "`{name}` is not supported in a condition")?,
            Self::Variable(name) => write!(f, "`{name}` is supported in the scope only")?,
            Self::Literal(kind) => write!(f, "{kind} is not supported in a condition")?,
            Self::Set => f.write_str("a set must be of numbers written out, before `.contains`")?,
            Self::Contains => f.write_str("`.contains` needs a set of numbers before it")?,
            Self::Attribute => f.write_str("only attributes of `context` are supported")?,
            Self::Negation => f.write_str("`-` is supported before a number only")?,
            Self::Slot => f.write_str("templates are not supported")?,
            Self::Unknown => f.write_str("this expression is not supported")?,
        }
        f.write_str(
            "; conditions may use numbers, attributes of `context`, `== != < <= > >= && || !` \
             and `[numbers].contains(…)`",
        )
    }
}
