//! Laying out the scope table.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::{BuildError, Node};
use crate::bounds::MAX_PROBES;
use crate::image::nodes::{self, Key};
use crate::request::EntityRef;

/// Where each scope lies.
pub(super) struct Table<'n> {
    pub(super) seed: u32,
    pub(super) probes: u32,
    /// The scopes by slot, each with the tag its slot must hold.
    pub(super) slots: Vec<Option<(&'n Node, u32)>>,
}

/// Seeds tried for each size before a table is made larger.
const SEEDS: u32 = 4;
/// Sizes tried, each twice the one before.
const SIZES: u32 = 4;
/// A table with longer look-ups than this is given up as long as there is another to try.
const GOOD_PROBES: u32 = MAX_PROBES >> 2;

/// Finds a seed and a size for which every scope is found within few probes.
pub(super) fn lay_out(scopes: &BTreeMap<Node, u32>) -> Result<Table<'_>, BuildError> {
    let size = scopes
        .len()
        .saturating_mul(4)
        .div_ceil(3)
        .next_power_of_two();
    let mut best: Option<Table<'_>> = None;
    for doubling in 0..SIZES {
        let size = size.checked_shl(doubling).unwrap_or(usize::MAX);
        for seed in 0..SEEDS {
            let Some(table) = place(scopes, size, seed) else {
                continue;
            };
            if table.probes <= GOOD_PROBES {
                return Ok(table);
            }
            if best.as_ref().is_none_or(|best| table.probes < best.probes) {
                best = Some(table);
            }
        }
    }
    best.filter(|table| table.probes <= MAX_PROBES)
        .ok_or(BuildError::NoTable {
            scopes: scopes.len(),
        })
}

/// Linear probing in the order of the homes, which keeps the longest look-up short. `None` if a scope would be hidden behind
/// another of its own tag.
fn place(scopes: &BTreeMap<Node, u32>, size: usize, seed: u32) -> Option<Table<'_>> {
    let mask = u32::try_from(size.checked_sub(1)?).ok()?;
    let mut keyed: Vec<_> = scopes
        .keys()
        .map(|node| {
            let name = EntityRef::new(&node.kind, &node.id);
            let key = Key::new(node.class, nodes::hash(seed, &name));
            (key.home() & mask, key.tag(), node)
        })
        .collect();
    keyed.sort();
    let mut table = Table {
        seed,
        probes: 0,
        slots: vec![None; size],
    };
    for (home, tag, node) in keyed {
        let mut probe = 0;
        loop {
            let slot = table
                .slots
                .get_mut(usize::try_from(home.wrapping_add(probe) & mask).ok()?)?;
            match slot {
                None => {
                    *slot = Some((node, tag));
                    break;
                }
                Some((other, others)) if *others == tag && other.class == node.class => {
                    return None;
                }
                Some(_) if probe > mask => return None,
                Some(_) => probe = probe.checked_add(1)?,
            }
        }
        table.probes = table.probes.max(probe);
    }
    Some(table)
}
