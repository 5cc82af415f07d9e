//! Counting of steps, so that tests can hold a decision to its proven cost. In the kernel it counts nothing.

/// Takes note of work done.
pub(crate) trait Meter {
    /// One slot, record or instruction was read.
    fn step(&mut self);
    /// That many bytes were hashed or compared.
    fn bytes(&mut self, len: usize);
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
