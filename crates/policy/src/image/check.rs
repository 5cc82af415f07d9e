//! The check of an image, once, before anything is decided by it.

use crate::bounds::{MAX_ACTIONS, MAX_ATTRIBUTES, MAX_IMAGE_ATTRIBUTES, MAX_STRING_BYTES};
use crate::eval::instruction::Op;
use crate::eval::meter::{Unmetered, byte_steps};
use crate::image::check_code::code;
use crate::image::constant::Constant;
use crate::image::cost::{self, Worst};
use crate::image::layout::{self, EFFECT_FORBID, EFFECT_PERMIT};
use crate::image::nodes::{Class, Hashed, Key, Nodes, Slot};
use crate::image::{Image, ImageError, read};
use crate::request::EntityRef;
use crate::value::Ip;

/// Checks everything that [`Image::reopen`] does not, and that the cost carried is the one proven and within the limit.
pub(crate) fn check(image: &Image<'_>, max_cost: u32) -> Result<(), ImageError> {
    let carried = image.cost();
    if carried > max_cost {
        return Err(ImageError::TooCostly {
            cost: u64::from(carried),
            limit: max_cost,
        });
    }
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
        None => bucket(image, 0, count(image.policies, layout::POLICY_BYTES))?,
        Some(nodes) => {
            let dearest_name = slots(image, nodes)?;
            buckets(image, nodes)?.saturating_add(cost::resolving(nodes.probes, dearest_name))
        }
    };
    Ok(policies.saturating_add(names))
}

/// Every table is a whole number of records, and not too many of them.
fn lengths(image: &Image<'_>) -> Result<(), ImageError> {
    let any = usize::MAX;
    let tables = [
        (layout::POLICIES, image.policies, layout::POLICY_BYTES, any),
        (
            layout::ACTIONS,
            image.actions,
            layout::REF_BYTES,
            MAX_ACTIONS,
        ),
        (
            layout::ACTION_SETS,
            image.action_sets,
            layout::QUAD_BYTES,
            usize::from(u16::MAX),
        ),
        (layout::CODE, image.code, layout::INSTRUCTION_BYTES, any),
        (layout::LONGS, image.longs, layout::QUAD_BYTES, any),
        (layout::SETS, image.sets, layout::QUAD_BYTES, any),
        (
            layout::ATTRIBUTES,
            image.attributes,
            layout::REF_BYTES,
            MAX_IMAGE_ATTRIBUTES,
        ),
        (
            layout::CONSTANTS,
            image.constants,
            layout::CONSTANT_BYTES,
            any,
        ),
    ];
    let bad = tables.iter().find(|(_, table, size, most)| {
        table.len().checked_rem(*size) != Some(0)
            || table
                .len()
                .checked_div(*size)
                .is_none_or(|records| records > *most)
    });
    match bad {
        Some(&(tag, table, _, _)) => Err(ImageError::SectionBytes {
            tag,
            len: table.len(),
        }),
        None => Ok(()),
    }
}

/// How many records a table holds.
pub(super) fn count(table: &[u8], record: usize) -> u32 {
    table
        .len()
        .checked_div(record)
        .and_then(|records| u32::try_from(records).ok())
        .unwrap_or(u32::MAX)
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
        for record in 0..count(table, layout::REF_BYTES) {
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
    for record in 0..count(image.sets, layout::QUAD_BYTES) {
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
    for record in 0..count(image.constants, layout::CONSTANT_BYTES) {
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
    let (mut dearest, mut classes) = (0, 0);
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
        classes |= class.bit();
        let name = EntityRef::new(text(image, tag, slot.kind)?, text(image, tag, slot.id)?);
        let key = Key::new(class, Hashed::new(nodes.seed, name));
        if nodes
            .find(image.strings, &key, &mut Unmetered)
            .map(|(at, _)| at)
            != Some(record)
        {
            return Err(ImageError::Unreachable { slot: record });
        }
        dearest =
            dearest.max(byte_steps(name.kind.len()).saturating_add(byte_steps(name.id.len())));
    }
    if classes != nodes.classes {
        return Err(ImageError::Record { tag, record: 0 });
    }
    Ok(dearest)
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
    if next != count(image.policies, layout::POLICY_BYTES) {
        return Err(ImageError::Unsorted { policy: next });
    }
    Ok(worst.total())
}

/// The policies of one principal scope are well formed and sorted by resource. Returns the most a look at them may cost.
fn bucket(image: &Image<'_>, first: u32, policies: u32) -> Result<u64, ImageError> {
    let mut worst = Worst::default();
    let (mut last, mut run) = (0, 0u64);
    let unsorted = ImageError::Unsorted { policy: first };
    for number in first..first.checked_add(policies).ok_or(unsorted)? {
        let policy = image
            .policy(number)
            .ok_or(ImageError::Unsorted { policy: number })?;
        if policy.resource < last {
            return Err(ImageError::Unsorted { policy: number });
        }
        if policy.resource != last {
            worst.add(resource_class(image, last), run);
            (last, run) = (policy.resource, 0);
        }
        run = run.saturating_add(policy_cost(image, number)?);
    }
    worst.add(resource_class(image, last), run);
    Ok(worst
        .total()
        .saturating_add(cost::search(policies, image.nodes.is_some())))
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
        return Ok(1);
    };
    match image.instruction(start) {
        Some(begin) if begin.op == Op::Begin => Ok(2u64.saturating_add(u64::from(begin.imm))),
        _ => Err(bad),
    }
}
