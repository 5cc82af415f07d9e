//! Entities: where they are, what they are in, and what is known of them.

use super::Fault;
use super::meter::{Fuel, Meter};
use super::value::{Val, World, same};
use crate::bounds::MAX_ATTRIBUTES;
use crate::request::{Entity, EntityRef};
use crate::value::Attribute;

/// What the request tells of an entity, if anything.
fn told<'x, M: Meter>(
    world: &World<'x>,
    entity: Val<'x>,
    fuel: &mut Fuel<'_, M>,
) -> Result<Option<&'x Entity<'x>>, Fault> {
    let request = world.request;
    match entity {
        Val::Principal => return Ok(Some(&request.principal)),
        Val::Resource => return Ok(Some(&request.resource)),
        _ => {}
    }
    let (kind, id) = world.name(entity)?;
    let known = [&request.principal, &request.resource];
    for entity in known.into_iter().chain(request.context.entities()) {
        fuel.go_on()?;
        if is(entity.name(), (kind, id), fuel) {
            return Ok(Some(entity));
        }
    }
    Ok(None)
}

/// `a in b`, an entity or a set of entities.
pub(super) fn is_in<'x, M: Meter>(
    world: &World<'x>,
    a: Val<'x>,
    b: Val<'x>,
    meter: &mut M,
) -> Result<bool, Fault> {
    let fuel = &mut Fuel::new(meter);
    let own = world.name(a)?;
    let told = told(world, a, fuel)?;
    if world.name(b).is_ok() {
        return below(own, told, world.name(b)?, fuel);
    }
    let count = world.count(b)?;
    for at in 0..count {
        fuel.go_on()?;
        world.name(world.member(b, at)?)?;
    }
    for at in 0..count {
        if below(own, told, world.name(world.member(b, at)?)?, fuel)? {
            return Ok(true);
        }
    }
    Ok(false)
}

type Name<'x> = (&'x [u8], &'x [u8]);

fn below<M: Meter>(
    own: Name<'_>,
    told: Option<&Entity<'_>>,
    above: Name<'_>,
    fuel: &mut Fuel<'_, M>,
) -> Result<bool, Fault> {
    let ancestors = told.into_iter().flat_map(|entity| entity.ancestors);
    let ancestors = ancestors.map(|name| (name.kind.as_bytes(), name.id.as_bytes()));
    for (kind, id) in core::iter::once(own).chain(ancestors) {
        fuel.go_on()?;
        if same(id, above.1, fuel) && same(kind, above.0, fuel) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is<M: Meter>(name: EntityRef<'_>, (kind, id): Name<'_>, meter: &mut M) -> bool {
    same(name.id.as_bytes(), id, meter) && same(name.kind.as_bytes(), kind, meter)
}

/// Whether one of the request's own entities is in an entity of the image.
pub(super) fn own_in<M: Meter>(entity: &Entity<'_>, above: Name<'_>, meter: &mut M) -> bool {
    let own = entity.name();
    core::iter::once(&own)
        .chain(entity.ancestors)
        .any(|name| is(*name, above, meter))
}

/// The value under that name, if it is there; at most [`MAX_ATTRIBUTES`] are looked at.
pub(super) fn find<'x, M: Meter>(
    attributes: &'x [Attribute<'x>],
    name: &[u8],
    meter: &mut M,
) -> Result<Option<Val<'x>>, Fault> {
    for attribute in attributes.iter().take(MAX_ATTRIBUTES) {
        meter.check()?;
        if same(attribute.name.as_bytes(), name, meter) {
            return Val::given(&attribute.value).map(Some);
        }
    }
    Ok(None)
}

/// The attribute of an entity or record; `None` if it has none of that name.
pub(super) fn get<'x, M: Meter>(
    world: &World<'x>,
    of: Val<'x>,
    name: &[u8],
    meter: &mut M,
) -> Result<Option<Val<'x>>, Fault> {
    let fuel = &mut Fuel::new(meter);
    if world.width(of).is_ok() {
        return field(world, of, name, fuel);
    }
    match told(world, of, fuel)? {
        None => Ok(None),
        Some(entity) => find(entity.attributes, name, fuel),
    }
}

/// The attribute of a record; `None` if it has none of that name.
pub(super) fn field<'x, M: Meter>(
    world: &World<'x>,
    of: Val<'x>,
    name: &[u8],
    meter: &mut M,
) -> Result<Option<Val<'x>>, Fault> {
    world
        .field(of, name, meter)?
        .map(|at| world.field_value(of, at))
        .transpose()
}

/// The tag of an entity; `None` if it has none of that name.
pub(super) fn tag<'x, M: Meter>(
    world: &World<'x>,
    of: Val<'x>,
    name: &[u8],
    meter: &mut M,
) -> Result<Option<Val<'x>>, Fault> {
    let fuel = &mut Fuel::new(meter);
    match told(world, of, fuel)? {
        None => Ok(None),
        Some(entity) => find(entity.tags, name, fuel),
    }
}
