//! A change of the authorities that is not in force yet: it is when the store has it.

use std::sync::Arc;

use rcgen::PublicKeyData as _;
use serde_json::json;
use tidelock_ca::{
    Authority as X509Signing, Command, JwtAuthority as JwtSigning, LifecycleError, Notice, Serial,
    Slot, State,
};
use tidelock_proto::v1;

use super::lives::{AuthorityId, Member};
use super::ring::{Ring, name};
use super::{Authority, AuthorityError, Kind, random_serial};
use crate::audit::{Actor, AuditEntry};
use crate::document::AuthorityLives;
use crate::store::Authorities;

/// The authorities as they are to be.
pub(crate) struct Draft<'a> {
    authority: &'a Authority,
    now: i64,
    /// The generation that will bring what is new to nodes.
    generation: u64,
    /// What documents say of the lives of those that are made.
    said: AuthorityLives,
    before: Arc<Ring>,
    ring: Ring,
}

/// An authority that came to another state, or, without one, was forgotten.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    pub(crate) kind: Kind,
    pub(crate) id: AuthorityId,
    pub(crate) state: Option<State>,
}

impl<'a> Draft<'a> {
    /// Begins with what is in force. `generation` is the one that nodes are at.
    pub(crate) fn new(
        authority: &'a Authority,
        now: i64,
        generation: u64,
        said: AuthorityLives,
    ) -> Self {
        let before = authority.ring();
        Self {
            authority,
            now,
            generation: generation.saturating_add(1),
            said,
            ring: Ring::clone(&before),
            before,
        }
    }

    /// Makes an authority of a kind and puts it into the bundle; gives its name.
    pub(crate) fn prepare(&mut self, kind: Kind) -> Result<AuthorityId, AuthorityError> {
        let (authority, now) = (self.authority, self.now);
        let serial = random_serial()?;
        let id = serial.to_string();
        let life_secs = authority.life_secs(kind, self.said);
        let not_after = now.saturating_add(life_secs.into());
        // What the engine would refuse is refused before there is a key.
        let command = Command::Prepare {
            id: id.clone(),
            not_after,
        };
        self.ring.engine_mut(kind).handle(now, command)?;
        match kind {
            Kind::X509 => self.make_x509(&id, serial, not_after)?,
            Kind::Jwt => self.make_jwt(&id, not_after)?,
        }
        Ok(id)
    }

    fn make_x509(
        &mut self,
        id: &str,
        serial: Serial,
        not_after: i64,
    ) -> Result<(), AuthorityError> {
        let (authority, now) = (self.authority, self.now);
        let key_file = format!("authority-{id}.key");
        let key = authority.keys.generate(&key_file)?;
        let domain = &authority.trust_domain;
        let signing = X509Signing::self_signed(key, domain, now, not_after, serial)?;
        let member = Member {
            public: signing.certificate().to_vec(),
            key_file,
            not_before: now.saturating_sub(tidelock_ca::BACKDATE_SECS),
            not_after,
            generation: self.generation,
            signing: Some(signing),
        };
        let members = &mut self.ring.x509.members;
        members.insert(id.to_owned(), Arc::new(member));
        Ok(())
    }

    fn make_jwt(&mut self, id: &str, not_after: i64) -> Result<(), AuthorityError> {
        let authority = self.authority;
        let key_file = format!("jwt-authority-{id}.key");
        let key = authority.keys.generate(&key_file)?;
        let member = Member {
            public: key.subject_public_key_info(),
            key_file,
            not_before: 0,
            not_after,
            generation: self.generation,
            signing: Some(JwtSigning::new(
                key,
                id,
                &authority.trust_domain,
                not_after,
            )?),
        };
        let members = &mut self.ring.jwt.members;
        members.insert(id.to_owned(), Arc::new(member));
        Ok(())
    }

    /// Does what an operator wants with an authority of this kind.
    pub(crate) fn handle(
        &mut self,
        kind: Kind,
        command: Command<AuthorityId>,
    ) -> Result<(), LifecycleError> {
        self.ring.engine_mut(kind).handle(self.now, command)
    }

    /// Does what time brings, the next authority included; one that signs at once if none does.
    pub(crate) fn pass_time(&mut self) -> Result<(), AuthorityError> {
        for kind in Kind::ALL {
            self.pass_time_of(kind)?;
        }
        Ok(())
    }

    fn pass_time_of(&mut self, kind: Kind) -> Result<(), AuthorityError> {
        let engine = self.ring.engine_mut(kind);
        engine.handle_timeout(self.now);
        let asked = |notice: Notice<_>| matches!(notice, Notice::PrepareNext);
        let mut next = false;
        while let Some(notice) = engine.poll() {
            next |= asked(notice);
        }
        if engine.signer().is_none() {
            let prepared = |slot: &&Slot<_>| slot.state == State::Prepared;
            let waiting = engine.slots().iter().find(prepared);
            let id = match waiting.map(|slot| slot.id.clone()) {
                Some(id) => id,
                None => self.prepare(kind)?,
            };
            let told = kind.as_str();
            match self.before.engine(kind).slots().is_empty() {
                // As at the first start of a version that has this kind.
                true => tracing::info!(id, kind = told, "a first authority"),
                false => tracing::warn!(
                    id,
                    kind = told,
                    "no authority was left that signs: this one does, known or not"
                ),
            }
            self.handle(kind, Command::Activate { id })?;
        } else if next {
            self.prepare(kind)?;
        }
        Ok(())
    }

    /// What came to another state.
    pub(crate) fn moved(&self) -> Vec<Moved> {
        let of = |kind| moved(kind, &self.before, &self.ring);
        Kind::ALL.into_iter().flat_map(of).collect()
    }

    /// What the audit log is to say.
    pub(crate) fn audit(&self, actor: &Actor) -> Vec<AuditEntry> {
        let entry = |moved: Moved| {
            let to = moved.state.map_or("forgotten", name);
            let detail = json!({
                "kind": moved.kind.as_str(),
                "state": to,
                "bundle_sequence": self.ring.sequence(),
            });
            AuditEntry::now(actor, "authority-moved", &moved.id, &detail)
        };
        self.moved().into_iter().map(entry).collect()
    }

    /// The bundle as nodes are to get it.
    pub(crate) fn bundle(&self) -> v1::Bundle {
        self.ring.bundle(self.authority.trust_domain.as_str())
    }

    /// What the store is to hold.
    pub(crate) fn stored(&self) -> Authorities {
        self.ring.records(&self.authority.trust_domain)
    }

    /// Puts it in force, now that the store has it, and destroys the keys that are of no use any more.
    pub(crate) fn put_in_force(mut self) {
        for kind in Kind::ALL {
            while self.ring.engine_mut(kind).poll().is_some() {}
        }
        let is_over = |moved: &Moved| matches!(moved.state, None | Some(State::Revoked));
        for Moved { kind, id, .. } in self.moved().into_iter().filter(is_over) {
            let file = self.before.key_file(kind, &id);
            let Some(file) = file.or_else(|| self.ring.key_file(kind, &id)) else {
                continue;
            };
            if let Err(error) = self.authority.keys.destroy(file) {
                tracing::error!(%error, id, "the key of an authority that is over is still there");
            }
        }
        self.ring.x509.forget_others();
        self.ring.jwt.forget_others();
        self.authority.put_in_force(self.ring);
    }
}

/// What is elsewhere in its life after a change, of one kind.
fn moved(kind: Kind, before: &Ring, after: &Ring) -> Vec<Moved> {
    let one = |id: &AuthorityId, state| Moved {
        kind,
        id: id.clone(),
        state,
    };
    let slots = after.engine(kind).slots().iter();
    let news = slots.filter(|slot| before.state(kind, &slot.id) != Some(slot.state));
    let news = news.map(|slot| one(&slot.id, Some(slot.state)));
    let gone = before.engine(kind).slots().iter().map(|slot| &slot.id);
    let gone = gone.filter(|id| after.state(kind, id).is_none());
    news.chain(gone.map(|id| one(id, None))).collect()
}
