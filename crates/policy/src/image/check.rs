//! The check of an image, once, before anything is decided by it.

use crate::bounds::{MAX_ACTIONS, MAX_ATTRIBUTES, MAX_IMAGE_ATTRIBUTES, MAX_STRING_BYTES};
use crate::eval::instruction::Op;
use crate::eval::meter::{INSTRUCTION_STEPS, POLICY_STEPS, Unmetered, byte_steps};
use crate::image::check_code::code;
use crate::image::constant::Constant;
use crate::image::cost::{self, ByPort, Lookups, Worst};
use crate::image::layout::{self, EFFECT_FORBID, EFFECT_PERMIT};
use crate::image::nodes::{self, Class, Key, Nodes, Side, Slot};
use crate::image::read::{self, Table};
use crate::image::{Image, ImageError};
use crate::request::EntityRef;
use crate::value::Ip;

/// Whether the cost carried is within the limit.
pub(crate) fn affordable(image: &Image<'_>, max_cost: u32) -> Result<(), ImageError> {
    let carried = image.cost();
    if carried > max_cost {
        return Err(ImageError::TooCostly {
            cost: u64::from(carried),
            limit: max_cost,
        });
    }
    Ok(())
}

/// Checks everything that [`Image::reopen`] does not, and that the cost carried is the one proven.
pub(crate) fn check(image: &Image<'_>) -> Result<(), ImageError> {
    let carried = image.cost();
    match prove(image)? {
        proven if proven == u64::from(carried) => Ok(()),
        proven => Err(ImageError::WrongCost { carried, proven }),
    }
}

/// Checks the sections and returns the cost of the dearest decision.
pub(crate) fn prove(image: &Image<'_>) -> Result<u64, ImageError> {
    lengths(image)?;
    sets(image)?;
    constants(image)?;
    code(image)?;
    let names = names(image)?;
    let policies = match &image.nodes {
        None => bucket(image, 0, count(image.policies))?,
        Some(nodes) => {
            let dearest_name = slots(image, nodes)?;
            classes(image, nodes)?;
            let both = [Side::Principal, Side::Resource].map(|side| lookups(nodes, side));
            let resolving = cost::resolving(nodes.probes, dearest_name, both);
            buckets(image, nodes)?.saturating_add(resolving)
        }
    };
    let port = cost::attribute(layout::PORT.len());
    Ok(policies.saturating_add(names).saturating_add(port))
}

fn lookups(nodes: &Nodes<'_>, of: Side) -> Lookups {
    Lookups::of(
        nodes.has(of, Class::Is),
        nodes.has(of, Class::Eq),
        nodes.has(of, Class::In),
    )
}

/// No table has more records than can be numbered.
fn lengths(image: &Image<'_>) -> Result<(), ImageError> {
    let bounded = [
        (
            layout::ACTIONS,
            image.actions.as_flattened(),
            layout::REF_BYTES,
            MAX_ACTIONS,
        ),
        (
            layout::ACTION_SETS,
            image.action_sets.as_flattened(),
            layout::QUAD_BYTES,
            usize::from(u16::MAX),
        ),
        (
            layout::ATTRIBUTES,
            image.attributes.as_flattened(),
            layout::REF_BYTES,
            MAX_IMAGE_ATTRIBUTES,
        ),
    ];
    let bad = bounded
        .iter()
        .find(|(_, table, size, most)| table.len() > most.saturating_mul(*size));
    match bad {
        Some(&(tag, table, _, _)) => Err(ImageError::SectionBytes {
            tag,
            len: table.len(),
        }),
        None => Ok(()),
    }
}

/// How many records a table holds.
pub(super) fn count<const BYTES: usize>(table: Table<'_, BYTES>) -> u32 {
    u32::try_from(table.len()).unwrap_or(u32::MAX)
}

/// The length of the string that a section refers to.
pub(super) fn string(image: &Image<'_>, tag: u16, at: u32) -> Result<usize, ImageError> {
    text(image, tag, at).map(str::len)
}

fn text<'a>(image: &Image<'a>, tag: u16, at: u32) -> Result<&'a str, ImageError> {
    let bytes = read::string(image.strings, at).filter(|bytes| bytes.len() <= MAX_STRING_BYTES);
    bytes
        .and_then(|bytes| core::str::from_utf8(bytes).ok())
        .ok_or(ImageError::String { tag, at })
}

/// The names of actions and attributes are strings. Returns what finding them in a request may cost.
fn names(image: &Image<'_>) -> Result<u64, ImageError> {
    let mut cost = 0u64;
    for (tag, table) in [
        (layout::ACTIONS, image.actions),
        (layout::ATTRIBUTES, image.attributes),
    ] {
        for record in 0..count(table) {
            let at = read::word(table, record).ok_or(ImageError::Record { tag, record })?;
            let len = string(image, tag, at)?;
            let steps = if tag == layout::ACTIONS {
                byte_steps(len)
            } else {
                cost::attribute(len)
            };
            cost = cost.saturating_add(steps);
        }
    }
    Ok(cost)
}

/// Every set is an ascending run of LONGS, and the runs follow one another without gaps: the check is linear.
fn sets(image: &Image<'_>) -> Result<(), ImageError> {
    let tag = layout::SETS;
    let mut next = 0;
    for record in 0..count(image.sets) {
        let bad = ImageError::Record { tag, record };
        let (first, members) = image.set(record).ok_or(bad)?;
        if first != next {
            return Err(bad);
        }
        next = first.checked_add(members).ok_or(bad)?;
        let mut last = None;
        for at in first..next {
            let value = image.long(at).ok_or(bad)?;
            if last.is_some_and(|last| last >= value) {
                return Err(bad);
            }
            last = Some(value);
        }
    }
    Ok(())
}

/// Every constant is whole, and what it is made of lies before it.
fn constants(image: &Image<'_>) -> Result<(), ImageError> {
    let tag = layout::CONSTANTS;
    for record in 0..count(image.constants) {
        let bad = ImageError::Record { tag, record };
        let parts = |first: u32, count: u32| {
            first
                .checked_add(count)
                .filter(|&end| end <= record)
                .map(|_| ())
                .ok_or(bad)
        };
        match image.constant(record).ok_or(bad)? {
            Constant::Str(at) => string(image, tag, at).map(|_| ())?,
            Constant::Entity(kind, id) => {
                string(image, tag, kind)?;
                string(image, tag, id)?;
            }
            Constant::Set(first, count) => parts(first, count)?,
            Constant::Record(first, count) => {
                let fits = usize::try_from(count).is_ok_and(|count| count <= MAX_ATTRIBUTES);
                parts(first, count.checked_mul(2).filter(|_| fits).ok_or(bad)?)?;
                let mut names = (0..count).map(|at| first.saturating_add(at.saturating_mul(2)));
                if !names.all(|at| matches!(image.constant(at), Some(Constant::Str(_)))) {
                    return Err(bad);
                }
            }
            Constant::Ip(at) => {
                image.string(at).and_then(Ip::read).ok_or(bad)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every slot can be found under its own name. Returns what comparing with the longest name costs.
fn slots(image: &Image<'_>, nodes: &Nodes<'_>) -> Result<u64, ImageError> {
    let tag = layout::NODES;
    let mut dearest = 0;
    for record in 0..=nodes.last() {
        let bad = ImageError::Record { tag, record };
        let slot = nodes.slot(record).ok_or(bad)?;
        if slot.class == 0 {
            let empty = Slot {
                tag: 0,
                class: 0,
                kind: 0,
                id: 0,
                first: 0,
                count: 0,
            };
            if slot != empty {
                return Err(bad);
            }
            continue;
        }
        let class = Class::from_code(slot.class).ok_or(bad)?;
        let name = EntityRef::new(text(image, tag, slot.kind)?, text(image, tag, slot.id)?);
        let key = Key::new(class, nodes::hash(nodes.seed, &name));
        if nodes.find(image.strings, key, &name, &mut Unmetered) != Some(record) {
            return Err(ImageError::Unreachable { slot: record });
        }
        dearest =
            dearest.max(byte_steps(name.kind.len()).saturating_add(byte_steps(name.id.len())));
    }
    Ok(dearest)
}

/// The table names the classes that its principals and resources have: what it does not name is not looked up.
fn classes(image: &Image<'_>, nodes: &Nodes<'_>) -> Result<(), ImageError> {
    let principals = (0..=nodes.last())
        .filter_map(|slot| nodes.slot(slot))
        .filter(|slot| slot.count != 0)
        .filter_map(|slot| Some(Class::from_code(slot.class)?.bit(Side::Principal)));
    let resources = (0..count(image.policies))
        .filter_map(|policy| image.policy(policy))
        .filter_map(|policy| Some(resource_class(image, policy.resource)?.bit(Side::Resource)));
    let classes = principals
        .chain(resources)
        .fold(0, |classes, bit| classes | bit);
    if classes != nodes.classes {
        let tag = layout::NODES;
        return Err(ImageError::Record { tag, record: 0 });
    }
    Ok(())
}

/// The policies are filed under any principal, then slot by slot, without gaps. Returns the most that a request's look at
/// all of its principal's scopes may cost.
fn buckets(image: &Image<'_>, nodes: &Nodes<'_>) -> Result<u64, ImageError> {
    let mut worst = Worst::default();
    worst.add(None, bucket(image, 0, nodes.unscoped)?);
    let mut next = nodes.unscoped;
    for record in 0..=nodes.last() {
        let bad = ImageError::Record {
            tag: layout::NODES,
            record,
        };
        let slot = nodes.slot(record).ok_or(bad)?;
        let first = if slot.count == 0 { 0 } else { next };
        if slot.first != first {
            return Err(bad);
        }
        next = next.checked_add(slot.count).ok_or(bad)?;
        if slot.count != 0 {
            worst.add(
                Class::from_code(slot.class),
                bucket(image, first, slot.count)?,
            );
        }
    }
    if next != count(image.policies) {
        return Err(ImageError::Unsorted { policy: next });
    }
    Ok(worst.total())
}

/// The policies of one principal scope are well formed and sorted by resource and port. Returns the most a look at them may cost.
fn bucket(image: &Image<'_>, first: u32, policies: u32) -> Result<u64, ImageError> {
    let mut worst = Worst::default();
    let (mut last, mut run, mut by_port) = ((0, 0), ByPort::default(), false);
    let unsorted = ImageError::Unsorted { policy: first };
    for number in first..first.checked_add(policies).ok_or(unsorted)? {
        let policy = image
            .policy(number)
            .ok_or(ImageError::Unsorted { policy: number })?;
        let key = (policy.resource, policy.port);
        if key < last {
            return Err(ImageError::Unsorted { policy: number });
        }
        if policy.resource != last.0 {
            worst.add(resource_class(image, last.0), run.total());
            run = ByPort::default();
        }
        last = key;
        run.add(policy.port, policy_cost(image, number)?);
        by_port |= run.any_filed();
    }
    worst.add(resource_class(image, last.0), run.total());
    let resource = image
        .nodes
        .as_ref()
        .map(|nodes| lookups(nodes, Side::Resource))
        .unwrap_or_default();
    Ok(worst
        .total()
        .saturating_add(cost::search(policies, by_port, resource)))
}

/// The class of a policy's resource node; `None` for any resource, and for no slot at all, which [`policy_cost`] refuses.
fn resource_class(image: &Image<'_>, resource: u32) -> Option<Class> {
    let slot = image.nodes.as_ref()?.slot(resource.checked_sub(1)?)?;
    Class::from_code(slot.class)
}

/// One policy is well formed. Returns what it costs to look at it and to run its program.
fn policy_cost(image: &Image<'_>, number: u32) -> Result<u64, ImageError> {
    let tag = layout::POLICIES;
    let bad = ImageError::Record {
        tag,
        record: number,
    };
    let policy = image.policy(number).ok_or(bad)?;
    string(image, tag, policy.name)?;
    let effect = matches!(policy.effect, EFFECT_PERMIT | EFFECT_FORBID);
    let resource = policy.resource == 0 || resource_class(image, policy.resource).is_some();
    let actions = policy.actions == 0
        || read::quad(
            image.action_sets,
            u32::from(policy.actions.saturating_sub(1)),
        )
        .is_some();
    if !(effect && resource && actions) {
        return Err(bad);
    }
    let Some(start) = policy.program.checked_sub(1) else {
        return Ok(u64::from(POLICY_STEPS));
    };
    match image.instruction(start) {
        Some(begin) if begin.op == Op::Begin => {
            let own = u64::from(INSTRUCTION_STEPS.saturating_add(POLICY_STEPS));
            Ok(own.saturating_add(u64::from(begin.imm)))
        }
        _ => Err(bad),
    }
}
