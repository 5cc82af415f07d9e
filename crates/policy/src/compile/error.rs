//! Why a policy was refused, and where.

use alloc::string::{String, ToString};
use core::fmt;

use super::bounds::{MAX_NESTING, MAX_OPERATORS, MAX_POLICIES, MAX_POLICY_BYTES, MAX_SOURCE_BYTES};
use super::words::plain;
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
    /// How many characters from there on are meant, on that line; at least 1.
    pub chars: u32,
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
            ..
        }) = &self.place
        {
            let policy = plain(policy);
            write!(f, "{file}:{line}:{column}: policy `{policy}`: ")?;
        }
        let message = self.message();
        let mut lines = message.split('\n').map(plain);
        f.write_str(&lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| write!(f, "\n{line}"))
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
    /// A link names no template, or its template's slots are others.
    Link(String),
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
            Self::Link(text) => write!(f, "link: {text}"),
        }
    }
}

/// Valid Cedar that the image cannot express.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unsupported {
    /// `action`, or an action, in a condition, anywhere but in `action == …`, `action != …`, `action in …` and `action is …`.
    Action,
    /// What that constructor is given.
    Literal(&'static str),
    /// A template's slot in a condition.
    Slot,
    /// Something that this version of Cedar has and this crate does not know.
    Unknown,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action => f.write_str(
                "in a condition an action can only be compared with `action`, by `==`, `!=` or `in`",
            ),
            Self::Literal(name) => {
                write!(f, "`{name}` is supported of a string that it accepts, written out")
            }
            Self::Slot => f.write_str("a slot is supported in the scope only"),
            Self::Unknown => f.write_str("this expression is not supported"),
        }
    }
}
