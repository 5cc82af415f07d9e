//! Identities that templates gave single processes: made when the first process asks, wiped some time after the last has gone,
//! and never more than may be.

use std::collections::BTreeMap;
use std::time::Duration;

use tidelock_proto::{MAX_FILLED_IDS_PER_ENTRY, MAX_FILLED_IDS_PER_NODE};

use super::super::clock::{Mono, Now};
use super::super::entry::{Entry, EntryId};
use super::super::filled::Unfilled;
use super::super::io::Output;
use super::super::out::Out;
use super::life::Identity;
use super::{Identities, forgotten};

/// How long an identity is kept that no process has: a shell script that runs one program after another does not need a new key and
/// SVID for each. With the bounds it says how many identities can be made: 34 in a second on a node.
const IDLE_KEPT: Duration = Duration::from_secs(30);

impl Identities {
    /// The number of the identity of a process that matches an entry; `None`: the entry has none yet. Where the entry is a template,
    /// the identity is made if it is not there.
    ///
    /// # Errors
    /// There are as many of templates as may be, and all of them are in use.
    pub(in super::super) fn number_for(
        &mut self,
        entry: &Entry,
        id: &str,
        now: Now,
        out: &mut Out,
    ) -> Result<Option<u32>, Unfilled> {
        let known = self.number_of(&entry.id, id);
        if entry.spiffe_id().is_some() {
            return Ok(known);
        }
        if let Some(number) = known {
            self.filled.insert(number, None);
            return Ok(known);
        }
        self.room(&entry.id)?;
        let number = self.assign(&entry.id, id, &BTreeMap::new());
        self.leaving.remove(&number);
        let identity = Identity::new(number, entry, id, now);
        self.wanted.insert(number, identity);
        self.filled.insert(number, None);
        out.push(Output::Remember(self.known()));
        self.ask(number, now, out);
        Ok(Some(number))
    }

    /// Learns which identities processes have.
    pub(in super::super) fn used(&mut self, now: Now, is_used: impl Fn(u32) -> bool) {
        for (number, idle) in &mut self.filled {
            *idle = match is_used(*number) {
                true => None,
                false => Some(idle.unwrap_or(now.mono)),
            };
        }
    }

    /// The kernel is about to tell of every process anew: nothing is idle for long before it did.
    pub(in super::super) fn restart_idle(&mut self, now: Now) {
        self.filled
            .values_mut()
            .for_each(|idle| *idle = Some(now.mono));
    }

    /// Has the kernel wipe what no process has had for long.
    pub(in super::super) fn forget_idle(&mut self, now: Now, out: &mut Out) {
        let over = |idle: &Option<Mono>| idle.is_some_and(|at| at.after(IDLE_KEPT) <= now.mono);
        let idle = self.filled.iter().filter(|(_, idle)| over(idle));
        let idle: Vec<u32> = idle.map(|(number, _)| *number).collect();
        if idle.is_empty() {
            return;
        }
        for number in idle {
            self.filled.remove(&number);
            if let Some(identity) = self.wanted.remove(&number) {
                forgotten(number, identity.known, now, out);
            }
        }
        out.push(Output::Remember(self.known()));
    }

    /// When an identity will have been idle for long.
    pub(in super::super) fn idle_deadline(&self) -> Option<Mono> {
        let idle = self.filled.values().flatten().min();
        idle.map(|at| at.after(IDLE_KEPT))
    }

    /// The SPIFFE IDs that an entry gives: its own, or of a template what came of it before, also for an earlier agent.
    pub(super) fn ids(&self, entry: &Entry, before: &BTreeMap<u32, Identity>) -> Vec<String> {
        let template = match &entry.spiffe_id {
            EntryId::Fixed(id) => return vec![id.as_str().to_owned()],
            EntryId::Template(template) => template,
        };
        let here = before.values().map(|identity| &identity.known);
        let mut ids = Vec::new();
        for known in here.chain(self.leaving.values()) {
            let comes = known.entry == entry.id && template.admits(&known.spiffe_id);
            if comes && !ids.contains(&known.spiffe_id) {
                ids.push(known.spiffe_id.clone());
            }
        }
        let room = MAX_FILLED_IDS_PER_NODE.saturating_sub(self.filled.len());
        ids.truncate(room.min(MAX_FILLED_IDS_PER_ENTRY));
        ids
    }

    /// Is there room for one more? What is idle counts: pushing it out would let whoever runs under many uids have keys made and SVIDs
    /// signed as fast as they can, and leave the node nothing of what the control plane signs for it each second.
    fn room(&self, entry: &str) -> Result<(), Unfilled> {
        let identity = |number| self.wanted.get(number);
        let all = self.filled.keys().filter_map(identity);
        if all.filter(|of| of.known.entry == entry).count() >= MAX_FILLED_IDS_PER_ENTRY {
            return Err(Unfilled::EntryFull);
        }
        match self.filled.len() < MAX_FILLED_IDS_PER_NODE {
            true => Ok(()),
            false => Err(Unfilled::NodeFull),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1 as proto;

    use super::super::super::clock::Jitter;
    use super::*;

    fn entry(id: &str) -> Entry {
        let entry = Entry::parse(proto::Entry {
            id: id.into(),
            spiffe_id: format!("spiffe://td/{id}/{{{{unix.uid}}}}"),
            selectors: vec!["unix:path:/bin/a".into()],
            x509_ttl_secs: 60,
            expression: None,
            version: tidelock_proto::ENTRY_VERSION,
        });
        entry.expect("good")
    }

    fn at(secs: u64) -> Now {
        Now {
            mono: Mono(secs * 1_000_000_000),
            wall_unix_ns: 0,
        }
    }

    #[test]
    fn one_entry_leaves_room_for_others_and_a_node_has_a_bound_too() {
        let mut identities = Identities::new(Vec::new(), Jitter::new(1));
        let mut out = Out::default();
        let entries = ["a", "b", "c"].map(entry);
        identities.want(at(0), &entries, &mut out);
        let [a, b, c] = &entries;
        let mut ask = |identities: &mut Identities, entry: &Entry, uid: usize, secs| {
            let id = format!("spiffe://td/{}/{uid}", entry.id);
            identities.number_for(entry, &id, at(secs), &mut out)
        };
        for uid in 0..MAX_FILLED_IDS_PER_ENTRY {
            assert!(ask(&mut identities, a, uid, 0).is_ok_and(|number| number.is_some()));
        }
        let most = MAX_FILLED_IDS_PER_ENTRY;
        assert_eq!(ask(&mut identities, a, most, 0), Err(Unfilled::EntryFull));
        for uid in most..MAX_FILLED_IDS_PER_NODE {
            assert!(ask(&mut identities, b, uid, 0).is_ok_and(|number| number.is_some()));
        }
        assert_eq!(ask(&mut identities, c, 0, 0), Err(Unfilled::NodeFull));
        assert_eq!(ask(&mut identities, a, 0, 0), ask(&mut identities, a, 0, 1));
        // What nobody has counts until it was kept for long enough.
        let last = ask(&mut identities, a, 1, 1).expect("known");
        identities.used(at(1), |number| Some(number) != last);
        assert_eq!(ask(&mut identities, c, 0, 30), Err(Unfilled::NodeFull));
        assert_eq!(identities.idle_deadline(), Some(at(31).mono));
        identities.forget_idle(at(31), &mut Out::default());
        assert!(ask(&mut identities, c, 0, 31).is_ok_and(|number| number.is_some()));
    }

    #[test]
    fn an_agent_takes_over_no_more_than_the_bound() {
        let known = (0..2_000).map(|uid| super::super::super::io::KnownIdentity {
            number: uid + 1,
            entry: "a".into(),
            spiffe_id: format!("spiffe://td/a/{uid}"),
        });
        let mut identities = Identities::new(known.collect(), Jitter::new(1));
        identities.want(at(0), &[entry("a")], &mut Out::default());
        assert_eq!(identities.filled.len(), MAX_FILLED_IDS_PER_ENTRY);
    }
}
