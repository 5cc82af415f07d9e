//! Counting of steps, so that tests can hold a decision to its proven cost. In the kernel it counts nothing.

use super::Fault;
use crate::bounds::MAX_INSTRUCTION_STEPS;

/// Takes note of work done.
pub(crate) trait Meter {
    /// So many steps were taken: one for a slot that was read, and for the rest what the constants below say.
    fn steps(&mut self, count: u32);
    /// One step was taken.
    #[inline]
    fn step(&mut self) {
        self.steps(1);
    }
    /// That many bytes were hashed or compared.
    fn bytes(&mut self, len: usize);
    /// Whether the work may go on. Between two of these lies at most the comparison of one entity's name.
    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// The steps that an instruction of a condition counts for, besides what its operands take: each of these takes as long as so
/// many slots take to be read, which the bench `policy/worst` shows.
pub(crate) const INSTRUCTION_STEPS: u32 = 7;
/// The steps that a look at a policy counts for.
pub(crate) const POLICY_STEPS: u32 = 3;
/// The steps that a round of a binary search counts for.
pub(crate) const ROUND_STEPS: u32 = 2;
/// The steps that a look at a member, an attribute or an entity of the request's counts for.
pub(crate) const ITEM_STEPS: u32 = 3;

/// The steps that hashing or comparing `len` bytes counts for.
pub(crate) fn byte_steps(len: usize) -> u64 {
    u64::try_from(len >> 4)
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}

/// Takes no note.
pub(crate) struct Unmetered;

impl Meter for Unmetered {
    #[inline]
    fn steps(&mut self, _: u32) {}
    #[inline]
    fn bytes(&mut self, _: usize) {}
}

/// Counts the steps.
#[derive(Default)]
pub(crate) struct Steps(pub(crate) u64);

impl Meter for Steps {
    fn steps(&mut self, count: u32) {
        self.0 = self.0.saturating_add(u64::from(count));
    }
    fn bytes(&mut self, len: usize) {
        self.0 = self.0.saturating_add(byte_steps(len));
    }
}

/// The steps that one instruction may take, counted in the kernel too: its work is as large as the request's values are.
pub(crate) struct Fuel<'m, M> {
    left: u32,
    meter: &'m mut M,
}

impl<'m, M: Meter> Fuel<'m, M> {
    pub(crate) fn new(meter: &'m mut M) -> Self {
        Self {
            left: MAX_INSTRUCTION_STEPS,
            meter,
        }
    }

    /// One more item, if there are steps left.
    pub(crate) fn go_on(&mut self) -> Result<(), Fault> {
        self.steps(ITEM_STEPS);
        self.check()
    }
}

impl<M: Meter> Meter for Fuel<'_, M> {
    fn steps(&mut self, count: u32) {
        self.left = self.left.saturating_sub(count);
        self.meter.steps(count);
    }

    fn bytes(&mut self, len: usize) {
        let steps = u32::try_from(byte_steps(len)).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(steps);
        self.meter.bytes(len);
    }

    fn check(&self) -> Result<(), Fault> {
        match self.left {
            0 => Err(Fault::TooDear),
            _ => Ok(()),
        }
    }
}
