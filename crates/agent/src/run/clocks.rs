//! The host's clocks and a little randomness.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::core::{Mono, Now};

/// This moment.
pub(super) fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let secs = u64::try_from(boot.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(boot.tv_nsec).unwrap_or(0);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    Now {
        mono: Mono(secs.saturating_mul(1_000_000_000).saturating_add(nanos)),
        wall_unix_ns: u64::try_from(wall.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX),
    }
}

/// A number that differs between agents, to spread what they do; not for secrets.
pub(super) fn seed() -> u64 {
    RandomState::new().hash_one(now().mono.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go() {
        let (first, second) = (now(), now());
        assert!(second.mono > first.mono);
        assert!(first.unix_secs() > 1_700_000_000);
    }
}
