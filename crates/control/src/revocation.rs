//! Revoking SVIDs: in the store first, then in force, then told to nodes, whose kernels cut what was made with them.

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

/// What came of it.
#[derive(Debug)]
pub(crate) struct Done {
    /// Those that were not revoked before.
    pub(crate) revoked: Vec<RevokedRecord>,
    /// How many were.
    pub(crate) already: usize,
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
    #[error("{count} SVIDs would be revoked at one time, at most {MAX_REVOKED_SVIDS} can be")]
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
        let issued = self.issued(target, now)?;
        for one in &issued {
            may_revoke_issued(&permit, one).map_err(RevokeError::NotPermitted)?;
        }
        let actor = permit.actor();
        let (already, fresh): (Vec<_>, Vec<_>) = issued
            .into_iter()
            .partition(|one| world.revoked.tells_of(&one.serial, now));
        let mut done = Done {
            revoked: fresh.into_iter().map(|one| self.record(one, now)).collect(),
            already: already.len(),
            generation: world.generation,
        };
        if done.revoked.is_empty() {
            self.bar(&actor, target, reason)?;
            return Ok(done);
        }
        let revoked = world.revoked.with(&done.revoked, now);
        if revoked.len() > MAX_REVOKED_SVIDS {
            let count = revoked.len();
            return Err(RevokeError::TooMany { count });
        }
        let audit: Vec<_> = done
            .revoked
            .iter()
            .map(|one| entry(&actor, one, target, reason))
            .collect();
        // First: were it the other way round, a node could come back in between.
        self.bar(&actor, target, reason)?;
        let fingerprint = fingerprint(&world.compiled, &world.bundle, &revoked);
        crash_point!(RevokeJudged);
        done.generation =
            self.store
                .revoke(world.generation, &fingerprint, &done.revoked, now, &audit)?;
        crash_point!(RevokeStored);
        self.put_revoked_in_force(&world, revoked, &done);
        crash_point!(RevokeInForce);
        tracing::warn!(%target, reason, count = done.revoked.len(), "SVIDs revoked");
        let event = v1::SvidsRevoked {
            what: target.to_string(),
            reason: reason.to_owned(),
            count: u32::try_from(done.revoked.len()).unwrap_or(u32::MAX),
            generation: done.generation,
        };
        self.events.record("", EventKind::SvidsRevoked(event));
        Ok(done)
    }

    /// A revoked node has to be let in again by somebody: its certificate, which it still has, is not enough.
    fn bar(&self, actor: &Actor, target: &Target, reason: &str) -> Result<(), RevokeError> {
        let Target::Node(name) = target else {
            return Ok(());
        };
        let detail = json!({"reason": reason});
        let audit = AuditEntry::now(actor, "node-certificate-barred", name.as_str(), &detail);
        self.store
            .set_certificate_allowed(name.as_str(), false, &[audit])?;
        self.nodes.set_certificate_allowed(name, false);
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
        let find = |to: IssuedTo| self.store.issued(&to, now, MAX_REVOKED_SVIDS + 1);
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
                let in_use = self.serials_in_use(|flow_id| flow_id == id);
                self.add_used(&mut found, in_use, now, of_it)?;
                Ok(found)
            }
            Target::Node(name) => {
                if self.nodes.record(name).is_none() {
                    return Err(RevokeError::UnknownNode(name.clone()));
                }
                let mut found = find(IssuedTo::Node(name.to_string()))?;
                let of_it = |one: &IssuedRecord| one.node == name.as_str();
                self.add_used(&mut found, self.serials_in_use(|_| true), now, of_it)?;
                Ok(found)
            }
        }
    }

    /// Serial numbers of the SVIDs that live connections were made with, as nodes report them, by the SPIFFE ID they bear.
    fn serials_in_use(&self, wanted: impl Fn(&str) -> bool) -> BTreeSet<Vec<u8>> {
        let mut serials = BTreeSet::new();
        self.nodes.visit(|_, node| {
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
        let own = || {
            let domain = self.trust_domain.as_str();
            format!("spiffe://{domain}{AGENT_PATH_PREFIX}{}", issued.node)
        };
        RevokedRecord {
            spiffe_id: issued.spiffe_id.clone().unwrap_or_else(own),
            until: issued.not_after.max(now.saturating_add(TOLD_AT_LEAST_SECS)),
            serial: issued.serial,
            node: issued.node,
        }
    }
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
