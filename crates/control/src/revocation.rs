//! Revoking SVIDs: in the store first, then in force, then told to nodes, whose kernels cut what was made with them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::json;
use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::{AGENT_PATH_PREFIX, MAX_REVOKED_SVIDS};

use crate::audit::{Actor, AuditEntry, hex};
use crate::clock;
use crate::core::Core;
use crate::name::Name;
use crate::revoked::Revoked;
use crate::roles::{Permit, Refusal, may_revoke, may_revoke_issued};
use crate::store::{IssuedRecord, IssuedTo, RevokedRecord, StoreError};
use crate::traced;
use crate::world::{World, fingerprint};

/// How long it is told at least that an SVID is revoked, in seconds. A connection may be older than the SVIDs it was made
/// with: a node that is away for this long still cuts it when it is back.
const TOLD_AT_LEAST_SECS: i64 = 86_400;

/// What is to be believed no more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// The SVID of this serial number.
    Svid(Vec<u8>),
    /// Every SVID that was issued for this SPIFFE ID until now.
    Identity(String),
    /// Every SVID that this node was given until now.
    Node(Name),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Svid(serial) => write!(f, "svid {}", hex(serial)),
            Self::Identity(id) => write!(f, "identity {id}"),
            Self::Node(name) => write!(f, "node {name}"),
        }
    }
}

/// How many SVIDs are looked for of what is to be revoked: some more than can be, so that it is told how many are left out.
const MAX_LOOKED_FOR: usize = 2 * MAX_REVOKED_SVIDS;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Done {
    /// Those that were not revoked before.
    pub(crate) revoked: Vec<RevokedRecord>,
    /// How many were.
    pub(crate) already: usize,
    /// Those for which there is no room among what nodes are told. `until` is when they expire.
    pub(crate) left_out: Vec<RevokedRecord>,
    pub(crate) generation: u64,
}

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeError {
    #[error("no SVID of this serial number was issued here")]
    UnknownSerial,
    #[error("no SVID was ever issued for `{0}`")]
    UnknownIdentity(String),
    #[error("node `{0}` has never joined")]
    UnknownNode(Name),
    #[error(
        "nodes take {MAX_REVOKED_SVIDS} revoked SVIDs at one time and are told of as many: there is room for none of {count}"
    )]
    TooMany { count: usize },
    #[error("{0}")]
    NotPermitted(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the change failed; see the control plane's log")]
    Broken,
}

impl Core {
    /// Revokes, to the end even if the caller goes away.
    pub(crate) async fn revoke(
        self: &Arc<Self>,
        permit: Permit,
        target: Target,
        reason: String,
    ) -> Result<Done, RevokeError> {
        let core = Arc::clone(self);
        let task = traced::spawn(async move {
            let _alone = core.changing.lock().await;
            // What is being issued is issued first, and found; what comes later is asked for by whoever is still believed.
            let _nothing_issued = core.issuing.write().await;
            // Nor does a node join while it is barred.
            let _nobody_joins = core.joining.lock().await;
            let worker = Arc::clone(&core);
            let done = traced::spawn_blocking(move || {
                worker.revoke_alone(&permit, &target, &reason, clock::unix_secs())
            });
            done.await.unwrap_or(Err(RevokeError::Broken))
        });
        task.await.unwrap_or(Err(RevokeError::Broken))
    }

    fn revoke_alone(
        &self,
        permit: &Permit,
        target: &Target,
        reason: &str,
        now: i64,
    ) -> Result<Done, RevokeError> {
        let world = self.world();
        // What the caller may do can have changed while it waited.
        let permit = permit.again(&world).map_err(RevokeError::NotPermitted)?;
        may_revoke(&permit, target).map_err(RevokeError::NotPermitted)?;
        let actor = permit.actor();
        // First, and whatever room there is: were it the other way round, a node could come back in between.
        self.bar(&actor, target, reason)?;
        let issued = self.issued(target, now)?;
        for one in &issued {
            may_revoke_issued(&permit, one).map_err(RevokeError::NotPermitted)?;
        }
        let (already, mut fresh): (Vec<_>, Vec<_>) = issued
            .into_iter()
            .partition(|one| world.revoked.tells_of(&one.serial, now));
        let in_use = self.serials_in_use(target);
        fresh.sort_by_cached_key(|one| urgency(one, &in_use, now));
        let counting = world.revoked.serials(now).len();
        let room = MAX_REVOKED_SVIDS.saturating_sub(counting);
        let left_out = fresh.split_off(room.min(fresh.len()));
        let mut done = Done {
            already: already.len(),
            left_out: left_out.into_iter().map(|one| self.still(one)).collect(),
            generation: world.generation,
            revoked: Vec::new(),
        };
        let mut audit = Vec::from_iter(incomplete(&actor, target, reason, fresh.len(), &done));
        if fresh.is_empty() {
            self.store.append_audit(&audit)?;
            return match (target, done.left_out.len()) {
                (Target::Node(_), _) | (_, 0) => Ok(done),
                (_, count) => Err(RevokeError::TooMany { count }),
            };
        }
        done.revoked = fresh.into_iter().map(|one| self.record(one, now)).collect();
        let each = done.revoked.iter();
        audit.extend(each.map(|one| entry(&actor, one, target, reason)));
        let revoked = world.revoked.with(&done.revoked, now);
        let fingerprint = fingerprint(&world.compiled, &world.bundle, &revoked);
        crash_point!(RevokeJudged);
        done.generation =
            self.store
                .revoke(world.generation, &fingerprint, &done.revoked, now, &audit)?;
        crash_point!(RevokeStored);
        self.put_revoked_in_force(&world, revoked, &done);
        crash_point!(RevokeInForce);
        self.tell_revoked(target, reason, &done);
        Ok(done)
    }

    fn tell_revoked(&self, target: &Target, reason: &str, done: &Done) {
        let (count, left_out) = (done.revoked.len(), done.left_out.len());
        tracing::warn!(%target, reason, count, left_out, "SVIDs revoked");
        let event = v1::SvidsRevoked {
            what: target.to_string(),
            reason: reason.to_owned(),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            generation: done.generation,
        };
        self.events.record("", EventKind::SvidsRevoked(event));
    }

    /// A revoked node is believed no more, in nothing, and has to be let in again by somebody: its certificate, which it still
    /// has, is not enough. That needs no room among what nodes are told.
    fn bar(&self, actor: &Actor, target: &Target, reason: &str) -> Result<(), RevokeError> {
        let Target::Node(name) = target else {
            return Ok(());
        };
        if self.nodes.record(name).is_none() {
            return Err(RevokeError::UnknownNode(name.clone()));
        }
        let detail = json!({"reason": reason});
        let audit = AuditEntry::now(actor, "node-barred", name.as_str(), &detail);
        self.store.bar_node(name.as_str(), &[audit])?;
        self.nodes.barred(name);
        // What is revoked with it does not count against who joins anew. It does count against a node that goes on as it was:
        // that would have as many again, and no room for them.
        self.budgets.forget(name);
        Ok(())
    }

    fn put_revoked_in_force(&self, world: &World, revoked: Revoked, done: &Done) {
        self.world.send_replace(Arc::new(World {
            generation: done.generation,
            revoked: Arc::new(revoked),
            ..world.clone()
        }));
        // Whoever opened a stream with what is revoked now hears no more, and is not let in again.
        let news = Revoked::new(done.revoked.clone());
        self.nodes.disbelieve(|serial| news.find(serial).is_some());
    }

    /// The SVIDs that are meant.
    fn issued(&self, target: &Target, now: i64) -> Result<Vec<IssuedRecord>, RevokeError> {
        let find = |to: IssuedTo| self.store.issued(&to, now, MAX_LOOKED_FOR);
        match target {
            Target::Svid(serial) => {
                let found = find(IssuedTo::Serial(serial.clone()))?;
                match found.is_empty() {
                    true => Err(RevokeError::UnknownSerial),
                    false => Ok(found),
                }
            }
            Target::Identity(id) => {
                if !self.store.ever_issued(id)? {
                    return Err(RevokeError::UnknownIdentity(id.clone()));
                }
                let mut found = find(IssuedTo::Identity(id.clone()))?;
                let of_it = |one: &IssuedRecord| one.spiffe_id.as_deref() == Some(id);
                self.add_used(&mut found, self.serials_in_use(target), now, of_it)?;
                Ok(found)
            }
            Target::Node(name) => {
                let mut found = find(IssuedTo::Node(name.to_string()))?;
                let of_it = |one: &IssuedRecord| one.node == name.as_str();
                self.add_used(&mut found, self.serials_in_use(target), now, of_it)?;
                Ok(found)
            }
        }
    }

    /// Serial numbers of the SVIDs that live connections were made with, as nodes report them, by the SPIFFE ID they bear. A node
    /// that is revoked has no say: it is the others that are to cut it off.
    fn serials_in_use(&self, target: &Target) -> BTreeSet<Vec<u8>> {
        let wanted = |flow_id: &str| match target {
            Target::Identity(id) => flow_id == id,
            Target::Svid(_) | Target::Node(_) => true,
        };
        let mut serials = BTreeSet::new();
        self.nodes.visit(|name, node| {
            if matches!(target, Target::Node(revoked) if revoked == name) {
                return;
            }
            for flow in node.reported.flows.values() {
                let ends = [
                    (&flow.local_id, &flow.local_serial),
                    (&flow.peer_id, &flow.peer_serial),
                ];
                let meant = ends.into_iter().filter(|(id, _)| wanted(id));
                serials.extend(meant.map(|(_, serial)| serial.clone()));
            }
        });
        serials
    }

    /// Adds SVIDs that have expired and that connections live on: nodes say which, and the audit log whose they are.
    fn add_used(
        &self,
        found: &mut Vec<IssuedRecord>,
        in_use: BTreeSet<Vec<u8>>,
        now: i64,
        of_it: impl Fn(&IssuedRecord) -> bool,
    ) -> Result<(), RevokeError> {
        let known: BTreeSet<Vec<u8>> = found.iter().map(|one| one.serial.clone()).collect();
        for serial in in_use.difference(&known) {
            let used = self
                .store
                .issued(&IssuedTo::Serial(serial.clone()), now, 1)?;
            found.extend(used.into_iter().filter(&of_it));
        }
        Ok(())
    }

    fn record(&self, issued: IssuedRecord, now: i64) -> RevokedRecord {
        let until = now.saturating_add(TOLD_AT_LEAST_SECS);
        let still = self.still(issued);
        RevokedRecord {
            until: still.until.max(until),
            ..still
        }
    }

    /// What is not revoked: it is good until it expires.
    fn still(&self, issued: IssuedRecord) -> RevokedRecord {
        let own = || {
            let domain = self.trust_domain.as_str();
            format!("spiffe://{domain}{AGENT_PATH_PREFIX}{}", issued.node)
        };
        RevokedRecord {
            spiffe_id: issued.spiffe_id.clone().unwrap_or_else(own),
            until: issued.not_after,
            serial: issued.serial,
            node: issued.node,
        }
    }
}

/// What goes first where there is no room for all: what has not expired, before what only a live connection rests on; a node's own
/// first, then what connections rest on, then what lasts longest.
fn urgency(
    one: &IssuedRecord,
    in_use: &BTreeSet<Vec<u8>>,
    now: i64,
) -> (bool, bool, bool, Reverse<i64>) {
    (
        one.not_after <= now,
        one.spiffe_id.is_some(),
        !in_use.contains(&one.serial),
        Reverse(one.not_after),
    )
}

/// What the audit log says of a revocation of which something is left out.
fn incomplete(
    actor: &Actor,
    target: &Target,
    reason: &str,
    revoked: usize,
    done: &Done,
) -> Option<AuditEntry> {
    let last = done.left_out.iter().map(|one| one.until).max()?;
    let detail = json!({
        "reason": reason,
        "revoked": revoked,
        "left_out": done.left_out.len(),
        "last_expires": last,
    });
    let action = "revocation-incomplete";
    Some(AuditEntry::now(actor, action, &target.to_string(), &detail))
}

/// One for each SVID, so that each can be found.
fn entry(actor: &Actor, revoked: &RevokedRecord, target: &Target, reason: &str) -> AuditEntry {
    let detail = json!({
        "serial": hex(&revoked.serial),
        "node": revoked.node,
        "by": target.to_string(),
        "reason": reason,
    });
    AuditEntry::now(actor, "svid-revoked", &revoked.spiffe_id, &detail)
}
