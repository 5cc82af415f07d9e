//! How many SVIDs one node may ask for: a burst, then so many each second. One node that runs wild does not keep the others
//! from theirs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::budget::MAX_UNEXPIRED_SVIDS;
use crate::document::MAX_IDENTITIES_PER_NODE;
use crate::name::Name;

/// How many SVIDs a node may ask for, its own included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IssuanceLimit {
    /// At once, after a time without any: twice as many as a node has identities.
    pub burst: u32,
    /// Each second, for as long as it goes on: more than a node needs whose identities all have the shortest life.
    pub per_second: u32,
    /// That have not expired, its own not included; at most [`MAX_UNEXPIRED_SVIDS`].
    pub unexpired: u32,
}

impl Default for IssuanceLimit {
    fn default() -> Self {
        Self {
            burst: 2 * MAX_IDENTITIES_PER_NODE as u32,
            per_second: 256,
            unexpired: MAX_UNEXPIRED_SVIDS,
        }
    }
}

/// What every node has asked for lately. Its memory is bounded by how many nodes have attested.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: IssuanceLimit,
    /// Until when each node has used up what it may have.
    used: Mutex<HashMap<Name, Instant>>,
}

/// A node asked for more than it may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the node asks for more than {} SVIDs at once and {} each second; the next one is given in {} ms",
    limit.burst, limit.per_second, wait.as_millis().saturating_add(1)
)]
pub(crate) struct Limited {
    limit: IssuanceLimit,
    /// When it may have the next one.
    pub(crate) wait: Duration,
}

impl Limiter {
    pub(crate) fn new(limit: IssuanceLimit) -> Self {
        // None at all would be no limit but an outage.
        let limit = IssuanceLimit {
            burst: limit.burst.max(1),
            per_second: limit.per_second.max(1),
            unexpired: limit.unexpired,
        };
        Self {
            limit,
            used: Mutex::default(),
        }
    }

    /// Counts one more for this node, which has proved to be it.
    pub(crate) fn take(&self, node: &Name, now: Instant) -> Result<(), Limited> {
        let each = Duration::from_secs(1) / self.limit.per_second;
        let most = each.saturating_mul(self.limit.burst.saturating_sub(1));
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let until = used.entry(node.clone()).or_insert(now);
        let ahead = until.saturating_duration_since(now);
        if ahead > most {
            let (limit, wait) = (self.limit, ahead.saturating_sub(most));
            return Err(Limited { limit, wait });
        }
        *until = (*until).max(now) + each;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_given_then_so_many_each_second_to_each_node() {
        let limiter = Limiter::new(IssuanceLimit {
            burst: 5,
            per_second: 10,
            ..IssuanceLimit::default()
        });
        let (one, other) = (Name::parse("n1").unwrap(), Name::parse("n2").unwrap());
        let start = Instant::now();
        let given = |node: &Name, now| {
            let taken = (0..100).take_while(|_| limiter.take(node, now).is_ok());
            taken.count()
        };
        assert_eq!(given(&one, start), 5);
        let limited = limiter.take(&one, start).unwrap_err();
        assert_eq!(limited.wait, Duration::from_millis(100));
        assert_eq!(given(&other, start), 5, "the other has its own");
        let later = start + Duration::from_millis(250);
        assert_eq!(given(&one, later), 2);
        let idle = start + Duration::from_secs(3600);
        assert_eq!(given(&one, idle), 5, "no more than a burst is saved");
    }

    #[test]
    fn what_is_refused_is_not_counted() {
        let limiter = Limiter::new(IssuanceLimit {
            burst: 1,
            per_second: 1,
            ..IssuanceLimit::default()
        });
        let node = Name::parse("n1").unwrap();
        let start = Instant::now();
        assert!(limiter.take(&node, start).is_ok());
        assert!((0..1000).all(|_| limiter.take(&node, start).is_err()));
        assert!(limiter.take(&node, start + Duration::from_secs(1)).is_ok());
    }
}
