//! A clock that moves when told.

use tidelock_datapath::{Mono, Now};

/// Both of an engine's clocks, moved together by hand.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock(Now);

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

impl VirtualClock {
    /// The wall-clock time at which runs start: 2026-01-01 00:00:00 UTC.
    pub const START: i64 = 1_767_225_600;

    /// A clock at [`Self::START`], monotonic time zero.
    #[must_use]
    pub fn new() -> Self {
        Self(Now {
            mono: Mono(0),
            unix: Self::START,
        })
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Now {
        self.0
    }

    /// Lets `secs` pass on both clocks.
    pub fn advance_secs(&mut self, secs: u64) {
        self.0.mono = self.0.mono.after(secs * NANOS);
        self.0.unix += i64::try_from(secs).expect("a test's time span");
    }

    /// Lets `nanos` pass on the monotonic clock only.
    pub fn advance_nanos(&mut self, nanos: u64) {
        self.0.mono = self.0.mono.after(nanos);
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}
