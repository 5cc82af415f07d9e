//! The authorities of both kinds at one moment.

use rcgen::KeyPair;
use tidelock_ca::{
    Authority as X509Signing, JwtAuthority as JwtSigning, Lifecycle, Slot, State, TimingError,
};
use tidelock_proto::v1;
use tidelock_spiffe_core::TrustDomainBuf;
use tidelock_spiffe_core::bundle::{Bundle, BundleError, JwtAuthority};
use tidelock_spiffe_core::jwk::PublicKey;

use super::lives::{AuthorityId, Lives, Member};
use super::{Kind, REFRESH_HINT_SECS, Timings};
use crate::store::{Authorities, AuthorityRecord, JwtAuthorityRecord};

/// All authorities. Changed by making another one of these.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    pub(super) x509: Lives<X509Signing<KeyPair>>,
    pub(super) jwt: Lives<JwtSigning<KeyPair>>,
}

impl Ring {
    pub(super) fn new(timings: Timings) -> Result<Self, TimingError> {
        Ok(Self {
            x509: Lives::new(timings.x509.engine()?),
            jwt: Lives::new(timings.jwt.engine()?),
        })
    }

    pub(super) fn engine(&self, kind: Kind) -> &Lifecycle<AuthorityId> {
        match kind {
            Kind::X509 => &self.x509.engine,
            Kind::Jwt => &self.jwt.engine,
        }
    }

    pub(super) fn engine_mut(&mut self, kind: Kind) -> &mut Lifecycle<AuthorityId> {
        match kind {
            Kind::X509 => &mut self.x509.engine,
            Kind::Jwt => &mut self.jwt.engine,
        }
    }

    /// What an authority signs. Of a name that nobody has, either kind does: its engine says that there is none.
    pub(crate) fn kind(&self, id: &str) -> Kind {
        match self.jwt.state(id) {
            Some(_) => Kind::Jwt,
            None => Kind::X509,
        }
    }

    /// The certificates that vouch for the trust domain, oldest first.
    pub(crate) fn certificates(&self) -> Vec<Vec<u8>> {
        let public = |(_, member): (_, &Member<_>)| member.public.clone();
        self.x509.trusted().map(public).collect()
    }

    /// The bundle as nodes get it.
    pub(super) fn bundle(&self, trust_domain: &str) -> v1::Bundle {
        let tainted = self.x509.trusted();
        let tainted = tainted.filter(|(slot, _)| slot.state == State::Tainted);
        let key = |(slot, member): (&Slot<AuthorityId>, &Member<_>)| v1::JwtKey {
            key_id: slot.id.clone(),
            public_key: member.public.clone(),
            tainted: slot.state == State::Tainted,
        };
        v1::Bundle {
            trust_domain: trust_domain.to_owned(),
            x509_authorities: self.certificates(),
            sequence: self.sequence(),
            refresh_hint_secs: REFRESH_HINT_SECS,
            tainted_x509_authorities: tainted.map(|(_, member)| member.public.clone()).collect(),
            jwt_authorities: self.jwt.trusted().map(key).collect(),
        }
    }

    /// The bundle as relying parties get it.
    pub(super) fn published(&self, trust_domain: &TrustDomainBuf) -> Result<Bundle, BundleError> {
        let mut bundle = Bundle::new(trust_domain.clone());
        for certificate in self.certificates() {
            bundle.push(certificate)?;
        }
        for (index, (slot, member)) in self.jwt.trusted().enumerate() {
            let key = PublicKey::from_spki(&member.public)
                .map_err(|error| BundleError::Key { index, error })?;
            let entry = |error| BundleError::Entry { index, error };
            bundle.push_jwt(JwtAuthority::new(&slot.id, key).map_err(entry)?)?;
        }
        bundle.sequence = Some(self.sequence());
        bundle.refresh_hint_secs = Some(REFRESH_HINT_SECS.into());
        Ok(bundle)
    }

    /// As the store keeps them.
    pub(super) fn records(&self, trust_domain: &TrustDomainBuf) -> Authorities {
        let x509 = |(slot, member): (&Slot<AuthorityId>, &Member<_>)| AuthorityRecord {
            certificate: member.public.clone(),
            key_file: member.key_file.clone(),
            state: slot.state,
            since: slot.since,
            until: Some(slot.until),
            generation: member.generation,
        };
        let jwt = |(slot, member): (&Slot<AuthorityId>, &Member<_>)| JwtAuthorityRecord {
            key_id: slot.id.clone(),
            public_key: member.public.clone(),
            key_file: member.key_file.clone(),
            state: slot.state,
            since: slot.since,
            until: slot.until,
            not_after: member.not_after,
            generation: member.generation,
        };
        Authorities {
            trust_domain: trust_domain.as_str().to_owned(),
            sequence: self.sequence(),
            x509: self.x509.all().map(x509).collect(),
            jwt: self.jwt.all().map(jwt).collect(),
        }
    }

    /// Those of certificates as operators see them, oldest first.
    pub(super) fn x509_views(&self, propagation_secs: u32) -> Vec<v1::X509Authority> {
        let view = |(slot, member): (&Slot<AuthorityId>, &Member<_>)| v1::X509Authority {
            id: slot.id.clone(),
            state: state(slot.state).into(),
            since_unix_secs: slot.since,
            not_before_unix_secs: member.not_before,
            not_after_unix_secs: member.not_after,
            until_unix_secs: slot.until,
            known_unix_secs: known(slot, propagation_secs),
            certificate: member.public.clone(),
        };
        self.x509.all().map(view).collect()
    }

    /// Those of JWT-SVIDs as operators see them, oldest first.
    pub(super) fn jwt_views(&self, propagation_secs: u32) -> Vec<v1::JwtAuthority> {
        let view = |(slot, member): (&Slot<AuthorityId>, &Member<_>)| v1::JwtAuthority {
            id: slot.id.clone(),
            state: state(slot.state).into(),
            since_unix_secs: slot.since,
            not_after_unix_secs: member.not_after,
            until_unix_secs: slot.until,
            known_unix_secs: known(slot, propagation_secs),
            public_key: member.public.clone(),
        };
        self.jwt.all().map(view).collect()
    }

    /// How many of a kind are there in their lives.
    pub(crate) fn count(&self, kind: Kind, state: State) -> i128 {
        let slots = self.engine(kind).slots().iter();
        slots.map(|slot| i128::from(slot.state == state)).sum()
    }

    /// Where an authority of a kind is in its life; `None` if it is not remembered.
    pub(crate) fn state(&self, kind: Kind, id: &str) -> Option<State> {
        match kind {
            Kind::X509 => self.x509.state(id),
            Kind::Jwt => self.jwt.state(id),
        }
    }

    /// The generation that brought an authority to nodes.
    pub(crate) fn generation(&self, id: &str) -> Option<u64> {
        let jwt = self.jwt.members.get(id).map(|member| member.generation);
        jwt.or_else(|| self.x509.members.get(id).map(|member| member.generation))
    }

    /// Where its key lies.
    pub(super) fn key_file(&self, kind: Kind, id: &str) -> Option<&str> {
        match kind {
            Kind::X509 => self.x509.members.get(id).map(|m| m.key_file.as_str()),
            Kind::Jwt => self.jwt.members.get(id).map(|m| m.key_file.as_str()),
        }
    }

    /// How often the bundle has changed, whichever kind changed in it.
    pub(crate) fn sequence(&self) -> u64 {
        let jwt = self.jwt.engine.sequence();
        self.x509.engine.sequence().saturating_add(jwt)
    }
}

/// When a prepared authority is known; 0 for others.
fn known(slot: &Slot<AuthorityId>, propagation_secs: u32) -> i64 {
    match slot.state {
        State::Prepared => slot.since.saturating_add(propagation_secs.into()),
        _ => 0,
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
