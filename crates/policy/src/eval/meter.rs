//! Counting of steps, so that tests can hold a decision to its proven cost. In the kernel it counts nothing.

use super::Fault;
use crate::bounds::MAX_INSTRUCTION_STEPS;

/// Takes note of work done.
pub(crate) trait Meter {
    /// One slot, record or instruction was read.
    fn step(&mut self);
    /// That many bytes were hashed or compared.
    fn bytes(&mut self, len: usize);
    /// Whether the work may go on. Between two of these lies at most the comparison of one entity's name.
    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
}

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
    fn step(&mut self) {}
    #[inline]
    fn bytes(&mut self, _: usize) {}
}

/// Counts the steps.
#[derive(Default)]
pub(crate) struct Steps(pub(crate) u64);

impl Meter for Steps {
    fn step(&mut self) {
        self.0 = self.0.saturating_add(1);
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

    /// One more step, if there is one left.
    pub(crate) fn go_on(&mut self) -> Result<(), Fault> {
        self.step();
        self.check()
    }
}

impl<M: Meter> Meter for Fuel<'_, M> {
    fn step(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.meter.step();
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
