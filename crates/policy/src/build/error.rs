//! Why no image was made.

use crate::bounds::{
    MAX_ACTIONS, MAX_ATTRIBUTES, MAX_IMAGE_ATTRIBUTES, MAX_PROGRAM_INSTRUCTIONS, MAX_STRING_BYTES,
    MAX_VALUE_DEPTH, REGISTERS,
};
use crate::image::ImageError;

/// Why no image was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// A string is longer than [`MAX_STRING_BYTES`].
    StringTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The rules name more than [`MAX_ACTIONS`] actions.
    TooManyActions,
    /// The rules have more different sets of actions than an image can number.
    TooManyActionSets,
    /// The conditions read more than [`MAX_IMAGE_ATTRIBUTES`] context attributes.
    TooManyAttributes,
    /// A condition needs more than [`MAX_PROGRAM_INSTRUCTIONS`] instructions.
    ConditionTooLong {
        /// How many it needs.
        instructions: usize,
    },
    /// A condition needs more than [`REGISTERS`] registers: an expression nested too deep.
    ConditionTooDeep,
    /// Sets and records nested deeper than [`MAX_VALUE_DEPTH`] are written out.
    ValueTooDeep,
    /// A record of more than [`MAX_ATTRIBUTES`] fields is written out.
    RecordTooWide {
        /// How many it has.
        fields: usize,
    },
    /// A table of the image does not fit its 32 bits.
    TooLong,
    /// No table could be laid out in which every scope is found quickly.
    NoTable {
        /// How many scopes there are.
        scopes: usize,
    },
    /// The image passes a bound of [`Image::check`](crate::Image::check): its length or its cost.
    Refused(ImageError),
}

impl core::fmt::Display for BuildError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::StringTooLong { len } => write!(
                f,
                "a string of {len} bytes, at most {MAX_STRING_BYTES} are allowed"
            ),
            Self::TooManyActions => write!(f, "more than {MAX_ACTIONS} actions"),
            Self::TooManyActionSets => {
                write!(f, "more than {} different sets of actions", u16::MAX)
            }
            Self::TooManyAttributes => write!(
                f,
                "conditions read more than {MAX_IMAGE_ATTRIBUTES} context attributes"
            ),
            Self::ConditionTooLong { instructions } => {
                write!(
                    f,
                    "a condition of {instructions} instructions, at most {MAX_PROGRAM_INSTRUCTIONS} are allowed"
                )
            }
            Self::ConditionTooDeep => {
                write!(f, "a condition nested too deep for {REGISTERS} registers")
            }
            Self::ValueTooDeep => {
                write!(f, "sets and records nested deeper than {MAX_VALUE_DEPTH}")
            }
            Self::RecordTooWide { fields } => write!(
                f,
                "a record of {fields} fields, at most {MAX_ATTRIBUTES} are allowed"
            ),
            Self::TooLong => f.write_str("a table of the image passes 32 bits"),
            Self::NoTable { scopes } => {
                write!(f, "no scope table could be laid out for {scopes} scopes")
            }
            Self::Refused(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for BuildError {}
