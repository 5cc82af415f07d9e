//! The authorities at one moment: where each is in its life, and what it needs for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rcgen::KeyPair;
use tidelock_ca::{Authority as Signing, Lifecycle, Slot, State, Timing};
use tidelock_proto::v1;
use tidelock_spiffe_core::x509::SigningCert;

use super::{AuthorityError, REFRESH_HINT_SECS};
use crate::audit::hex;
use crate::store::AuthorityRecord;

/// An authority's name: its certificate's serial number, in lower-case hexadecimal.
pub(crate) type AuthorityId = String;

/// All authorities. Changed by making another one of these.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    pub(super) engine: Lifecycle<AuthorityId>,
    pub(super) members: BTreeMap<AuthorityId, Arc<Member>>,
}

/// One authority.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) certificate: Vec<u8>,
    pub(super) key_file: String,
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    /// The generation that brought it to nodes.
    pub(super) generation: u64,
    /// Where it signs, is to, or did: then only lists of what is revoked.
    pub(super) signing: Option<Signing<KeyPair>>,
}

impl Member {
    /// Reads what the store holds; gives its name too.
    pub(super) fn read(record: &AuthorityRecord) -> Result<(AuthorityId, Self), AuthorityError> {
        let read = SigningCert::parse(&record.certificate).map_err(AuthorityError::Certificate)?;
        let member = Self {
            certificate: record.certificate.clone(),
            key_file: record.key_file.clone(),
            not_before: read.not_before,
            not_after: read.not_after,
            generation: record.generation,
            signing: None,
        };
        Ok((hex(read.serial), member))
    }
}

impl Ring {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            engine: Lifecycle::new(timing),
            members: BTreeMap::new(),
        }
    }

    /// Takes up what was there before.
    pub(super) fn restore(
        timing: Timing,
        members: Vec<(AuthorityId, Member, AuthorityRecord)>,
        sequence: u64,
    ) -> Result<Self, AuthorityError> {
        let slot = |(id, member, record): &(AuthorityId, Member, AuthorityRecord)| Slot {
            id: id.clone(),
            state: record.state,
            since: record.since,
            until: record.until.unwrap_or(member.not_after),
        };
        let slots = members.iter().map(slot).collect();
        let members = members.into_iter().map(|(id, m, _)| (id, Arc::new(m)));
        Ok(Self {
            engine: Lifecycle::restore(timing, slots, sequence)?,
            members: members.collect(),
        })
    }

    /// The authority that signs, if any does.
    pub(super) fn signing(&self) -> Option<&Signing<KeyPair>> {
        let id = self.engine.signer()?;
        self.members.get(id)?.signing.as_ref()
    }

    /// The certificates that vouch for the trust domain, oldest first.
    pub(crate) fn certificates(&self) -> Vec<Vec<u8>> {
        let trusted = self.engine.trusted();
        trusted.filter_map(|id| self.certificate(id)).collect()
    }

    /// The bundle as nodes get it.
    pub(super) fn bundle(&self, trust_domain: &str) -> v1::Bundle {
        let tainted = |slot: &&Slot<AuthorityId>| slot.state == State::Tainted;
        let tainted = self.engine.slots().iter().filter(tainted);
        v1::Bundle {
            trust_domain: trust_domain.to_owned(),
            x509_authorities: self.certificates(),
            sequence: self.engine.sequence(),
            refresh_hint_secs: REFRESH_HINT_SECS,
            tainted_x509_authorities: tainted
                .filter_map(|slot| self.certificate(&slot.id))
                .collect(),
        }
    }

    /// As the store keeps them.
    pub(super) fn records(&self) -> Vec<AuthorityRecord> {
        let record = |slot: &Slot<AuthorityId>| {
            let member = self.members.get(&slot.id)?;
            Some(AuthorityRecord {
                certificate: member.certificate.clone(),
                key_file: member.key_file.clone(),
                state: slot.state,
                since: slot.since,
                until: Some(slot.until),
                generation: member.generation,
            })
        };
        self.engine.slots().iter().filter_map(record).collect()
    }

    /// As operators see them, oldest first.
    pub(crate) fn views(&self, propagation_secs: u32) -> Vec<v1::X509Authority> {
        let view = |slot: &Slot<AuthorityId>| {
            let member = self.members.get(&slot.id)?;
            let known = slot.since.saturating_add(propagation_secs.into());
            Some(v1::X509Authority {
                id: slot.id.clone(),
                state: state(slot.state).into(),
                since_unix_secs: slot.since,
                not_before_unix_secs: member.not_before,
                not_after_unix_secs: member.not_after,
                until_unix_secs: slot.until,
                known_unix_secs: match slot.state {
                    State::Prepared => known,
                    _ => 0,
                },
                certificate: member.certificate.clone(),
            })
        };
        self.engine.slots().iter().filter_map(view).collect()
    }

    /// How many are there in their lives.
    pub(crate) fn count(&self, state: State) -> i128 {
        let slots = self.engine.slots().iter();
        slots.map(|slot| i128::from(slot.state == state)).sum()
    }

    /// Where an authority is in its life; `None` if it is not remembered.
    pub(crate) fn state(&self, id: &str) -> Option<State> {
        let slot = self.engine.slots().iter().find(|slot| slot.id == id);
        slot.map(|slot| slot.state)
    }

    /// The generation that brought an authority to nodes.
    pub(crate) fn generation(&self, id: &str) -> Option<u64> {
        self.members.get(id).map(|member| member.generation)
    }

    /// How often the bundle has changed.
    pub(crate) fn sequence(&self) -> u64 {
        self.engine.sequence()
    }

    fn certificate(&self, id: &AuthorityId) -> Option<Vec<u8>> {
        self.members.get(id).map(|m| m.certificate.clone())
    }
}

/// A state as messages have it.
pub(crate) fn state(state: State) -> v1::AuthorityState {
    match state {
        State::Prepared => v1::AuthorityState::Prepared,
        State::Active => v1::AuthorityState::Active,
        State::Retired => v1::AuthorityState::Retired,
        State::Tainted => v1::AuthorityState::Tainted,
        State::Revoked => v1::AuthorityState::Revoked,
    }
}

/// A state as the audit log has it.
pub(super) fn name(state: State) -> &'static str {
    match state {
        State::Prepared => "prepared",
        State::Active => "active",
        State::Retired => "retired",
        State::Tainted => "tainted",
        State::Revoked => "revoked",
    }
}
