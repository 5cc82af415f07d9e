//! The proof of an image's cost: the most steps any decision by it may take.

use crate::bounds::{
    MAX_ANCESTORS, MAX_ATTRIBUTES, MAX_INSTRUCTION_STEPS, MAX_LISTED, MAX_STRING_BYTES,
};
use crate::eval::instruction::{Instruction, Op};
use crate::eval::like;
use crate::eval::meter::{INSTRUCTION_STEPS, ITEM_STEPS, POLICY_STEPS, ROUND_STEPS, byte_steps};
use crate::image::constant::Constant;
use crate::image::nodes::Class;
use crate::image::{Image, read};

/// The entity itself and its ancestors, each of which may be looked up as `in`.
const IN_LOOKUPS: u64 = wide(MAX_ANCESTORS).saturating_add(1);
/// All look-ups of one entity: as `in`, as `==`, as `is`. As many scopes can match.
pub(crate) const MAX_HITS: usize = MAX_ANCESTORS.saturating_add(3);

/// Members of a listed set.
#[expect(clippy::as_conversions, reason = "const context; it widens")]
const LISTED: usize = MAX_LISTED as usize;

#[expect(
    clippy::as_conversions,
    reason = "const context; usize is at most 64 bits"
)]
const fn wide(len: usize) -> u64 {
    len as u64
}

/// What the cost of an instruction depends on: what it refers to.
pub(crate) trait Operands {
    /// The string at a place of the heap.
    fn string(&self, at: u32) -> Option<&[u8]>;
    /// A constant.
    fn constant(&self, at: u32) -> Option<Constant>;
    /// How many members a set of LONGS has.
    fn longs(&self, set: u32) -> Option<u32>;
}

impl Operands for Image<'_> {
    fn string(&self, at: u32) -> Option<&[u8]> {
        read::string(self.strings, at)
    }
    fn constant(&self, at: u32) -> Option<Constant> {
        Image::constant(self, at)
    }
    fn longs(&self, set: u32) -> Option<u32> {
        self.set(set).map(|(_, count)| count)
    }
}

/// The comparison of two entities' names, or of two strings.
const COMPARISON: u64 = byte_steps_of_longest().saturating_mul(2);

const fn byte_steps_of_longest() -> u64 {
    (wide(MAX_STRING_BYTES) >> 4).saturating_add(1)
}

/// What an instruction costs whose work the request bounds: at the last check there may be one comparison to go.
const FUELLED: u64 = wide_u32(MAX_INSTRUCTION_STEPS)
    .saturating_add(COMPARISON)
    .saturating_add(wide_u32(ITEM_STEPS).saturating_mul(2));

#[expect(clippy::as_conversions, reason = "const context; it widens")]
const fn wide_u32(count: u32) -> u64 {
    count as u64
}

/// The most an instruction costs; no more than its own reading for what it refers to in vain, which no checked program does.
pub(crate) fn instruction<O: Operands>(operands: &O, i: Instruction) -> u64 {
    let string = |at| {
        operands
            .string(at)
            .map_or(0, |string| byte_steps(string.len()))
    };
    let work = match i.op {
        Op::Equal | Op::NotEqual => COMPARISON,
        Op::EqualConstant | Op::NotEqualConstant => constant(operands, i.imm),
        Op::InLongs => operands.longs(i.imm).map_or(0, searching),
        Op::InListed => match operands.constant(i.imm) {
            Some(Constant::Set(first, count)) => (first..first.saturating_add(count))
                .take(LISTED)
                .fold(0, |sum: u64, at| {
                    sum.saturating_add(constant(operands, at))
                        .saturating_add(wide_u32(ITEM_STEPS))
                }),
            _ => 0,
        },
        Op::Like => operands
            .string(i.imm)
            .map_or(0, like::steps)
            .saturating_add(wide_u32(ITEM_STEPS)),
        Op::PrincipalIs | Op::ResourceIs | Op::Is => string(i.imm),
        Op::PrincipalIn | Op::ResourceIn => IN_LOOKUPS.saturating_mul(constant(operands, i.imm)),
        Op::Field
        | Op::HasField
        | Op::PrincipalGet
        | Op::PrincipalHas
        | Op::ResourceGet
        | Op::ResourceHas => wide(MAX_ATTRIBUTES).saturating_mul(string(i.imm)),
        Op::EqualDeep
        | Op::NotEqualDeep
        | Op::Contains
        | Op::ContainsAll
        | Op::ContainsAny
        | Op::In
        | Op::Get
        | Op::Has
        | Op::GetTag
        | Op::HasTag => FUELLED,
        _ => 0,
    };
    work.saturating_add(u64::from(INSTRUCTION_STEPS))
}

/// What comparing with a constant costs.
fn constant<O: Operands>(operands: &O, at: u32) -> u64 {
    let string = |at| {
        operands
            .string(at)
            .map_or(0, |string| byte_steps(string.len()))
    };
    match operands.constant(at) {
        Some(Constant::Str(at)) => string(at),
        Some(Constant::Entity(kind, id)) => string(kind).saturating_add(string(id)),
        _ => 0,
    }
}

/// The most steps of a binary search among `count`.
fn searching(count: u32) -> u64 {
    let rounds = u32::BITS.saturating_sub(count.leading_zeros());
    u64::from(rounds.saturating_mul(ROUND_STEPS))
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

/// How many names of an entity are hashed, and how many are looked up, if there are scopes of these classes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lookups {
    names: u64,
    lookups: u64,
}

impl Lookups {
    pub(crate) const fn of(is: bool, eq: bool, within: bool) -> Self {
        let (mut names, mut lookups) = (0u64, 0u64);
        if is {
            (names, lookups) = (names.saturating_add(1), lookups.saturating_add(1));
        }
        if eq || within {
            names = names.saturating_add(1);
        }
        if eq {
            lookups = lookups.saturating_add(1);
        }
        if within {
            names = names.saturating_add(wide(MAX_ANCESTORS));
            lookups = lookups.saturating_add(IN_LOOKUPS);
        }
        Self { names, lookups }
    }
}

/// What looking at the policies under one principal scope costs beyond the policies themselves: for any resource and for
/// each scope of the resource that matches, one look past the last policy; for the latter also a binary search. Where
/// policies are filed by port there is another binary search for each, and another look past the last.
pub(crate) fn search(policies: u32, by_port: bool, resource: Lookups) -> u64 {
    let past = u64::from(POLICY_STEPS);
    let each = searching(policies).saturating_add(past);
    let port = if by_port {
        each.saturating_add(past)
    } else {
        0
    };
    let both = each.saturating_add(port);
    resource
        .lookups
        .saturating_mul(both)
        .saturating_add(port)
        .saturating_add(past)
}

/// Resolving both entities of a request: hashing names, looking each up, and passing over repeated ones.
/// `dearest_name` is what comparing with the longest name in the table costs.
pub(crate) fn resolving(probes: u32, dearest_name: u64, sides: [Lookups; 2]) -> u64 {
    let hash = byte_steps(MAX_STRING_BYTES).saturating_mul(2);
    let lookup = u64::from(probes)
        .saturating_add(1)
        .saturating_add(dearest_name);
    sides.iter().fold(0, |sum: u64, of| {
        sum.saturating_add(of.names.saturating_mul(hash))
            .saturating_add(of.lookups.saturating_mul(lookup))
            .saturating_add(of.lookups.saturating_mul(of.lookups))
    })
}

/// What the policies under one resource scope cost: those of any port, and either those of the dearest port or, if the
/// request has no port, a look at all that want one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByPort {
    any: u64,
    dearest: u64,
    port: u32,
    run: u64,
    filed: u64,
}

impl ByPort {
    /// Adds a policy, filed under a port or under none.
    pub(crate) fn add(&mut self, port: u32, cost: u64) {
        if port == 0 {
            self.any = self.any.saturating_add(cost);
            return;
        }
        if port != self.port {
            (self.port, self.run) = (port, 0);
        }
        self.run = self.run.saturating_add(cost);
        self.dearest = self.dearest.max(self.run);
        self.filed = self.filed.saturating_add(u64::from(POLICY_STEPS));
    }

    pub(crate) fn any_filed(&self) -> bool {
        self.filed != 0
    }

    pub(crate) fn total(&self) -> u64 {
        self.any.saturating_add(self.dearest.max(self.filed))
    }
}

/// Finding one attribute of the image, of that length, in the request.
pub(crate) fn attribute(len: usize) -> u64 {
    byte_steps(len).saturating_mul(wide(MAX_ATTRIBUTES))
}
