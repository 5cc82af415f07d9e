//! Equality, and what sets are asked.

use core::marker::PhantomData;

use super::Fault;
use super::meter::{Fuel, ITEM_STEPS, Meter};
use super::value::{Val, World, same};
use crate::bounds::MAX_VALUE_DEPTH;

/// Values of that many levels of sets and records can be compared. It stands in for recursion: each level is a function of
/// its own, which calls that of the level below.
trait Depth {
    fn equal<'x, M: Meter>(
        world: &World<'x>,
        a: Val<'x>,
        b: Val<'x>,
        fuel: &mut Fuel<'_, M>,
    ) -> Result<bool, Fault>;
}

/// No level.
struct Flat;

/// One level more.
struct Above<D>(PhantomData<D>);

type Deepest = Above<Above<Above<Above<Flat>>>>;
const _: () = assert!(MAX_VALUE_DEPTH == 4, "the levels of `Deepest`");

impl Depth for Flat {
    fn equal<'x, M: Meter>(
        world: &World<'x>,
        a: Val<'x>,
        b: Val<'x>,
        fuel: &mut Fuel<'_, M>,
    ) -> Result<bool, Fault> {
        flat(world, a, b, fuel).map_err(|fault| match fault {
            Fault::Malformed => Fault::TooDeep,
            other => other,
        })
    }
}

impl<D: Depth> Depth for Above<D> {
    fn equal<'x, M: Meter>(
        world: &World<'x>,
        a: Val<'x>,
        b: Val<'x>,
        fuel: &mut Fuel<'_, M>,
    ) -> Result<bool, Fault> {
        fuel.go_on()?;
        match (form(a), form(b)) {
            _ if itself(a, b) => Ok(true),
            (Form::Set, Form::Set) => {
                Ok(includes::<D, M>(world, a, b, fuel)? && includes::<D, M>(world, b, a, fuel)?)
            }
            (Form::Record, Form::Record) => {
                Ok(agrees::<D, M>(world, a, b, fuel)? && agrees::<D, M>(world, b, a, fuel)?)
            }
            _ => flat(world, a, b, fuel),
        }
    }
}

/// What kind of a thing a value is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Form {
    Flat,
    Set,
    Record,
}

fn form(value: Val<'_>) -> Form {
    match value {
        Val::Set(_) | Val::SetAt(..) | Val::SetOf(..) => Form::Set,
        Val::Record(_) | Val::RecordAt(..) | Val::RecordOf(..) => Form::Record,
        _ => Form::Flat,
    }
}

/// Whether both are the same set or record of the request, which is equal to itself however large it is.
fn itself(a: Val<'_>, b: Val<'_>) -> bool {
    match (a, b) {
        (Val::Set(a), Val::Set(b)) => core::ptr::eq(a, b),
        (Val::Record(a), Val::Record(b)) => core::ptr::eq(a, b),
        _ => false,
    }
}

/// `a == b` unless both are sets or both are records.
pub(super) fn flat<'x, M: Meter>(
    world: &World<'x>,
    a: Val<'x>,
    b: Val<'x>,
    meter: &mut M,
) -> Result<bool, Fault> {
    let is_entity = |value| {
        matches!(
            value,
            Val::Principal | Val::Resource | Val::Entity(_) | Val::EntityAt(..)
        )
    };
    Ok(match (a, b) {
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Long(a), Val::Long(b))
        | (Val::Decimal(a), Val::Decimal(b))
        | (Val::Datetime(a), Val::Datetime(b))
        | (Val::Duration(a), Val::Duration(b)) => a == b,
        (Val::Str(a), Val::Str(b)) => same(a, b, meter),
        (Val::Ip(a), Val::Ip(b)) => a == b,
        (a, b) if is_entity(a) && is_entity(b) => {
            let (a, b) = (world.name(a)?, world.name(b)?);
            same(a.0, b.0, meter) && same(a.1, b.1, meter)
        }
        // Where the schema has neither sets nor records there may be one all the same, as long as it is only itself.
        (a, b) if form(a) != Form::Flat && form(a) == form(b) => match itself(a, b) {
            true => true,
            false => return Err(Fault::Malformed),
        },
        _ => false,
    })
}

/// `a == b`, of anything.
pub(super) fn deep<'x, M: Meter>(
    world: &World<'x>,
    a: Val<'x>,
    b: Val<'x>,
    meter: &mut M,
) -> Result<bool, Fault> {
    Deepest::equal(world, a, b, &mut Fuel::new(meter))
}

/// `set.contains(member)`.
pub(super) fn contains<'x, M: Meter>(
    world: &World<'x>,
    set: Val<'x>,
    member: Val<'x>,
    meter: &mut M,
) -> Result<bool, Fault> {
    find::<Deepest, M>(world, set, member, &mut Fuel::new(meter))
}

/// `set.containsAll(members)`.
pub(super) fn contains_all<'x, M: Meter>(
    world: &World<'x>,
    set: Val<'x>,
    members: Val<'x>,
    meter: &mut M,
) -> Result<bool, Fault> {
    world.count(set)?;
    includes::<Deepest, M>(world, set, members, &mut Fuel::new(meter))
}

/// `set.containsAny(members)`.
pub(super) fn contains_any<'x, M: Meter>(
    world: &World<'x>,
    set: Val<'x>,
    members: Val<'x>,
    meter: &mut M,
) -> Result<bool, Fault> {
    world.count(set)?;
    some::<Deepest, M>(world, set, members, true, &mut Fuel::new(meter))
}

/// Whether a set of listed constants, none of them a set or record, contains a value.
pub(super) fn listed<'x, M: Meter>(
    world: &World<'x>,
    set: Val<'x>,
    member: Val<'x>,
    meter: &mut M,
) -> Result<bool, Fault> {
    for at in 0..world.count(set)? {
        meter.steps(ITEM_STEPS);
        if flat(world, world.member(set, at)?, member, meter)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn find<'x, D: Depth, M: Meter>(
    world: &World<'x>,
    set: Val<'x>,
    member: Val<'x>,
    fuel: &mut Fuel<'_, M>,
) -> Result<bool, Fault> {
    for at in 0..world.count(set)? {
        fuel.go_on()?;
        if D::equal(world, world.member(set, at)?, member, fuel)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether one of `members` is in `set`, or not in it, as is asked.
fn some<'x, D: Depth, M: Meter>(
    world: &World<'x>,
    set: Val<'x>,
    members: Val<'x>,
    inside: bool,
    fuel: &mut Fuel<'_, M>,
) -> Result<bool, Fault> {
    for at in 0..world.count(members)? {
        fuel.go_on()?;
        if find::<D, M>(world, set, world.member(members, at)?, fuel)? == inside {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether every one of `members` is in `set`.
fn includes<'x, D: Depth, M: Meter>(
    world: &World<'x>,
    set: Val<'x>,
    members: Val<'x>,
    fuel: &mut Fuel<'_, M>,
) -> Result<bool, Fault> {
    some::<D, M>(world, set, members, false, fuel).map(|missing| !missing)
}

/// Whether `record` has every field of `fields`, of the same value.
fn agrees<'x, D: Depth, M: Meter>(
    world: &World<'x>,
    record: Val<'x>,
    fields: Val<'x>,
    fuel: &mut Fuel<'_, M>,
) -> Result<bool, Fault> {
    for at in 0..world.width(fields)? {
        fuel.go_on()?;
        let name = world.field_name(fields, at)?;
        // Of two fields with one name the first counts.
        let (Some(own), Some(other)) = (
            world.field(fields, name, fuel)?,
            world.field(record, name, fuel)?,
        ) else {
            return Ok(false);
        };
        let (own, other) = (
            world.field_value(fields, own)?,
            world.field_value(record, other)?,
        );
        if !D::equal(world, own, other, fuel)? {
            return Ok(false);
        }
    }
    Ok(true)
}
