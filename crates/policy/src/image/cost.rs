//! The proof of an image's cost: the most steps any decision by it may take.

use crate::bounds::{MAX_ANCESTORS, MAX_CONTEXT_ATTRIBUTES, MAX_STRING_BYTES};
use crate::eval::instruction::Instruction;
use crate::eval::meter::byte_steps;
use crate::image::nodes::Class;

/// The entity itself and its ancestors, each of which may be looked up as `in`.
const IN_LOOKUPS: u64 = wide(MAX_ANCESTORS).saturating_add(1);
/// All look-ups of one entity: as `in`, as `==`, as `is`. As many scopes can match.
pub(crate) const MAX_HITS: usize = MAX_ANCESTORS.saturating_add(3);

#[expect(
    clippy::as_conversions,
    reason = "const context; usize is at most 64 bits"
)]
const fn wide(len: usize) -> u64 {
    len as u64
}

/// The most an instruction costs. `operand` is the count of the set, or the length of the string, that it refers to.
pub(crate) fn instruction(instruction: Instruction, operand: u32) -> u64 {
    match instruction {
        Instruction::Equal { .. } | Instruction::NotEqual { .. } => {
            byte_steps(MAX_STRING_BYTES).saturating_add(1)
        }
        Instruction::InLongs { .. } => rounds(operand).saturating_add(1),
        Instruction::PrincipalIs { .. } | Instruction::ResourceIs { .. } => {
            u64::from(operand >> 4).saturating_add(2)
        }
        _ => 1,
    }
}

/// The most steps of a binary search among `count`.
pub(crate) fn rounds(count: u32) -> u64 {
    u64::from(u32::BITS.saturating_sub(count.leading_zeros()))
}

/// The dearest choice among things of which only some can happen at once: what is filed under any scope always does; of
/// those under `is` and `==` one of each can; of those under `in` as many as there are ancestors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Worst {
    any: u64,
    is: u64,
    eq: u64,
    is_in_sum: u64,
    is_in_max: u64,
}

impl Worst {
    /// Adds one group of things that happen together.
    pub(crate) fn add(&mut self, class: Option<Class>, cost: u64) {
        match class {
            None => self.any = self.any.saturating_add(cost),
            Some(Class::Is) => self.is = self.is.max(cost),
            Some(Class::Eq) => self.eq = self.eq.max(cost),
            Some(Class::In) => {
                self.is_in_sum = self.is_in_sum.saturating_add(cost);
                self.is_in_max = self.is_in_max.max(cost);
            }
        }
    }

    pub(crate) fn total(&self) -> u64 {
        let within = self
            .is_in_sum
            .min(self.is_in_max.saturating_mul(IN_LOOKUPS));
        self.any
            .saturating_add(self.is)
            .saturating_add(self.eq)
            .saturating_add(within)
    }
}

/// What looking at the policies under one principal scope costs beyond the policies themselves: for any resource and for
/// each scope of the resource that matches, one look past the last policy; for the latter also a binary search.
pub(crate) fn search(policies: u32, scoped: bool) -> u64 {
    let hits = if scoped { wide(MAX_HITS) } else { 0 };
    hits.saturating_mul(rounds(policies).saturating_add(1))
        .saturating_add(1)
}

/// Resolving both entities of a request: hashing all names, looking each up, and passing over repeated ones.
/// `dearest_name` is what comparing with the longest name in the table costs.
pub(crate) fn resolving(probes: u32, dearest_name: u64) -> u64 {
    let hash = byte_steps(MAX_STRING_BYTES).saturating_mul(2);
    let lookup = u64::from(probes)
        .saturating_add(1)
        .saturating_add(dearest_name);
    let hits = wide(MAX_HITS);
    let side = hits
        .saturating_mul(hash.saturating_add(lookup))
        .saturating_add(hits.saturating_mul(hits));
    side.saturating_mul(2)
}

/// Finding one attribute of the image, of that length, in the request.
pub(crate) fn attribute(len: usize) -> u64 {
    byte_steps(len).saturating_mul(wide(MAX_CONTEXT_ATTRIBUTES))
}
