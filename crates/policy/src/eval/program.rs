//! The condition machine.

use crate::bounds::{MAX_CONTEXT_ATTRIBUTES, MAX_IMAGE_ATTRIBUTES, REGISTERS};
use crate::eval::instruction::{Instruction, Reg};
use crate::eval::meter::Meter;
use crate::image::Image;
use crate::image::read;
use crate::request::{Attribute, Request, Value};

/// Why a condition has no truth value. Cedar would call each an evaluation error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The request's context lacks the attribute.
    MissingAttribute,
    /// A value is not of the type that the operation takes.
    Type,
    /// Not a program that a check accepted.
    Malformed,
}

/// What a request says, as programs refer to it.
pub(crate) struct Facts<'r> {
    principal_kind: &'r str,
    resource_kind: &'r str,
    /// For each attribute of the image its place in the request, or `ABSENT`.
    places: [u8; MAX_IMAGE_ATTRIBUTES],
    given: &'r [Attribute<'r>],
}

const ABSENT: u8 = u8::MAX;
const _: () = assert!(
    MAX_CONTEXT_ATTRIBUTES < 255,
    "a place is a byte that is not ABSENT"
);

impl<'r> Facts<'r> {
    /// Finds the image's attributes in the request.
    pub(crate) fn resolve<M: Meter>(
        image: &Image<'_>,
        request: &Request<'r>,
        meter: &mut M,
    ) -> Self {
        let given = request.context.attributes();
        let mut places = [ABSENT; MAX_IMAGE_ATTRIBUTES];
        let (names, _) = image.attributes.as_chunks::<4>();
        for (place, name) in places.iter_mut().zip(names) {
            let Some(name) = read::string(image.strings, u32::from_le_bytes(*name)) else {
                continue;
            };
            let found = given
                .iter()
                .take(MAX_CONTEXT_ATTRIBUTES)
                .position(|attribute| {
                    meter.bytes(name.len());
                    attribute.name.as_bytes() == name
                });
            *place = found.and_then(|at| u8::try_from(at).ok()).unwrap_or(ABSENT);
        }
        Self {
            principal_kind: request.principal.kind,
            resource_kind: request.resource.kind,
            places,
            given,
        }
    }

    fn attribute(&self, attribute: u32) -> Result<Value<'r>, Fault> {
        let place = usize::try_from(attribute)
            .ok()
            .and_then(|at| self.places.get(at))
            .ok_or(Fault::Malformed)?;
        self.given
            .get(usize::from(*place))
            .map(|attribute| attribute.value)
            .ok_or(Fault::MissingAttribute)
    }
}

/// The registers. One that a program reads before writing it holds what an earlier program left: no checked compiler
/// emits that, and in a hostile image it is one more arbitrary value.
pub(crate) struct Registers<'r>([Value<'r>; REGISTERS]);

impl<'r> Registers<'r> {
    pub(crate) const fn new() -> Self {
        Self([Value::Bool(false); REGISTERS])
    }

    fn value(&self, reg: Reg) -> Result<Value<'r>, Fault> {
        self.0
            .get(usize::from(reg))
            .copied()
            .ok_or(Fault::Malformed)
    }

    fn bool(&self, reg: Reg) -> Result<bool, Fault> {
        match self.value(reg)? {
            Value::Bool(value) => Ok(value),
            _ => Err(Fault::Type),
        }
    }

    fn long(&self, reg: Reg) -> Result<i64, Fault> {
        match self.value(reg)? {
            Value::Long(value) => Ok(value),
            _ => Err(Fault::Type),
        }
    }

    fn set(&mut self, reg: Reg, value: Value<'r>) -> Result<(), Fault> {
        *self.0.get_mut(usize::from(reg)).ok_or(Fault::Malformed)? = value;
        Ok(())
    }
}

/// Runs the program whose `Begin` is instruction `start`.
pub(crate) fn run<'r, M: Meter>(
    image: &Image<'_>,
    start: u32,
    facts: &Facts<'r>,
    registers: &mut Registers<'r>,
    meter: &mut M,
) -> Result<bool, Fault> {
    meter.step();
    let Some(Instruction::Begin { len, .. }) = image.instruction(start) else {
        return Err(Fault::Malformed);
    };
    let mut at = start;
    for _ in 0..len {
        at = at.checked_add(1).ok_or(Fault::Malformed)?;
        meter.step();
        match image.instruction(at).ok_or(Fault::Malformed)? {
            Instruction::Return { a } => return registers.bool(a),
            Instruction::JumpIfFalse { a, skip } if !registers.bool(a)? => {
                at = at.checked_add(skip).ok_or(Fault::Malformed)?
            }
            Instruction::JumpIfTrue { a, skip } if registers.bool(a)? => {
                at = at.checked_add(skip).ok_or(Fault::Malformed)?
            }
            Instruction::JumpIfFalse { .. } | Instruction::JumpIfTrue { .. } => {}
            other => step(image, other, facts, registers, meter)?,
        }
    }
    Err(Fault::Malformed)
}

/// One instruction that goes on with the next.
fn step<'r, M: Meter>(
    image: &Image<'_>,
    instruction: Instruction,
    facts: &Facts<'r>,
    registers: &mut Registers<'r>,
    meter: &mut M,
) -> Result<(), Fault> {
    let (dst, value) = match instruction {
        Instruction::Long { dst, value } => (dst, Value::Long(i64::from(value))),
        Instruction::LongAt { dst, at } => {
            (dst, Value::Long(image.long(at).ok_or(Fault::Malformed)?))
        }
        Instruction::Bool { dst, value } => (dst, Value::Bool(value)),
        Instruction::Attribute { dst, attribute } => (dst, facts.attribute(attribute)?),
        Instruction::EqualLong { dst, a, value } => {
            (dst, Value::Bool(is_long(registers.value(a)?, value)))
        }
        Instruction::NotEqualLong { dst, a, value } => {
            (dst, Value::Bool(!is_long(registers.value(a)?, value)))
        }
        Instruction::Equal { dst, a, b } => (
            dst,
            Value::Bool(equal(registers.value(a)?, registers.value(b)?, meter)),
        ),
        Instruction::NotEqual { dst, a, b } => (
            dst,
            Value::Bool(!equal(registers.value(a)?, registers.value(b)?, meter)),
        ),
        Instruction::Less { dst, a, b } => {
            (dst, Value::Bool(registers.long(a)? < registers.long(b)?))
        }
        Instruction::LessOrEqual { dst, a, b } => {
            (dst, Value::Bool(registers.long(a)? <= registers.long(b)?))
        }
        Instruction::Not { dst, a } => (dst, Value::Bool(!registers.bool(a)?)),
        Instruction::InLongs { dst, a, set } => {
            let value = registers.value(a)?;
            (
                dst,
                Value::Bool(in_longs(image, set, value, meter).ok_or(Fault::Malformed)?),
            )
        }
        Instruction::PrincipalIs { dst, kind } => (
            dst,
            Value::Bool(is_kind(image, facts.principal_kind, kind, meter)?),
        ),
        Instruction::ResourceIs { dst, kind } => (
            dst,
            Value::Bool(is_kind(image, facts.resource_kind, kind, meter)?),
        ),
        Instruction::Test { a } => return registers.bool(a).map(|_| ()),
        Instruction::Begin { .. }
        | Instruction::Return { .. }
        | Instruction::JumpIfFalse { .. }
        | Instruction::JumpIfTrue { .. } => return Err(Fault::Malformed),
    };
    registers.set(dst, value)
}

fn is_kind<M: Meter>(
    image: &Image<'_>,
    kind: &str,
    wanted: u32,
    meter: &mut M,
) -> Result<bool, Fault> {
    let wanted = read::string(image.strings, wanted).ok_or(Fault::Malformed)?;
    meter.bytes(wanted.len());
    Ok(wanted == kind.as_bytes())
}

fn is_long(value: Value<'_>, literal: i32) -> bool {
    matches!(value, Value::Long(value) if value == i64::from(literal))
}

fn equal<M: Meter>(a: Value<'_>, b: Value<'_>, meter: &mut M) -> bool {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Long(a), Value::Long(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => {
            meter.bytes(a.len().min(b.len()));
            a == b
        }
        _ => false,
    }
}

/// Binary search in an ascending run of numbers; at most 32 rounds.
fn in_longs<M: Meter>(
    image: &Image<'_>,
    set: u32,
    value: Value<'_>,
    meter: &mut M,
) -> Option<bool> {
    let (mut low, count) = image.set(set)?;
    let mut high = low.checked_add(count)?;
    let Value::Long(wanted) = value else {
        return Some(false);
    };
    while low < high {
        meter.step();
        let middle = low.midpoint(high);
        let found = image.long(middle)?;
        match found.cmp(&wanted) {
            core::cmp::Ordering::Equal => return Some(true),
            core::cmp::Ordering::Less => low = middle.checked_add(1)?,
            core::cmp::Ordering::Greater => high = middle,
        }
    }
    Some(false)
}
