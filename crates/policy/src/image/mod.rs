//! A checked policy image.

pub(crate) mod check;
mod check_code;
pub(crate) mod constant;
pub(crate) mod cost;
mod error;
pub(crate) mod layout;
pub(crate) mod nodes;
pub(crate) mod read;
pub(crate) mod sum;

pub use error::ImageError;

use crate::bounds::{MAX_COST, MAX_IMAGE_BYTES};
use crate::eval::action_bit;
use crate::eval::instruction::{Instruction, Op};
use crate::eval::meter::Unmetered;
use constant::Constant;
use layout::{
    CONSTANT_BYTES, ENTRY_BYTES, HEADER_BYTES, INSTRUCTION_BYTES, MAGIC, POLICY_BYTES, QUAD_BYTES,
    REF_BYTES, SECTIONS, VERSION,
};
use nodes::Nodes;
use read::Table;

/// A policy image whose bytes were checked: deciding by it ends within [`Image::cost`] steps. It borrows the bytes and is
/// cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    pub(crate) strings: &'a [u8],
    pub(crate) policies: Table<'a, POLICY_BYTES>,
    pub(crate) nodes: Option<Nodes<'a>>,
    pub(crate) actions: Table<'a, REF_BYTES>,
    pub(crate) action_sets: Table<'a, QUAD_BYTES>,
    pub(crate) code: Table<'a, INSTRUCTION_BYTES>,
    pub(crate) longs: Table<'a, QUAD_BYTES>,
    pub(crate) sets: Table<'a, QUAD_BYTES>,
    pub(crate) attributes: Table<'a, REF_BYTES>,
    pub(crate) constants: Table<'a, CONSTANT_BYTES>,
    cost: u32,
}

/// What the names of policies are read from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    strings: &'a [u8],
    policies: Table<'a, POLICY_BYTES>,
}

impl<'a> Names<'a> {
    /// The name of a policy.
    pub(crate) fn of(&self, policy: u32) -> Option<&'a str> {
        let name = read::record(self.policies, policy)?;
        let name = u32::from_le_bytes(*name.first_chunk()?);
        core::str::from_utf8(read::string(self.strings, name)?).ok()
    }
}

/// A policy as stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PolicyRecord {
    pub(crate) name: u32,
    pub(crate) resource: u32,
    pub(crate) port: u32,
    pub(crate) program: u32,
    pub(crate) actions: u16,
    pub(crate) effect: u16,
}

impl<'a> Image<'a> {
    /// Checks an image made by this version of the crate, up to a cost of [`MAX_COST`]. Takes time linear in its length, and in
    /// that of the names its records refer to, each read once for each.
    ///
    /// # Errors
    /// Names the first thing found wrong. No byte of a refused image has any effect.
    pub fn check(bytes: &'a [u8]) -> Result<Self, ImageError> {
        Self::check_within(bytes, MAX_COST)
    }

    /// Checks an image as [`Image::check`] does, but with another limit to its cost, in steps.
    ///
    /// # Errors
    /// Names the first thing found wrong; [`ImageError::TooCostly`] before all that is linear in the length.
    pub fn check_within(bytes: &'a [u8], max_cost: u32) -> Result<Self, ImageError> {
        let image = Self::reopen(bytes)?;
        check::affordable(&image, max_cost)?;
        sum::check(bytes)?;
        check::check(&image)?;
        Ok(image)
    }

    /// Opens an image that was checked before and has not changed since; takes constant time. With other bytes a decision
    /// still ends and never panics, but may cost more than [`Image::cost`], and means nothing.
    ///
    /// # Errors
    /// If the header or the directory is not that of an image.
    pub fn reopen(bytes: &'a [u8]) -> Result<Self, ImageError> {
        if bytes.len() > MAX_IMAGE_BYTES {
            return Err(ImageError::TooLong { len: bytes.len() });
        }
        let (header, rest) =
            bytes
                .split_first_chunk::<HEADER_BYTES>()
                .ok_or(ImageError::Truncated {
                    len: bytes.len(),
                    want: HEADER_BYTES,
                })?;
        let [
            m0,
            m1,
            m2,
            m3,
            v0,
            v1,
            s0,
            s1,
            l0,
            l1,
            l2,
            l3,
            c0,
            c1,
            c2,
            c3,
            ..,
        ] = *header;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(ImageError::BadMagic);
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION {
            return Err(ImageError::Version { version });
        }
        let want = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        match bytes.len().checked_sub(want) {
            None => {
                return Err(ImageError::Truncated {
                    len: bytes.len(),
                    want,
                });
            }
            Some(0) => {}
            Some(count) => return Err(ImageError::TrailingBytes { count }),
        }
        let sections = sections(rest, u16::from_le_bytes([s0, s1]))?;
        Self::assemble(sections, u32::from_le_bytes([c0, c1, c2, c3]))
    }

    fn assemble(sections: [&'a [u8]; SECTIONS], cost: u32) -> Result<Self, ImageError> {
        let [
            strings,
            policies,
            nodes,
            actions,
            action_sets,
            code,
            longs,
            sets,
            attributes,
            constants,
        ] = sections;
        let nodes = match nodes {
            [] => None,
            section => {
                let bad = ImageError::SectionBytes {
                    tag: layout::NODES,
                    len: section.len(),
                };
                Some(Nodes::read(section).ok_or(bad)?)
            }
        };
        Ok(Self {
            strings,
            policies: table(layout::POLICIES, policies)?,
            nodes,
            actions: table(layout::ACTIONS, actions)?,
            action_sets: table(layout::ACTION_SETS, action_sets)?,
            code: table(layout::CODE, code)?,
            longs: table(layout::LONGS, longs)?,
            sets: table(layout::SETS, sets)?,
            attributes: table(layout::ATTRIBUTES, attributes)?,
            constants: table(layout::CONSTANTS, constants)?,
            cost,
        })
    }

    /// The proven cost of the dearest decision, in steps: a step is what it takes to read a slot of the scope table, or to hash
    /// or compare up to 16 bytes. A look at a policy or at a member of the request's counts for three, an instruction of a
    /// condition for seven. It holds for any request within the crate's bounds.
    #[must_use]
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// How many policies the image holds.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.policies.len()
    }

    /// The names of all policies, in the order of the image, which is not that of the source.
    pub fn policy_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let image = *self;
        (0..u32::try_from(image.policy_count()).unwrap_or(u32::MAX))
            .filter_map(move |policy| image.policy_name(policy))
    }

    /// Whether a condition may read this attribute of the context. Where none does, a request can leave it out: the decision is
    /// the same. Takes time linear in the length of the image, which whoever keeps it asks once.
    #[must_use]
    pub fn reads(&self, attribute: &str) -> bool {
        let named = |name: &[u8; REF_BYTES]| {
            self.string(u32::from_le_bytes(*name)) == Some(attribute.as_bytes())
        };
        let mut code = (0..).map_while(|at| self.instruction(at));
        let mut policies = (0..).map_while(|at| self.policy(at));
        self.attributes.iter().any(named)
            || code.any(|i| i.op == Op::Context)
            || attribute == layout::PORT && policies.any(|policy| policy.port != 0)
    }

    /// Whether a condition may read this field of a record that is this attribute of the context. Where none does, the record
    /// can leave it out. What asks for a field of that name of something else counts too, and so does what compares whole
    /// records. Takes time linear in the length of the image.
    #[must_use]
    pub fn reads_field(&self, attribute: &str, field: &str) -> bool {
        let may = |i: Instruction| match i.op {
            Op::Get | Op::Field | Op::Has | Op::HasField => {
                self.string(i.imm) == Some(field.as_bytes())
            }
            Op::EqualDeep
            | Op::NotEqualDeep
            | Op::Contains
            | Op::ContainsAll
            | Op::ContainsAny
            | Op::InListed => true,
            _ => false,
        };
        self.reads(attribute) && (0..).map_while(|at| self.instruction(at)).any(may)
    }

    /// Whether a `forbid` may match this action. Where none does, and no permit is needed, there is nothing to ask. Takes time
    /// linear in the length of the image.
    #[must_use]
    pub fn may_forbid(&self, action: &str) -> bool {
        let bit = action_bit(self, action, &mut Unmetered);
        let acts = |policy: PolicyRecord| match policy.actions.checked_sub(1) {
            None => true,
            Some(set) => {
                read::quad(self.action_sets, u32::from(set)).is_none_or(|set| set & bit != 0)
            }
        };
        let mut policies = (0..).map_while(|at| self.policy(at));
        policies.any(|policy| policy.effect == layout::EFFECT_FORBID && acts(policy))
    }

    /// The names of the attributes of the context that conditions ask for by name.
    #[cfg(feature = "compile")]
    pub(crate) fn attribute_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let image = *self;
        (0..).map_while(move |at| image.attribute_name(at))
    }

    /// The name of an attribute of the context, by its number.
    #[cfg(feature = "compile")]
    pub(crate) fn attribute_name(&self, at: u32) -> Option<&'a str> {
        let name = self.string(read::word(self.attributes, at)?)?;
        core::str::from_utf8(name).ok()
    }

    pub(crate) fn policy_name(&self, policy: u32) -> Option<&'a str> {
        self.names().of(policy)
    }

    pub(crate) fn names(&self) -> Names<'a> {
        Names {
            strings: self.strings,
            policies: self.policies,
        }
    }

    #[inline]
    pub(crate) fn policy(&self, policy: u32) -> Option<PolicyRecord> {
        let [name, resource, port, program, last] =
            read::words(read::record(self.policies, policy)?)?;
        let [a0, a1, e0, e1] = last.to_le_bytes();
        let (actions, effect) = (u16::from_le_bytes([a0, a1]), u16::from_le_bytes([e0, e1]));
        Some(PolicyRecord {
            name,
            resource,
            port,
            program,
            actions,
            effect,
        })
    }

    #[inline]
    pub(crate) fn instruction(&self, at: u32) -> Option<Instruction> {
        Instruction::decode(*read::record(self.code, at)?)
    }

    /// A constant as stored.
    #[inline]
    pub(crate) fn constant(&self, at: u32) -> Option<Constant> {
        Constant::decode(read::words(read::record(self.constants, at)?)?)
    }

    /// A string.
    #[inline]
    pub(crate) fn string(&self, at: u32) -> Option<&'a [u8]> {
        read::string(self.strings, at)
    }

    pub(crate) fn long(&self, at: u32) -> Option<i64> {
        read::quad(self.longs, at).map(u64::cast_signed)
    }

    /// The first number and the count of a set.
    pub(crate) fn set(&self, at: u32) -> Option<(u32, u32)> {
        let [first, count] = read::words(read::record(self.sets, at)?)?;
        Some((first, count))
    }
}

/// A section that is a table.
fn table<const BYTES: usize>(tag: u16, section: &[u8]) -> Result<Table<'_, BYTES>, ImageError> {
    match section.as_chunks() {
        (records, []) => Ok(records),
        _ => Err(ImageError::SectionBytes {
            tag,
            len: section.len(),
        }),
    }
}

/// Splits what follows the header into sections by the directory. An absent section is empty.
fn sections(rest: &[u8], count: u16) -> Result<[&[u8]; SECTIONS], ImageError> {
    let directory = usize::from(count).saturating_mul(ENTRY_BYTES);
    let short = ImageError::Truncated {
        len: rest.len().saturating_add(HEADER_BYTES),
        want: directory.saturating_add(HEADER_BYTES),
    };
    let (entries, mut rest) = rest.split_at_checked(directory).ok_or(short)?;
    let mut sections = [[].as_slice(); SECTIONS];
    let mut places = (1..).zip(sections.iter_mut());
    let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
    for &[t0, t1, l0, l1, l2, l3] in entries {
        let tag = u16::from_le_bytes([t0, t1]);
        let place = places
            .find(|&(place, _)| place == tag)
            .ok_or(ImageError::Section { tag })?;
        let len = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let (section, after) = rest
            .split_at_checked(len)
            .ok_or(ImageError::SectionBytes { tag, len })?;
        if len == 0 {
            return Err(ImageError::Section { tag });
        }
        *place.1 = section;
        rest = after;
    }
    match rest.len() {
        0 => Ok(sections),
        count => Err(ImageError::TrailingBytes { count }),
    }
}
