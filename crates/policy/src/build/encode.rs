//! Interning, and writing the image.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::constants::Constants;
use super::{BuildError, Node, bounded, numbered, table};
use crate::bounds::{MAX_ACTIONS, MAX_COST, MAX_IMAGE_ATTRIBUTES};
use crate::eval::instruction::{Instruction, Op};
use crate::image::constant::Constant;
use crate::image::cost::{self, Operands};
use crate::image::layout::{ENTRY_BYTES, HEADER_BYTES, MAGIC, VERSION};
use crate::image::nodes::Side;
use crate::image::{Image, ImageError, check, read, sum};

/// A rule with everything but its scopes resolved.
#[derive(Debug)]
pub(super) struct Filed {
    pub(super) principal: Option<Node>,
    pub(super) resource: Option<Node>,
    /// The port that its condition wants plus one, or 0.
    pub(super) port: u32,
    pub(super) name: u32,
    pub(super) program: u32,
    pub(super) actions: u16,
    pub(super) effect: u16,
}

/// The sections that policies share.
#[derive(Debug, Default)]
pub(super) struct Pool {
    heap: Vec<u8>,
    strings: BTreeMap<Vec<u8>, u32>,
    actions: Vec<u32>,
    action_sets: BTreeMap<u64, u16>,
    action_set_order: Vec<u64>,
    code: Vec<u8>,
    programs: BTreeMap<Vec<u8>, u32>,
    longs: BTreeMap<i64, u32>,
    sets: BTreeMap<Vec<i64>, u32>,
    set_members: Vec<i64>,
    set_runs: Vec<(u32, u32)>,
    attributes: Vec<u32>,
    pub(super) constants: Constants,
}

fn narrow(count: usize) -> Result<u32, BuildError> {
    u32::try_from(count).map_err(|_| BuildError::TooLong)
}

impl Pool {
    pub(super) fn string(&mut self, string: &str) -> Result<u32, BuildError> {
        self.blob(string.as_bytes())
    }

    /// The place of bytes in the heap of strings.
    pub(super) fn blob(&mut self, bytes: &[u8]) -> Result<u32, BuildError> {
        if let Some(&at) = self.strings.get(bytes) {
            return Ok(at);
        }
        let len = bounded(bytes)?;
        let at = narrow(self.heap.len())?;
        self.heap.extend_from_slice(&len.to_le_bytes());
        self.heap.extend_from_slice(bytes);
        self.strings.insert(bytes.into(), at);
        Ok(at)
    }

    /// The number of a set of actions plus one.
    pub(super) fn actions(&mut self, names: &[&str]) -> Result<u16, BuildError> {
        let mut set = 0u64;
        for name in names {
            let name = self.string(name)?;
            let place = self
                .actions
                .iter()
                .position(|&known| known == name)
                .unwrap_or(self.actions.len());
            if place >= MAX_ACTIONS {
                return Err(BuildError::TooManyActions);
            }
            if place == self.actions.len() {
                self.actions.push(name);
            }
            set |= 1u64
                .checked_shl(narrow(place)?)
                .ok_or(BuildError::TooManyActions)?;
        }
        if let Some(&number) = self.action_sets.get(&set) {
            return Ok(number);
        }
        self.action_set_order.push(set);
        let number = u16::try_from(self.action_set_order.len())
            .map_err(|_| BuildError::TooManyActionSets)?;
        self.action_sets.insert(set, number);
        Ok(number)
    }

    pub(super) fn attribute(&mut self, name: &str) -> Result<u32, BuildError> {
        let name = self.string(name)?;
        let place = self
            .attributes
            .iter()
            .position(|&known| known == name)
            .unwrap_or(self.attributes.len());
        if place >= MAX_IMAGE_ATTRIBUTES {
            return Err(BuildError::TooManyAttributes);
        }
        if place == self.attributes.len() {
            self.attributes.push(name);
        }
        narrow(place)
    }

    /// The place of a number among LONGS. LONGS is nothing but the members of sets, so a large literal is a set of one.
    pub(super) fn long(&mut self, value: i64) -> Result<u32, BuildError> {
        if let Some(&at) = self.longs.get(&value) {
            return Ok(at);
        }
        let run = self.run(&[value])?;
        self.longs.insert(value, run);
        Ok(run)
    }

    pub(super) fn set(&mut self, members: &[i64]) -> Result<u32, BuildError> {
        let mut members = members.to_vec();
        members.sort_unstable();
        members.dedup();
        if let Some(&number) = self.sets.get(&members) {
            return Ok(number);
        }
        let number = narrow(self.set_runs.len())?;
        self.run(&members)?;
        self.sets.insert(members, number);
        Ok(number)
    }

    /// Appends a set and returns the place of its first member.
    fn run(&mut self, members: &[i64]) -> Result<u32, BuildError> {
        let first = narrow(self.set_members.len())?;
        self.set_members.extend_from_slice(members);
        self.set_runs.push((first, narrow(members.len())?));
        Ok(first)
    }

    /// The place of a program plus one. Equal programs are kept once.
    pub(super) fn program(&mut self, code: &[Instruction]) -> Result<u32, BuildError> {
        let cost = code.iter().fold(0u64, |sum, &instruction| {
            sum.saturating_add(cost::instruction(self, instruction))
        });
        let [low, high] = u16::try_from(code.len())
            .map_err(|_| BuildError::TooLong)?
            .to_le_bytes();
        let begin = Instruction::new(Op::Begin)
            .of(low, high)
            .with(u32::try_from(cost).map_err(|_| BuildError::TooLong)?);
        let bytes: Vec<u8> = core::iter::once(&begin)
            .chain(code)
            .flat_map(|instruction| instruction.encode())
            .collect();
        if let Some(&number) = self.programs.get(&bytes) {
            return Ok(number);
        }
        let number = narrow(
            self.code
                .len()
                .div_euclid(crate::image::layout::INSTRUCTION_BYTES),
        )?
        .saturating_add(1);
        self.code.extend_from_slice(&bytes);
        self.programs.insert(bytes, number);
        Ok(number)
    }
}

impl Operands for Pool {
    fn string(&self, at: u32) -> Option<&[u8]> {
        read::string(&self.heap, at)
    }

    fn constant(&self, at: u32) -> Option<Constant> {
        self.constants.all.get(usize::try_from(at).ok()?).copied()
    }

    fn longs(&self, set: u32) -> Option<u32> {
        let &(_, count) = self.set_runs.get(usize::try_from(set).ok()?)?;
        Some(count)
    }
}

/// Writes the image and proves its cost.
pub(super) fn image(mut pool: Pool, filed: Vec<Filed>) -> Result<Vec<u8>, BuildError> {
    let (nodes, policies) = index(&mut pool, filed)?;
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let sections = [
        pool.heap,
        policies,
        nodes,
        words(&pool.actions),
        pool.action_set_order
            .iter()
            .flat_map(|set| set.to_le_bytes())
            .collect(),
        pool.code,
        pool.set_members
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        pool.set_runs
            .iter()
            .flat_map(|&(first, count)| words(&[first, count]))
            .collect(),
        words(&pool.attributes),
        pool.constants
            .all
            .iter()
            .flat_map(|constant| words(&constant.encode()))
            .collect(),
    ];
    let mut bytes = join(&sections, 0)?;
    let proven = Image::reopen(&bytes)
        .and_then(|image| check::prove(&image))
        .map_err(BuildError::Refused)?;
    match u32::try_from(proven) {
        Ok(cost) if cost <= MAX_COST => {
            bytes = join(&sections, cost)?;
            Ok(bytes)
        }
        _ => Err(BuildError::Refused(ImageError::TooCostly {
            cost: proven,
            limit: MAX_COST,
        })),
    }
}

/// Header, directory and sections.
fn join(sections: &[Vec<u8>], cost: u32) -> Result<Vec<u8>, BuildError> {
    let present = || {
        (1u16..)
            .zip(sections)
            .filter(|(_, section)| !section.is_empty())
    };
    let count = present().count();
    let payload = sections
        .iter()
        .fold(0usize, |sum, section| sum.saturating_add(section.len()));
    let len = HEADER_BYTES
        .saturating_add(count.saturating_mul(ENTRY_BYTES))
        .saturating_add(payload);
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(&narrow(len)?.to_le_bytes());
    bytes.extend_from_slice(&cost.to_le_bytes());
    let mut after = Vec::with_capacity(len);
    for (tag, section) in present() {
        after.extend_from_slice(&tag.to_le_bytes());
        after.extend_from_slice(&narrow(section.len())?.to_le_bytes());
    }
    sections
        .iter()
        .for_each(|section| after.extend_from_slice(section));
    bytes.extend_from_slice(&sum::sum(&bytes, &after).to_le_bytes());
    bytes.append(&mut after);
    Ok(bytes)
}

/// The sections NODES and POLICIES. If nothing has a scope there is no NODES.
fn index(pool: &mut Pool, filed: Vec<Filed>) -> Result<(Vec<u8>, Vec<u8>), BuildError> {
    let mut places: BTreeMap<Node, u32> = filed
        .iter()
        .flat_map(|rule| [&rule.principal, &rule.resource])
        .filter_map(|node| node.clone().map(|node| (node, 0)))
        .collect();
    if places.is_empty() {
        let mut sorted: Vec<&Filed> = filed.iter().collect();
        sorted.sort_by_key(|rule| rule.port);
        let policies = sorted.iter().flat_map(|rule| record(rule, 0)).collect();
        return Ok((Vec::new(), policies));
    }
    let scopes = places.clone();
    let table = table::lay_out(&scopes)?;
    for (slot, place) in (0u32..).zip(&table.slots) {
        if let Some(at) = place.and_then(|(node, _)| places.get_mut(node)) {
            *at = slot;
        }
    }
    let mut sorted: Vec<(u32, u32, &Filed)> = filed
        .iter()
        .map(|rule| {
            (
                numbered(&places, rule.principal.as_ref()),
                numbered(&places, rule.resource.as_ref()),
                rule,
            )
        })
        .collect();
    sorted.sort_by_key(|&(principal, resource, rule)| (principal, resource, rule.port));
    let policies = sorted
        .iter()
        .flat_map(|&(_, resource, rule)| record(rule, resource))
        .collect();
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    for &(principal, _, _) in &sorted {
        let count = counts.entry(principal).or_default();
        *count = count.saturating_add(1);
    }
    let classes = filed.iter().fold(0, |classes, rule| {
        let bit = |node: &Option<Node>, side| node.as_ref().map_or(0, |node| node.class.bit(side));
        classes | bit(&rule.principal, Side::Principal) | bit(&rule.resource, Side::Resource)
    });
    Ok((slots(pool, &table, classes, &counts)?, policies))
}

/// The section NODES, given the classes of scopes, and how many policies are filed under each principal scope.
fn slots(
    pool: &mut Pool,
    table: &table::Table<'_>,
    classes: u32,
    counts: &BTreeMap<u32, u32>,
) -> Result<Vec<u8>, BuildError> {
    let filed = |number: u32| counts.get(&number).copied().unwrap_or_default();
    let mut next = filed(0);
    let mut words = alloc::vec![table.seed, table.probes, next, classes];
    for (number, place) in (1u32..).zip(&table.slots) {
        let slot = match place {
            None => [0; 6],
            Some((node, tag)) => {
                let count = filed(number);
                let first = if count == 0 { 0 } else { next };
                next = next.checked_add(count).ok_or(BuildError::TooLong)?;
                [
                    *tag,
                    node.class.code(),
                    pool.string(&node.kind)?,
                    pool.string(&node.id)?,
                    first,
                    count,
                ]
            }
        };
        words.extend_from_slice(&slot);
    }
    Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

fn record(rule: &Filed, resource: u32) -> impl Iterator<Item = u8> + use<> {
    let words = [rule.name, resource, rule.port, rule.program];
    let halves = [rule.actions, rule.effect];
    words
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .chain(halves.into_iter().flat_map(u16::to_le_bytes))
}
