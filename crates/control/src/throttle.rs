//! How often something may be told, when anyone on the network can make it happen.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::name::Name;

/// How many may be told in one go.
const BURST: u32 = 20;

/// After how long one more may be told.
const REFILL: Duration = Duration::from_secs(1);

/// The same for what an operator asks for and may not: each goes to the audit log, which only grows.
const OPERATOR_REFILL: Duration = Duration::from_secs(60);

/// A bucket of things to be told that fills with time, and counts what it had no room for.
#[derive(Debug)]
pub(crate) struct Throttle {
    bucket: Mutex<Bucket>,
    refill: Duration,
}

#[derive(Debug)]
struct Bucket {
    left: u32,
    filled: Instant,
    untold: u64,
}

impl Throttle {
    pub(crate) fn new(now: Instant) -> Self {
        Self::every(REFILL, now)
    }

    fn every(refill: Duration, now: Instant) -> Self {
        let bucket = Bucket {
            left: BURST,
            filled: now,
            untold: 0,
        };
        Self {
            bucket: Mutex::new(bucket),
            refill,
        }
    }

    /// Whether this one may be told; if so, how many before it were not.
    pub(crate) fn take(&self, now: Instant) -> Option<u64> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let refills =
            now.saturating_duration_since(bucket.filled).as_secs() / self.refill.as_secs();
        if refills > 0 {
            let more = u32::try_from(refills).unwrap_or(BURST);
            bucket.left = bucket.left.saturating_add(more).min(BURST);
            bucket.filled = now;
        }
        if bucket.left == 0 {
            bucket.untold += 1;
            return None;
        }
        bucket.left -= 1;
        Some(std::mem::take(&mut bucket.untold))
    }
}

/// A throttle for each of those who were believed when they brought something about. Its memory is bounded by how many Operators
/// there have been.
#[derive(Debug, Default)]
pub(crate) struct Throttles(Mutex<HashMap<Name, Throttle>>);

impl Throttles {
    /// As [`Throttle::take`], of what this one brought about.
    pub(crate) fn take(&self, who: &Name, now: Instant) -> Option<u64> {
        let mut throttles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let throttle = throttles.entry(who.clone());
        let throttle = throttle.or_insert_with(|| Throttle::every(OPERATOR_REFILL, now));
        throttle.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_told_then_one_for_each_refill() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        assert!((0..BURST).all(|_| throttle.take(start) == Some(0)));
        assert!((0..7).all(|_| throttle.take(start).is_none()));
        assert_eq!(throttle.take(start + REFILL), Some(7));
        assert_eq!(throttle.take(start + REFILL), None);
        let later = start + REFILL * 1_000;
        assert_eq!(throttle.take(later), Some(1));
        assert!((1..BURST).all(|_| throttle.take(later) == Some(0)));
        assert_eq!(throttle.take(later), None);
    }

    #[test]
    fn one_does_not_use_up_what_another_may_have_told() {
        let (throttles, now) = (Throttles::default(), Instant::now());
        let name = |text| Name::parse(text).expect("name");
        while throttles.take(&name("a"), now).is_some() {}
        assert_eq!(throttles.take(&name("b"), now), Some(0));
        assert_eq!(throttles.take(&name("a"), now + REFILL), None);
        assert_eq!(throttles.take(&name("a"), now + OPERATOR_REFILL), Some(2));
    }
}
