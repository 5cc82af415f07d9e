//! The trust domain's own authorities: their keys on disk, their lives in the store, what the active one issues.

mod draft;
mod error;
mod jwt;
mod keys;
mod kind;
mod lives;
mod restore;
mod ring;
mod timing;

pub(crate) use draft::{Draft, Moved};
pub use error::{AuthorityError, IssueError};
pub(crate) use jwt::IssuedJwt;
pub use keys::{KeyError, PASSPHRASE_FILE, Passphrase};
pub(crate) use kind::Kind;
pub(crate) use ring::{Ring, state};
pub use timing::AuthorityTiming;
pub(crate) use timing::{JWT_AUTHORITY_SECS, Timings, X509_AUTHORITY_SECS};

use std::sync::{Arc, PoisonError, RwLock};

use rcgen::KeyPair;
use serde_json::json;
use tidelock_ca::{
    Command, CrlEntry, CrlError, CrlTimes, Csr, Entry, Serial, ServerName, Svid, Ttl,
};
use tidelock_proto::{CONTROL_DNS_NAME, CONTROL_PATH, v1};
use tidelock_spiffe_core::bundle::BundleError;
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomainBuf, pem};
use zeroize::Zeroizing;

use crate::audit::{Actor, AuditEntry, hex};
use crate::data_dir::DataDir;
use crate::document::AuthorityLives;
use crate::name::Name;
use crate::store::Store;
use crate::traced;
use keys::KeyFiles;

/// Name of the file in the data directory with the trust domain's authorities, for whoever wants to verify.
pub const BUNDLE_FILE: &str = "bundle.pem";

/// Name of the file beside it with the same and the keys of JWT-SVIDs, as a JWK set (SPIFFE Trust Domain and Bundle §4).
pub const JWKS_FILE: &str = "bundle.json";

/// Life of a node's SVID: a day. A node that is off for longer needs a new token.
const NODE_TTL_SECS: u64 = 86_400;

/// Life of the certificate that the control plane shows.
const SERVER_TTL_SECS: u64 = 86_400;

/// How often relying parties should ask for the bundle where nothing is pushed to them: SPIFFE's default.
const REFRESH_HINT_SECS: u32 = 300;

/// The trust domain's authorities.
#[derive(Debug)]
pub(crate) struct Authority {
    dir: Arc<DataDir>,
    trust_domain: TrustDomainBuf,
    timings: Timings,
    keys: KeyFiles,
    ring: RwLock<Arc<Ring>>,
}

/// An X509-SVID.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Issued {
    /// Leaf first, without the root.
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) serial: Vec<u8>,
    pub(crate) not_after: i64,
}

/// The control plane's own certificate and its key.
pub(crate) struct ServerIdentity {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key_pkcs8: Zeroizing<Vec<u8>>,
    pub(crate) serial: Vec<u8>,
    pub(crate) not_after: i64,
}

impl ServerIdentity {
    /// What the audit log says of it.
    pub(crate) fn audit(&self) -> AuditEntry {
        let detail = json!({"serial": hex(&self.serial), "not_after": self.not_after});
        AuditEntry::now(&Actor::Control, "svid-issued", CONTROL_PATH, &detail)
    }
}

impl Authority {
    /// Takes up the authorities that the store names, or sets up the first one in an empty store.
    ///
    /// A key is on disk before the store names it, so a crash in between leaves a file that nobody asks for.
    pub(crate) fn open(
        dir: &Arc<DataDir>,
        (passphrase, timings): (&Passphrase, Timings),
        store: &dyn Store,
        ours: &TrustDomainBuf,
        now: i64,
    ) -> Result<Self, AuthorityError> {
        let authority = Self {
            dir: Arc::clone(dir),
            trust_domain: ours.clone(),
            timings,
            keys: KeyFiles::open(Arc::clone(dir), passphrase)?,
            ring: RwLock::new(Arc::new(Ring::new(timings)?)),
        };
        match store.authorities()? {
            Some(stored) => authority.restore(stored)?,
            None => authority.set_up(store, now)?,
        }
        authority.publish()?;
        Ok(authority)
    }

    /// The authorities as they are now.
    pub(crate) fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The bundle as nodes get it.
    pub(crate) fn bundle(&self, ring: &Ring) -> v1::Bundle {
        ring.bundle(self.trust_domain.as_str())
    }

    /// The bundle as relying parties get it: a JWK set.
    pub(crate) fn jwks(&self, ring: &Ring) -> Result<String, BundleError> {
        ring.published(&self.trust_domain)?.to_jwks()
    }

    /// Those that sign X509-SVIDs as operators see them, oldest first.
    pub(crate) fn views(&self) -> Vec<v1::X509Authority> {
        self.ring().x509_views(self.timings.x509.propagation_secs)
    }

    /// Those that sign JWT-SVIDs as operators see them, oldest first.
    pub(crate) fn jwt_views(&self) -> Vec<v1::JwtAuthority> {
        self.ring().jwt_views(self.timings.jwt.propagation_secs)
    }

    /// How long an authority of a kind lasts that is made now, in seconds.
    pub(crate) fn life_secs(&self, kind: Kind, said: AuthorityLives) -> u32 {
        let said = match kind {
            Kind::X509 => said.x509_secs,
            Kind::Jwt => said.jwt_secs,
        };
        said.unwrap_or(self.timings.of(kind).life_secs)
    }

    /// When the active authority of a kind ends, in seconds since the Unix epoch; 0 if there is none.
    pub(crate) fn not_after(&self, kind: Kind) -> i64 {
        let ring = self.ring();
        let end = match kind {
            Kind::X509 => ring.x509.signing().map(|(_, signing)| signing.not_after()),
            Kind::Jwt => ring.jwt.signing().map(|(_, signing)| signing.not_after()),
        };
        end.unwrap_or(0)
    }

    /// When time brings the next change, in seconds since the Unix epoch.
    pub(crate) fn next_change(&self) -> Option<i64> {
        let ring = self.ring();
        let next = |kind| ring.engine(kind).next_deadline();
        Kind::ALL.into_iter().filter_map(next).min()
    }

    /// Writes the bundle where relying parties of this machine find it.
    pub(crate) fn publish(&self) -> Result<(), AuthorityError> {
        let ring = self.ring();
        let certificates = ring.certificates();
        let blocks = certificates
            .iter()
            .map(|der| pem::encode("CERTIFICATE", der));
        let text: String = blocks.collect();
        self.dir.write_public(BUNDLE_FILE, &text)?;
        Ok(self.dir.write_public(JWKS_FILE, &self.jwks(&ring)?)?)
    }

    /// A node's SVID.
    pub(crate) fn issue_node(
        &self,
        csr: &[u8],
        node: &Name,
        now: i64,
    ) -> Result<Issued, IssueError> {
        let ttl = Ttl::from_secs(NODE_TTL_SECS)?;
        let entry = Entry::node(self.trust_domain.as_trust_domain(), node.as_str(), ttl)?;
        self.issue(&entry, csr, now).map(Issued::from)
    }

    /// An operator's SVID.
    pub(crate) fn issue_operator(
        &self,
        csr: &[u8],
        operator: &Name,
        ttl_secs: u32,
        now: i64,
    ) -> Result<Issued, IssueError> {
        let ttl = Ttl::from_secs(ttl_secs.into())?;
        let domain = self.trust_domain.as_trust_domain();
        let entry = Entry::operator(domain, operator.as_str(), ttl)?;
        self.issue(&entry, csr, now).map(Issued::from)
    }

    /// A workload's SVID.
    pub(crate) fn issue_workload(
        &self,
        csr: &[u8],
        spiffe_id: SpiffeIdBuf,
        ttl_secs: u32,
        now: i64,
    ) -> Result<Issued, IssueError> {
        let ttl = Ttl::from_secs(ttl_secs.into())?;
        let entry = Entry::workload(spiffe_id, ttl)?;
        self.issue(&entry, csr, now).map(Issued::from)
    }

    /// The control plane's own certificate, with a fresh key.
    pub(crate) fn issue_server(&self, now: i64) -> Result<ServerIdentity, IssueError> {
        let key = KeyPair::generate().map_err(IssueError::Key)?;
        let csr = tidelock_ca::request(&key)?;
        let names = ServerName::parse(CONTROL_DNS_NAME).into_iter().collect();
        let ttl = Ttl::from_secs(SERVER_TTL_SECS)?;
        let entry = Entry::control(self.trust_domain.as_trust_domain(), names, ttl)?;
        let issued = Issued::from(self.issue(&entry, &csr, now)?);
        Ok(ServerIdentity {
            chain: issued.chain,
            key_pkcs8: Zeroizing::new(key.serialize_der()),
            serial: issued.serial,
            not_after: issued.not_after,
        })
    }

    fn issue(&self, entry: &Entry, csr: &[u8], now: i64) -> Result<Svid, IssueError> {
        let _span = traced::issuing(entry).entered();
        let csr = Csr::parse(csr)?;
        let ring = self.ring();
        let (_, signing) = ring.x509.signing().ok_or(IssueError::NoAuthority)?;
        Ok(signing.issue(entry, &csr, now, random_serial()?)?)
    }

    /// A list of SVIDs that are revoked, signed by an authority that may have signed them; `None` if it has no key.
    pub(crate) fn crl(
        &self,
        id: &str,
        entries: &[CrlEntry],
        times: CrlTimes,
    ) -> Option<Result<Vec<u8>, CrlError<rcgen::Error>>> {
        let ring = self.ring();
        let signing = ring.x509.members.get(id)?.signing.as_ref()?;
        Some(signing.crl(entries, times))
    }

    fn put_in_force(&self, ring: Ring) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    fn set_up(&self, store: &dyn Store, now: i64) -> Result<(), AuthorityError> {
        let mut draft = Draft::new(self, now, 0, AuthorityLives::default());
        for kind in Kind::ALL {
            let id = draft.prepare(kind)?;
            tracing::info!(
                trust_domain = self.trust_domain.as_str(),
                id,
                kind = kind.as_str(),
                "a first authority"
            );
            draft.handle(kind, Command::Activate { id })?;
        }
        crash_point!(SetUpDrafted);
        store.set_up(&draft.stored(), &draft.audit(&Actor::Control))?;
        crash_point!(SetUpStored);
        draft.put_in_force();
        Ok(())
    }
}

impl From<Svid> for Issued {
    fn from(svid: Svid) -> Self {
        Self {
            chain: svid.chain,
            serial: svid.serial.as_bytes().to_vec(),
            not_after: svid.not_after,
        }
    }
}

fn random_serial() -> Result<Serial, getrandom::Error> {
    let mut bytes = [0; tidelock_ca::SERIAL_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(Serial::from_random(bytes))
}

#[cfg(test)]
mod tests;
