//! The condition machine.

use core::cmp::Ordering;

use super::value::{Val, World, same};
use super::{Fault, entity, equal, like, time};
use crate::bounds::{MAX_ATTRIBUTES, MAX_IMAGE_ATTRIBUTES};
use crate::eval::instruction::{Instruction, Op, Reg};
use crate::eval::meter::{INSTRUCTION_STEPS, Meter, ROUND_STEPS};
use crate::image::Image;
use crate::image::read;
use crate::request::Request;
use crate::value::Ip;

/// One request's facts and registers.
pub(crate) struct Machine<'x> {
    world: World<'x>,
    /// The bit of the action in action sets.
    action: u64,
    /// For each attribute of the image its place in the request, or `ABSENT`, or `UNSOUGHT`.
    places: [u8; MAX_IMAGE_ATTRIBUTES],
}

const ABSENT: u8 = u8::MAX;
const UNSOUGHT: u8 = u8::MAX - 1;
const _: () = assert!(
    MAX_ATTRIBUTES < 254,
    "a place is a byte that is none of those"
);

/// Runs the program whose `Begin` is instruction `start`.
#[inline(never)]
pub(crate) fn run<M: Meter>(
    machine: &mut Machine<'_>,
    start: u32,
    meter: &mut M,
) -> Result<bool, Fault> {
    meter.steps(INSTRUCTION_STEPS);
    let image = machine.world.image;
    let begin = image
        .instruction(start)
        .filter(|begin| begin.op == Op::Begin);
    let len = begin.ok_or(Fault::Malformed)?.len();
    let mut at = start;
    for _ in 0..len {
        at = at.checked_add(1).ok_or(Fault::Malformed)?;
        meter.steps(INSTRUCTION_STEPS);
        let next = image.instruction(at).ok_or(Fault::Malformed)?;
        let jumps = match next.op {
            Op::Return => return machine.world.bool(next.a),
            Op::JumpIfFalse => !machine.world.bool(next.a)?,
            Op::JumpIfTrue => machine.world.bool(next.a)?,
            Op::Jump => true,
            Op::Test => machine.world.bool(next.a).map(|_| false)?,
            // What most conditions are made of.
            Op::Attribute => {
                let value = machine.attribute(next.imm, meter)?;
                machine.world.set(next.dst, value.ok_or(Fault::Missing)?)?;
                false
            }
            Op::EqualLong => {
                let same = is_long(machine.world.value(next.a)?, next.number());
                machine.world.set(next.dst, Val::Bool(same))?;
                false
            }
            _ => {
                let value = machine.value(next, meter)?;
                machine.world.set(next.dst, value)?;
                false
            }
        };
        if jumps {
            at = at.checked_add(next.imm).ok_or(Fault::Malformed)?;
        }
    }
    Err(Fault::Malformed)
}

impl<'x> Machine<'x> {
    pub(crate) const fn new(image: &'x Image<'x>, request: &'x Request<'x>, action: u64) -> Self {
        Self {
            world: World::new(image, request),
            action,
            places: [UNSOUGHT; MAX_IMAGE_ATTRIBUTES],
        }
    }

    /// Whether the action is in a set of the image, by its number; `None` if there is none.
    pub(crate) fn acts(&self, set: u32) -> Option<bool> {
        read::quad(self.world.image.action_sets, set).map(|set| set & self.action != 0)
    }

    /// The result of an instruction that goes on with the next.
    fn value<M: Meter>(&mut self, i: Instruction, meter: &mut M) -> Result<Val<'x>, Fault> {
        let malformed = Fault::Malformed;
        match i.op {
            Op::Long => Ok(Val::Long(i64::from(i.number()))),
            Op::LongAt => self.world.image.long(i.imm).map(Val::Long).ok_or(malformed),
            Op::Bool => Ok(Val::Bool(i.imm != 0)),
            Op::Constant => self.world.constant(i.imm),
            Op::Move => self.world.value(i.a),
            Op::Principal => Ok(Val::Principal),
            Op::Resource => Ok(Val::Resource),
            Op::Context => Ok(Val::Record(self.world.request.context.attributes())),
            Op::Not => Ok(Val::Bool(!self.world.bool(i.a)?)),
            Op::Add | Op::Sub | Op::Mul | Op::Neg => self.arithmetic(i),
            Op::MakeSet => {
                let count = Reg::try_from(i.imm).map_err(|_| malformed)?;
                Ok(Val::SetOf(i.a, count))
            }
            Op::MakeRecord => match self.world.constant(i.imm)? {
                Val::SetAt(names, count) => {
                    let count = Reg::try_from(count).map_err(|_| malformed)?;
                    Ok(Val::RecordOf(i.a, count, names))
                }
                _ => Err(malformed),
            },
            Op::Get | Op::Field | Op::PrincipalGet | Op::ResourceGet | Op::GetTag => {
                self.look_up(i, meter)?.ok_or(Fault::Missing)
            }
            Op::Offset | Op::DurationSince | Op::ToDate | Op::ToTime | Op::Whole => self.time(i),
            _ => self.truth(i, meter).map(Val::Bool),
        }
    }

    /// The result of an instruction that has a truth value.
    fn truth<M: Meter>(&mut self, i: Instruction, meter: &mut M) -> Result<bool, Fault> {
        let world = &self.world;
        match i.op {
            Op::NotEqualLong => Ok(!is_long(world.value(i.a)?, i.number())),
            Op::Equal => equal::flat(world, world.value(i.a)?, world.value(i.b)?, meter),
            Op::NotEqual => {
                equal::flat(world, world.value(i.a)?, world.value(i.b)?, meter).map(|same| !same)
            }
            Op::EqualConstant => {
                equal::flat(world, world.value(i.a)?, world.constant(i.imm)?, meter)
            }
            Op::NotEqualConstant => {
                equal::flat(world, world.value(i.a)?, world.constant(i.imm)?, meter)
                    .map(|same| !same)
            }
            Op::EqualDeep => equal::deep(world, world.value(i.a)?, world.value(i.b)?, meter),
            Op::NotEqualDeep => {
                equal::deep(world, world.value(i.a)?, world.value(i.b)?, meter).map(|same| !same)
            }
            Op::Less => self.order(i).map(Ordering::is_lt),
            Op::LessOrEqual => self.order(i).map(Ordering::is_le),
            Op::DecimalLess => self.decimal_order(i).map(Ordering::is_lt),
            Op::DecimalLessOrEqual => self.decimal_order(i).map(Ordering::is_le),
            Op::IsIpv4 => Ok(world.ip(i.a)?.is_ipv4()),
            Op::IsIpv6 => Ok(world.ip(i.a)?.is_ipv6()),
            Op::IsLoopback => Ok(world.ip(i.a)?.is_loopback()),
            Op::IsMulticast => Ok(world.ip(i.a)?.is_multicast()),
            Op::IsInRange => {
                let (own, other): (Ip, Ip) = (world.ip(i.a)?, world.ip(i.b)?);
                Ok(own.is_in_range(&other))
            }
            Op::Like => like::like(world.string(i.imm)?, world.text(i.a)?, meter),
            Op::InLongs => {
                in_longs(world.image, i.imm, world.value(i.a)?, meter).ok_or(Fault::Malformed)
            }
            Op::InListed => equal::listed(world, world.constant(i.imm)?, world.value(i.a)?, meter),
            Op::Contains => equal::contains(world, world.value(i.a)?, world.value(i.b)?, meter),
            Op::ContainsAll => {
                equal::contains_all(world, world.value(i.a)?, world.value(i.b)?, meter)
            }
            Op::ContainsAny => {
                equal::contains_any(world, world.value(i.a)?, world.value(i.b)?, meter)
            }
            Op::IsEmpty => world.count(world.value(i.a)?).map(|count| count == 0),
            Op::ActionIn => self.acts(i.imm).ok_or(Fault::Malformed),
            Op::HasAttribute => Ok(self.attribute(i.imm, meter)?.is_some()),
            Op::Has | Op::HasField | Op::PrincipalHas | Op::ResourceHas | Op::HasTag => {
                Ok(self.look_up(i, meter)?.is_some())
            }
            _ => self.membership(i, meter),
        }
    }

    /// `is` and `in`.
    fn membership<M: Meter>(&self, i: Instruction, meter: &mut M) -> Result<bool, Fault> {
        let world = &self.world;
        let (principal, resource) = (&world.request.principal, &world.request.resource);
        let kind = |kind: &[u8], meter: &mut M| Ok(same(world.string(i.imm)?, kind, meter));
        match i.op {
            Op::PrincipalIs => kind(principal.kind.as_bytes(), meter),
            Op::ResourceIs => kind(resource.kind.as_bytes(), meter),
            Op::Is => kind(world.name(world.value(i.a)?)?.0, meter),
            Op::In => entity::is_in(world, world.value(i.a)?, world.value(i.b)?, meter),
            Op::PrincipalIn => {
                let above = world.name(world.constant(i.imm)?)?;
                Ok(entity::own_in(principal, above, meter))
            }
            Op::ResourceIn => {
                let above = world.name(world.constant(i.imm)?)?;
                Ok(entity::own_in(resource, above, meter))
            }
            _ => Err(Fault::Malformed),
        }
    }

    /// An attribute or tag; `None` if there is none of that name.
    fn look_up<M: Meter>(&self, i: Instruction, meter: &mut M) -> Result<Option<Val<'x>>, Fault> {
        let world = &self.world;
        let (principal, resource) = (&world.request.principal, &world.request.resource);
        match i.op {
            Op::PrincipalGet | Op::PrincipalHas => {
                entity::find(principal.attributes, world.string(i.imm)?, meter)
            }
            Op::ResourceGet | Op::ResourceHas => {
                entity::find(resource.attributes, world.string(i.imm)?, meter)
            }
            Op::Field | Op::HasField => {
                entity::field(world, world.value(i.a)?, world.string(i.imm)?, meter)
            }
            Op::Get | Op::Has => entity::get(world, world.value(i.a)?, world.string(i.imm)?, meter),
            Op::GetTag | Op::HasTag => {
                entity::tag(world, world.value(i.a)?, world.text(i.b)?, meter)
            }
            _ => Err(Fault::Malformed),
        }
    }

    /// A context attribute by its number in the image. It is sought once.
    #[inline]
    fn attribute<M: Meter>(
        &mut self,
        attribute: u32,
        meter: &mut M,
    ) -> Result<Option<Val<'x>>, Fault> {
        let (image, given) = (self.world.image, self.world.request.context.attributes());
        let place = usize::try_from(attribute)
            .ok()
            .and_then(|at| self.places.get_mut(at))
            .ok_or(Fault::Malformed)?;
        if *place == UNSOUGHT {
            let name = read::word(image.attributes, attribute)
                .and_then(|at| image.string(at))
                .ok_or(Fault::Malformed)?;
            let found = given
                .iter()
                .take(MAX_ATTRIBUTES)
                .position(|attribute| same(attribute.name.as_bytes(), name, meter));
            *place = found.and_then(|at| u8::try_from(at).ok()).unwrap_or(ABSENT);
        }
        given
            .get(usize::from(*place))
            .map(|attribute| Val::given(&attribute.value))
            .transpose()
    }

    fn arithmetic(&self, i: Instruction) -> Result<Val<'x>, Fault> {
        let a = self.world.long(i.a)?;
        let result = match i.op {
            Op::Add => a.checked_add(self.world.long(i.b)?),
            Op::Sub => a.checked_sub(self.world.long(i.b)?),
            Op::Mul => a.checked_mul(self.world.long(i.b)?),
            _ => a.checked_neg(),
        };
        result.map(Val::Long).ok_or(Fault::Overflow)
    }

    fn time(&self, i: Instruction) -> Result<Val<'x>, Fault> {
        let a = self.world.value(i.a)?;
        let result = match (i.op, a) {
            (Op::Offset, Val::Datetime(a)) => match self.world.value(i.b)? {
                Val::Duration(b) => a.checked_add(b).map(Val::Datetime),
                _ => return Err(Fault::Type),
            },
            (Op::DurationSince, Val::Datetime(a)) => match self.world.value(i.b)? {
                Val::Datetime(b) => a.checked_sub(b).map(Val::Duration),
                _ => return Err(Fault::Type),
            },
            (Op::ToDate, Val::Datetime(a)) => time::date(a).map(Val::Datetime),
            (Op::ToTime, Val::Datetime(a)) => time::time(a).map(Val::Duration),
            (Op::Whole, Val::Duration(a)) => a.checked_div(i64::from(i.number())).map(Val::Long),
            _ => return Err(Fault::Type),
        };
        result.ok_or(Fault::Overflow)
    }

    fn order(&self, i: Instruction) -> Result<Ordering, Fault> {
        match (self.world.value(i.a)?, self.world.value(i.b)?) {
            (Val::Long(a), Val::Long(b))
            | (Val::Datetime(a), Val::Datetime(b))
            | (Val::Duration(a), Val::Duration(b)) => Ok(a.cmp(&b)),
            _ => Err(Fault::Type),
        }
    }

    fn decimal_order(&self, i: Instruction) -> Result<Ordering, Fault> {
        match (self.world.value(i.a)?, self.world.value(i.b)?) {
            (Val::Decimal(a), Val::Decimal(b)) => Ok(a.cmp(&b)),
            _ => Err(Fault::Type),
        }
    }
}

fn is_long(value: Val<'_>, literal: i32) -> bool {
    matches!(value, Val::Long(value) if value == i64::from(literal))
}

/// Binary search in an ascending run of numbers; at most 32 rounds.
fn in_longs<M: Meter>(image: &Image<'_>, set: u32, value: Val<'_>, meter: &mut M) -> Option<bool> {
    let (mut low, count) = image.set(set)?;
    let mut high = low.checked_add(count)?;
    let Val::Long(wanted) = value else {
        return Some(false);
    };
    while low < high {
        meter.steps(ROUND_STEPS);
        let middle = low.midpoint(high);
        let found = image.long(middle)?;
        match found.cmp(&wanted) {
            Ordering::Equal => return Some(true),
            Ordering::Less => low = middle.checked_add(1)?,
            Ordering::Greater => high = middle,
        }
    }
    Some(false)
}
