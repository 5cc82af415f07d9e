//! Why an image was refused.

use crate::bounds::{MAX_IMAGE_BYTES, MAX_STRING_BYTES};
use crate::image::layout::VERSION;

/// Why an image was refused. `at` counts bytes from the start of the image's section, records from zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ImageError {
    /// Longer than [`MAX_IMAGE_BYTES`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Shorter than its header says, or than any header.
    Truncated {
        /// Its length in bytes.
        len: usize,
        /// The length its header names.
        want: usize,
    },
    /// Longer than its header says.
    TrailingBytes {
        /// How many bytes too many.
        count: usize,
    },
    /// It does not begin as an image does.
    BadMagic,
    /// It was made for another version of this crate.
    Version {
        /// The version it names.
        version: u16,
    },
    /// Its dearest decision costs more than is allowed.
    TooCostly {
        /// The cost it carries or has, in steps.
        cost: u64,
        /// The most that is allowed.
        limit: u32,
    },
    /// Its bytes are not those that its sum was made of: it was damaged on its way.
    Damaged {
        /// The sum it carries.
        carried: u32,
        /// The sum it has.
        sum: u32,
    },
    /// The cost it carries is not the one it has.
    WrongCost {
        /// The cost it carries.
        carried: u32,
        /// The cost that was proven.
        proven: u64,
    },
    /// The directory names a section that this version has not, or out of order, or empty.
    Section {
        /// The tag.
        tag: u16,
    },
    /// A section's length is not a whole number of its records, or too many of them.
    SectionBytes {
        /// The section's tag.
        tag: u16,
        /// Its length in bytes.
        len: usize,
    },
    /// A record holds a value that its field may not have.
    Record {
        /// The section's tag.
        tag: u16,
        /// The record's number.
        record: u32,
    },
    /// A string reference leads outside the heap, to no UTF-8, or to more than [`MAX_STRING_BYTES`].
    String {
        /// The section that holds the reference.
        tag: u16,
        /// The reference.
        at: u32,
    },
    /// A slot of the scope table cannot be found under its own name.
    Unreachable {
        /// The slot's number.
        slot: u32,
    },
    /// Policies are not sorted as the scope table says.
    Unsorted {
        /// The policy's number.
        policy: u32,
    },
    /// An instruction is unknown, or an operand out of its range.
    Instruction {
        /// The instruction's number.
        at: u32,
    },
}

impl core::fmt::Display for ImageError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::TooLong { len } => write!(
                f,
                "image of {len} bytes, at most {MAX_IMAGE_BYTES} are allowed"
            ),
            Self::Truncated { len, want } => {
                write!(f, "image of {len} bytes, its header says {want}")
            }
            Self::TrailingBytes { count } => write!(f, "{count} bytes after the end of the image"),
            Self::BadMagic => f.write_str("not a policy image"),
            Self::Version { version } => {
                write!(f, "image of version {version}, this is version {VERSION}")
            }
            Self::TooCostly { cost, limit } => write!(
                f,
                "a decision may cost {cost} steps, at most {limit} are allowed"
            ),
            Self::Damaged { carried, sum } => write!(
                f,
                "image is damaged: it carries the sum {carried:08x}, it is {sum:08x}"
            ),
            Self::WrongCost { carried, proven } => {
                write!(f, "image carries a cost of {carried} steps, it is {proven}")
            }
            Self::Section { tag } => write!(f, "section {tag} is unknown, empty or out of order"),
            Self::SectionBytes { tag, len } => write!(f, "section {tag} cannot have {len} bytes"),
            Self::Record { tag, record } => {
                write!(f, "record {record} of section {tag} is malformed")
            }
            Self::String { tag, at } => {
                write!(
                    f,
                    "section {tag} refers to byte {at}, where no string of at most {MAX_STRING_BYTES} bytes is"
                )
            }
            Self::Unreachable { slot } => {
                write!(f, "scope {slot} cannot be found under its own name")
            }
            Self::Unsorted { policy } => write!(f, "policy {policy} is out of order"),
            Self::Instruction { at } => write!(f, "instruction {at} is malformed"),
        }
    }
}

impl core::error::Error for ImageError {}
