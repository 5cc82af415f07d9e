//! The two clocks an engine is told about.

/// Monotonic time in nanoseconds from an arbitrary start. Deadlines are kept on it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Mono(pub u64);

impl Mono {
    /// This instant plus `nanos`, or the last representable instant.
    #[must_use]
    pub const fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

/// What time it is, on both clocks, as the caller of an engine sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// Monotonic time, for deadlines.
    pub mono: Mono,
    /// Wall-clock time in seconds since 1970, for the validity of certificates.
    pub unix: i64,
}
