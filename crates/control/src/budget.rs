//! How many SVIDs of one node may be good at one time. Revoking a node is to tell all nodes of each, and they take a bounded
//! number: no node may bring about that there is no room for what it was given.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidelock_proto::MAX_REVOKED_SVIDS;

use crate::document::MAX_IDENTITIES_PER_NODE;
use crate::name::Name;
use crate::store::IssuedRecord;

/// Most SVIDs of one node for workloads that have not expired: two of each identity that it can have, as they are renewed at
/// half their life, and one more, so that it can begin anew.
pub const MAX_UNEXPIRED_SVIDS: u32 = 3 * MAX_IDENTITIES_PER_NODE as u32;

/// Most SVIDs for one node itself that have not expired. They live for a day and are renewed at half of it; the others are for
/// one that begins anew, time and again.
const MAX_UNEXPIRED_OWN: u32 = 64;

const _: () = assert!(
    (MAX_UNEXPIRED_SVIDS + MAX_UNEXPIRED_OWN) as usize * 5 / 4 <= MAX_REVOKED_SVIDS,
    "all that one node was given can be revoked, and there is room for others' beside it"
);

/// Whom an SVID is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Bearer {
    Workload,
    Node,
}

/// A node has as many SVIDs that are good as it may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Spent {
    #[error(
        "the node has {most} SVIDs for workloads that have not expired, as many as one may have; there is room for another \
         in {wait_secs} s. If identities come and go there, give them a shorter `svid.ttl`, or bind some to other nodes"
    )]
    Workload { most: u32, wait_secs: i64 },
    #[error(
        "the node was given {MAX_UNEXPIRED_OWN} SVIDs of its own that have not expired, as many as it may have by itself; there \
         is room for another in {wait_secs} s, and a join token needs none"
    )]
    Node { wait_secs: i64 },
}

/// What every node has. Its memory is bounded by how many nodes have called, and by what each may have.
#[derive(Debug)]
pub(crate) struct Budgets {
    most: u32,
    nodes: Mutex<HashMap<Name, Unexpired>>,
}

/// What one node has that has not expired.
#[derive(Debug, Default)]
struct Unexpired {
    workloads: Ends,
    own: Ends,
}

/// How many end in which second.
#[derive(Debug, Default)]
struct Ends {
    at: BTreeMap<i64, u32>,
    count: u32,
}

impl Ends {
    fn add(&mut self, not_after: i64) {
        *self.at.entry(not_after).or_default() += 1;
        self.count += 1;
    }

    fn remove(&mut self, not_after: i64) {
        let Some(count) = self.at.get_mut(&not_after) else {
            return;
        };
        *count -= 1;
        self.count -= 1;
        if *count == 0 {
            self.at.remove(&not_after);
        }
    }

    /// Forgets what is over. Ends: each was added once.
    fn pass(&mut self, now: i64) {
        while let Some(first) = self.at.first_entry().filter(|first| *first.key() <= now) {
            self.count -= first.remove();
        }
    }

    /// How long until one ends, in seconds, if there are as many.
    fn wait(&mut self, most: u32, now: i64) -> Option<i64> {
        self.pass(now);
        let first = self.at.keys().next().copied().unwrap_or(now);
        (self.count >= most).then(|| first.saturating_sub(now).max(1))
    }
}

impl Unexpired {
    fn of(&mut self, bearer: Bearer) -> &mut Ends {
        match bearer {
            Bearer::Workload => &mut self.workloads,
            Bearer::Node => &mut self.own,
        }
    }
}

impl Budgets {
    /// With this many for workloads, or the most that can be.
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most: most.clamp(1, MAX_UNEXPIRED_SVIDS),
            nodes: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Unexpired>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is known what this node has.
    pub(crate) fn knows(&self, node: &Name) -> bool {
        self.lock().contains_key(node)
    }

    /// Takes up what a node was given before, unless that is known.
    pub(crate) fn learn<'a>(
        &self,
        node: &Name,
        issued: impl IntoIterator<Item = &'a IssuedRecord>,
    ) {
        self.lock().entry(node.clone()).or_insert_with(|| {
            let mut has = Unexpired::default();
            for one in issued {
                has.of(bearer(one)).add(one.not_after);
            }
            has
        });
    }

    /// Refuses a node that has as many as it may have.
    pub(crate) fn room(&self, node: &Name, bearer: Bearer, now: i64) -> Result<(), Spent> {
        match self.lock().get_mut(node) {
            None => Ok(()),
            Some(has) => self.look(has, bearer, now),
        }
    }

    /// Counts one more, if the node may have it.
    pub(crate) fn take(
        &self,
        node: &Name,
        bearer: Bearer,
        not_after: i64,
        now: i64,
    ) -> Result<(), Spent> {
        let mut nodes = self.lock();
        let has = nodes.entry(node.clone()).or_default();
        self.look(has, bearer, now)?;
        has.of(bearer).add(not_after);
        Ok(())
    }

    /// Counts one more that was given, where it is known what the node has; where it is not, it will be found with the rest.
    pub(crate) fn count(&self, node: &Name, bearer: Bearer, not_after: i64) {
        if let Some(has) = self.lock().get_mut(node) {
            has.of(bearer).add(not_after);
        }
    }

    /// Forgets what a node has: it is looked up anew, less what is revoked.
    pub(crate) fn forget(&self, node: &Name) {
        self.lock().remove(node);
    }

    /// Counts one less: it was not handed over.
    pub(crate) fn give_back(&self, node: &Name, bearer: Bearer, not_after: i64) {
        if let Some(has) = self.lock().get_mut(node) {
            has.of(bearer).remove(not_after);
        }
    }

    fn look(&self, has: &mut Unexpired, bearer: Bearer, now: i64) -> Result<(), Spent> {
        let most = match bearer {
            Bearer::Workload => self.most,
            Bearer::Node => MAX_UNEXPIRED_OWN,
        };
        match (has.of(bearer).wait(most, now), bearer) {
            (None, _) => Ok(()),
            (Some(wait_secs), Bearer::Workload) => Err(Spent::Workload { most, wait_secs }),
            (Some(wait_secs), Bearer::Node) => Err(Spent::Node { wait_secs }),
        }
    }
}

/// Whom an SVID is for that was issued.
fn bearer(issued: &IssuedRecord) -> Bearer {
    match issued.spiffe_id {
        Some(_) => Bearer::Workload,
        None => Bearer::Node,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("name")
    }

    fn issued(spiffe_id: Option<&str>, not_after: i64) -> IssuedRecord {
        IssuedRecord {
            serial: vec![1],
            spiffe_id: spiffe_id.map(str::to_owned),
            node: "n1".into(),
            not_after,
        }
    }

    #[test]
    fn each_node_has_so_many_at_one_time_and_what_expires_makes_room() {
        let (budgets, n1) = (Budgets::new(2), name("n1"));
        let take = |not_after, now| budgets.take(&n1, Bearer::Workload, not_after, now);
        assert!(take(100, 0).is_ok() && take(200, 0).is_ok());
        let spent = Spent::Workload {
            most: 2,
            wait_secs: 1,
        };
        assert_eq!(take(300, 99), Err(spent));
        assert_eq!(budgets.room(&n1, Bearer::Workload, 99), Err(spent));
        assert!(budgets.take(&name("n2"), Bearer::Workload, 1, 0).is_ok());
        assert!(
            budgets.take(&n1, Bearer::Node, 900, 99).is_ok(),
            "its own are counted apart"
        );
        assert!(take(300, 100).is_ok() && take(300, 100).is_err());
    }

    #[test]
    fn what_was_not_handed_over_counts_no_more() {
        let (budgets, n1) = (Budgets::new(1), name("n1"));
        let take = || budgets.take(&n1, Bearer::Workload, 100, 0);
        assert!(take().is_ok() && take().is_err());
        budgets.give_back(&n1, Bearer::Workload, 99);
        assert!(take().is_err(), "there was none such");
        budgets.give_back(&n1, Bearer::Workload, 100);
        assert!(take().is_ok() && take().is_err());
    }

    #[test]
    fn what_a_node_was_given_before_a_restart_counts_and_once() {
        let (budgets, n1) = (Budgets::new(2), name("n1"));
        let before = [issued(Some("spiffe://td/a"), 100), issued(None, 100)];
        assert!(!budgets.knows(&n1));
        budgets.learn(&n1, &before);
        budgets.learn(&n1, &before);
        assert!(budgets.knows(&n1));
        let take = || budgets.take(&n1, Bearer::Workload, 100, 0);
        assert!(take().is_ok() && take().is_err());
    }

    #[test]
    fn no_setting_lets_a_node_have_more_than_can_be_revoked() {
        assert_eq!(Budgets::new(u32::MAX).most, MAX_UNEXPIRED_SVIDS);
        assert_eq!(Budgets::new(0).most, 1, "none at all would be an outage");
    }
}
