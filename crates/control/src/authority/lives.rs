//! The authorities of one kind: where each is in its life, and what it needs for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidelock_ca::{Lifecycle, LifecycleError, Slot, State, Timing};

/// An authority's name, in lower-case hexadecimal: its certificate's serial number, or the ID of its key. Drawn at random,
/// so that no two have one, of whatever kind.
pub(crate) type AuthorityId = String;

/// All of one kind.
#[derive(Debug)]
pub(super) struct Lives<S> {
    pub(super) engine: Lifecycle<AuthorityId>,
    pub(super) members: BTreeMap<AuthorityId, Arc<Member<S>>>,
}

/// One authority.
#[derive(Debug)]
pub(super) struct Member<S> {
    /// What others verify with: a certificate, or a SubjectPublicKeyInfo. DER.
    pub(super) public: Vec<u8>,
    pub(super) key_file: String,
    /// 0 where that is not told.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    /// The generation that brought it to nodes.
    pub(super) generation: u64,
    /// Where it signs, is to, or did: then only lists of what is revoked.
    pub(super) signing: Option<S>,
}

/// An authority that was there before.
pub(super) struct Restored<S> {
    pub(super) id: AuthorityId,
    pub(super) state: State,
    pub(super) since: i64,
    pub(super) until: i64,
    pub(super) member: Member<S>,
}

impl<S> Clone for Lives<S> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            members: self.members.clone(),
        }
    }
}

impl<S> Lives<S> {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            engine: Lifecycle::new(timing),
            members: BTreeMap::new(),
        }
    }

    /// Takes up what was there before.
    pub(super) fn restore(
        timing: Timing,
        all: Vec<Restored<S>>,
        sequence: u64,
    ) -> Result<Self, LifecycleError> {
        let slot = |one: &Restored<S>| Slot {
            id: one.id.clone(),
            state: one.state,
            since: one.since,
            until: one.until,
        };
        Ok(Self {
            engine: Lifecycle::restore(timing, all.iter().map(slot).collect(), sequence)?,
            members: all
                .into_iter()
                .map(|one| (one.id, Arc::new(one.member)))
                .collect(),
        })
    }

    /// The one that signs, if any does, and its name.
    pub(super) fn signing(&self) -> Option<(&AuthorityId, &S)> {
        let id = self.engine.signer()?;
        Some((id, self.members.get(id)?.signing.as_ref()?))
    }

    /// Each that is remembered, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Slot<AuthorityId>, &Member<S>)> {
        let slots = self.engine.slots().iter();
        slots.filter_map(|slot| Some((slot, self.members.get(&slot.id)?.as_ref())))
    }

    /// Those in the bundle, oldest first.
    pub(super) fn trusted(&self) -> impl Iterator<Item = (&Slot<AuthorityId>, &Member<S>)> {
        self.all().filter(|(slot, _)| slot.state != State::Revoked)
    }

    pub(super) fn state(&self, id: &str) -> Option<State> {
        let slot = self.engine.slots().iter().find(|slot| slot.id == id);
        slot.map(|slot| slot.state)
    }

    /// Forgets what belongs to those that the engine has forgotten.
    pub(super) fn forget_others(&mut self) {
        let slots = self.engine.slots();
        self.members
            .retain(|id, _| slots.iter().any(|slot| slot.id == *id));
    }
}
