//! The image format: one header, a directory, and the sections in the order of their tags, without gaps.
//!
//! ```text
//! header     magic "TLPI" | version u16 | sections u16 | bytes u32 (whole image) | cost u32 | sum u32 (see `sum`)
//! directory  sections × ( tag u16 | bytes u32 ), tags ascending
//! sections
//!   STRINGS      heap: strings as length u16 and UTF-8 bytes; a reference is the offset of the length
//!   POLICIES     name ref u32 | resource node u32 | port u32 | program u32 | action set u16 | effect u16
//!                sorted by principal node, then resource node, then port; those of any principal first
//!   NODES        seed u32 | probes u32 | policies of any principal u32 | classes u32, then a hash table of slots:
//!                tag u32 | class u32 | kind ref u32 | id ref u32 | first policy u32 | policies u32
//!                classes: bit n if a principal's scope is of class n, bit n + 4 if a resource's is
//!   ACTIONS      name ref u32: bit n of an action set is the n-th action
//!   ACTION_SETS  u64; a policy holds its set's number plus one, or 0 for any action
//!   CODE         instructions of 8 bytes (see `instruction`); a policy holds its program's first instruction plus one, or 0
//!   LONGS        i64
//!   SETS         first u32 | count u32: a run of LONGS, ascending
//!   ATTRIBUTES   name ref u32: the context attributes that programs read
//!   CONSTANTS    kind u32 | a u32 | b u32 (see `constant`)
//! ```
//! Everything is little endian; a reference is relative to its section, so an image lies anywhere at any alignment. An
//! absent section is an empty one; a present one is not empty. A resource node is a slot's number plus one, or 0 for any.
//! A policy's port is the number plus one that the context attribute `port` must have before its program is run, or 0 if it may
//! have any: under another port the policy does not match, and without the attribute it cannot be evaluated.

/// The first bytes of an image.
pub(crate) const MAGIC: [u8; 4] = *b"TLPI";
/// The version this crate writes and reads. It moves with any change of meaning; what users write is Cedar, not images.
pub const VERSION: u16 = 4;

pub(crate) const HEADER_BYTES: usize = 20;
/// Bytes of the header that lie before its sum, which is its end.
pub(crate) const SUMMED_HEADER_BYTES: usize = 16;
pub(crate) const ENTRY_BYTES: usize = 6;

pub(crate) const POLICY_BYTES: usize = 20;
pub(crate) const NODES_HEADER_BYTES: usize = 16;
pub(crate) const SLOT_BYTES: usize = 24;
pub(crate) const INSTRUCTION_BYTES: usize = 8;
pub(crate) const QUAD_BYTES: usize = 8;
pub(crate) const REF_BYTES: usize = 4;
pub(crate) const CONSTANT_BYTES: usize = 12;

// STRINGS is 1; nothing refers to it by tag.
pub(crate) const POLICIES: u16 = 2;
pub(crate) const NODES: u16 = 3;
pub(crate) const ACTIONS: u16 = 4;
pub(crate) const ACTION_SETS: u16 = 5;
pub(crate) const CODE: u16 = 6;
pub(crate) const LONGS: u16 = 7;
pub(crate) const SETS: u16 = 8;
pub(crate) const ATTRIBUTES: u16 = 9;
pub(crate) const CONSTANTS: u16 = 10;
/// Number of sections this version knows; their tags are `1..=SECTIONS`.
pub(crate) const SECTIONS: usize = 10;

/// The context attribute that policies are filed by.
pub(crate) const PORT: &str = "port";

pub(crate) const EFFECT_PERMIT: u16 = 1;
pub(crate) const EFFECT_FORBID: u16 = 2;
