//! Time as the core sees it, and bounded jitter.

use std::time::Duration;

/// A moment of `CLOCK_BOOTTIME`, in nanoseconds: goes on through suspend, never steps.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Mono(pub u64);

impl Mono {
    /// The moment this much later, or the end of time.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// How long until `later`; nothing if it is past.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// For deadlines.
    pub mono: Mono,
    /// For certificates and reports: nanoseconds since 1970.
    pub wall_unix_ns: u64,
}

impl Now {
    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix_secs(&self) -> i64 {
        i64::try_from(self.wall_unix_ns / 1_000_000_000).unwrap_or(i64::MAX)
    }
}

/// Spreads what many nodes or identities would do at the same moment. Not for secrets.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// The same seed gives the same sequence.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A duration from nothing to `most`, both included.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        // splitmix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        match most.checked_add(1) {
            Some(range) => Duration::from_nanos(z % range),
            None => Duration::from_nanos(z),
        }
    }
}

/// Waits that double from `first` to `most`, each shortened by up to a quarter.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Backoff {
    /// The wait before attempt number `failures` + 1.
    pub fn wait(&self, failures: u32, jitter: &mut Jitter) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let wait = self.first.saturating_mul(1 << doublings).min(self.most);
        wait.saturating_sub(jitter.up_to(wait / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_its_bound_and_jitter_only_shortens() {
        let backoff = Backoff {
            first: Duration::from_millis(200),
            most: Duration::from_secs(10),
        };
        let mut jitter = Jitter::new(7);
        for failures in 1..200 {
            let full = Duration::from_millis(200 << (failures - 1).min(10)).min(backoff.most);
            let wait = backoff.wait(failures, &mut jitter);
            assert!(wait <= full && wait >= full * 3 / 4, "{failures}: {wait:?}");
        }
    }

    #[test]
    fn jitter_reaches_both_halves_and_stays_in_its_bound() {
        let mut jitter = Jitter::new(1);
        let most = Duration::from_nanos(9);
        let seen: Vec<_> = (0..100).map(|_| jitter.up_to(most)).collect();
        assert!(seen.iter().all(|wait| *wait <= most));
        assert!(seen.contains(&Duration::ZERO) && seen.contains(&most));
        assert_eq!(jitter.up_to(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn moments_saturate() {
        assert_eq!(Mono(5).until(Mono(3)), Duration::ZERO);
        assert_eq!(Mono(u64::MAX).after(Duration::from_secs(1)), Mono(u64::MAX));
    }
}
