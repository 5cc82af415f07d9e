//! A change of the authorities that is not in force yet: it is when the store has it.

use std::sync::Arc;

use serde_json::json;
use tidelock_ca::{Authority as Signing, Command, LifecycleError, Notice, Slot, State};
use tidelock_proto::v1;

use super::ring::{AuthorityId, Member, Ring, name};
use super::{Authority, AuthorityError, random_serial};
use crate::audit::{Actor, AuditEntry};
use crate::store::Authorities;

/// The authorities as they are to be.
pub(crate) struct Draft<'a> {
    authority: &'a Authority,
    now: i64,
    /// The generation that will bring what is new to nodes.
    generation: u64,
    before: Arc<Ring>,
    ring: Ring,
}

/// An authority that came to another state, or, without one, was forgotten.
pub(crate) type Moved = (AuthorityId, Option<State>);

impl<'a> Draft<'a> {
    /// Begins with what is in force. `generation` is the one that nodes are at.
    pub(crate) fn new(authority: &'a Authority, now: i64, generation: u64) -> Self {
        let before = authority.ring();
        Self {
            authority,
            now,
            generation: generation.saturating_add(1),
            ring: Ring::clone(&before),
            before,
        }
    }

    /// Makes an authority and puts it into the bundle; gives its name.
    pub(crate) fn prepare(&mut self) -> Result<AuthorityId, AuthorityError> {
        let (authority, now) = (self.authority, self.now);
        let serial = random_serial()?;
        let id = serial.to_string();
        let not_after = now.saturating_add(authority.timing.life_secs.into());
        // What the engine would refuse is refused before there is a key.
        let command = Command::Prepare {
            id: id.clone(),
            not_after,
        };
        self.ring.engine.handle(now, command)?;
        let key_file = format!("authority-{id}.key");
        let key = authority.keys.generate(&key_file)?;
        let domain = &authority.trust_domain;
        let signing = Signing::self_signed(key, domain, now, not_after, serial)?;
        let member = Member {
            certificate: signing.certificate().to_vec(),
            key_file,
            not_before: now.saturating_sub(tidelock_ca::BACKDATE_SECS),
            not_after,
            generation: self.generation,
            signing: Some(signing),
        };
        self.ring.members.insert(id.clone(), Arc::new(member));
        Ok(id)
    }

    /// Does what an operator wants.
    pub(crate) fn handle(&mut self, command: Command<AuthorityId>) -> Result<(), LifecycleError> {
        self.ring.engine.handle(self.now, command)
    }

    /// Does what time brings, the next authority included; one that signs at once if none does.
    pub(crate) fn pass_time(&mut self) -> Result<(), AuthorityError> {
        self.ring.engine.handle_timeout(self.now);
        let asked = |notice: Notice<_>| matches!(notice, Notice::PrepareNext);
        let mut next = false;
        while let Some(notice) = self.ring.engine.poll() {
            next |= asked(notice);
        }
        if self.ring.engine.signer().is_none() {
            let prepared = |slot: &&Slot<_>| slot.state == State::Prepared;
            let waiting = self.ring.engine.slots().iter().find(prepared);
            let id = match waiting.map(|slot| slot.id.clone()) {
                Some(id) => id,
                None => self.prepare()?,
            };
            tracing::warn!(
                id,
                "no authority was left that signs: this one does, known or not"
            );
            self.handle(Command::Activate { id })?;
        } else if next {
            self.prepare()?;
        }
        Ok(())
    }

    /// What came to another state.
    pub(crate) fn moved(&self) -> Vec<Moved> {
        let slots = self.ring.engine.slots().iter();
        let now = slots.map(|slot| (slot.id.clone(), Some(slot.state)));
        let news = now.filter(|(id, state)| self.before.state(id) != *state);
        let gone = self.before.engine.slots().iter().map(|slot| &slot.id);
        let gone = gone.filter(|id| self.ring.state(id).is_none());
        news.chain(gone.map(|id| (id.clone(), None))).collect()
    }

    /// What the audit log is to say.
    pub(crate) fn audit(&self, actor: &Actor) -> Vec<AuditEntry> {
        let entry = |(id, to): Moved| {
            let to = to.map_or("forgotten", name);
            let detail = json!({"state": to, "bundle_sequence": self.ring.sequence()});
            AuditEntry::now(actor, "authority-moved", &id, &detail)
        };
        self.moved().into_iter().map(entry).collect()
    }

    /// The bundle as nodes are to get it.
    pub(crate) fn bundle(&self) -> v1::Bundle {
        self.ring.bundle(self.authority.trust_domain.as_str())
    }

    /// What the store is to hold.
    pub(crate) fn stored(&self) -> Authorities {
        Authorities {
            trust_domain: self.authority.trust_domain.as_str().to_owned(),
            sequence: self.ring.sequence(),
            x509: self.ring.records(),
            jwt: Vec::new(),
        }
    }

    /// Puts it in force, now that the store has it, and destroys the keys that are of no use any more.
    pub(crate) fn put_in_force(mut self) {
        while self.ring.engine.poll().is_some() {}
        let over =
            |(id, state): &Moved| matches!(state, None | Some(State::Revoked)).then(|| id.clone());
        let over: Vec<AuthorityId> = self.moved().iter().filter_map(over).collect();
        for id in over {
            let Some(member) = self.before.members.get(&id).or(self.ring.members.get(&id)) else {
                continue;
            };
            if let Err(error) = self.authority.keys.destroy(&member.key_file) {
                tracing::error!(%error, id, "the key of an authority that is over is still there");
            }
        }
        let engine = &self.ring.engine;
        let known = |id: &AuthorityId| engine.slots().iter().any(|slot| slot.id == *id);
        self.ring.members.retain(|id, _| known(id));
        self.authority.put_in_force(self.ring);
    }
}
