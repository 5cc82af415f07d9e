//! The trust domain's own authorities: their keys on disk, their lives in the store, what the active one issues.

mod draft;
mod error;
mod keys;
mod ring;

pub(crate) use draft::{Draft, Moved};
pub use error::{AuthorityError, IssueError};
pub use keys::{KeyError, PASSPHRASE_FILE, Passphrase};
pub(crate) use ring::{Ring, state};

use std::sync::{Arc, PoisonError, RwLock};

use rcgen::KeyPair;
use serde_json::json;
use tidelock_ca::{
    Authority as Signing, Command, CrlEntry, CrlError, CrlTimes, Csr, Entry, MAX_SVID_TTL_SECS,
    Serial, ServerName, State, Svid, Timing, TimingError, Ttl,
};
use tidelock_proto::{CONTROL_DNS_NAME, CONTROL_PATH, v1};
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomainBuf, pem};
use zeroize::Zeroizing;

use crate::audit::{Actor, AuditEntry, hex};
use crate::data_dir::{DataDir, DataDirError};
use crate::name::Name;
use crate::store::{Authorities, AuthorityRecord, Store};
use crate::traced;
use keys::KeyFiles;
use ring::Member;

/// Name of the file in the data directory with the trust domain's authorities, for whoever wants to verify.
pub const BUNDLE_FILE: &str = "bundle.pem";

/// Life of a node's SVID: a day. A node that is off for longer needs a new token.
const NODE_TTL_SECS: u64 = 86_400;

/// Life of the certificate that the control plane shows.
const SERVER_TTL_SECS: u64 = 86_400;

/// How often relying parties should ask for the bundle where nothing is pushed to them: SPIFFE's default.
const REFRESH_HINT_SECS: u32 = 300;

/// The times of an authority's life, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AuthorityTiming {
    /// How long an authority lasts: ten years.
    pub life_secs: u32,
    /// How long a bundle takes to reach every relying party, those that ask for it now and then included: as long as they
    /// are told to wait in between.
    pub propagation_secs: u32,
    /// Longest life of what it signs: as long as documents may ask for.
    pub svid_secs: u32,
    /// How long before its end the next is prepared.
    pub prepare_before_secs: u32,
}

impl Default for AuthorityTiming {
    fn default() -> Self {
        Self {
            life_secs: 10 * 365 * 86_400,
            propagation_secs: REFRESH_HINT_SECS,
            svid_secs: MAX_SVID_TTL_SECS,
            prepare_before_secs: 2 * MAX_SVID_TTL_SECS,
        }
    }
}

impl AuthorityTiming {
    fn engine(self) -> Result<Timing, TimingError> {
        Timing::new(
            self.propagation_secs,
            self.svid_secs,
            self.prepare_before_secs,
        )
    }
}

/// The trust domain's authorities.
#[derive(Debug)]
pub(crate) struct Authority {
    dir: Arc<DataDir>,
    trust_domain: TrustDomainBuf,
    timing: AuthorityTiming,
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
        (passphrase, timing): (&Passphrase, AuthorityTiming),
        store: &dyn Store,
        ours: &TrustDomainBuf,
        now: i64,
    ) -> Result<Self, AuthorityError> {
        let authority = Self {
            dir: Arc::clone(dir),
            trust_domain: ours.clone(),
            timing,
            keys: KeyFiles::open(Arc::clone(dir), passphrase)?,
            ring: RwLock::new(Arc::new(Ring::new(timing.engine()?))),
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
    pub(crate) fn bundle(&self) -> v1::Bundle {
        self.ring().bundle(self.trust_domain.as_str())
    }

    /// As operators see them, oldest first.
    pub(crate) fn views(&self) -> Vec<v1::X509Authority> {
        self.ring().views(self.timing.propagation_secs)
    }

    /// When the active authority ends, in seconds since the Unix epoch; 0 if there is none.
    pub(crate) fn not_after(&self) -> i64 {
        self.ring().signing().map_or(0, Signing::not_after)
    }

    /// When time brings the next change, in seconds since the Unix epoch.
    pub(crate) fn next_change(&self) -> Option<i64> {
        self.ring().engine.next_deadline()
    }

    /// Writes the bundle where relying parties of this machine find it.
    pub(crate) fn publish(&self) -> Result<(), DataDirError> {
        let certificates = self.ring().certificates();
        let blocks = certificates
            .iter()
            .map(|der| pem::encode("CERTIFICATE", der));
        let text: String = blocks.collect();
        self.dir.write_public(BUNDLE_FILE, &text)
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
        let signing = ring.signing().ok_or(IssueError::NoAuthority)?;
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
        let signing = ring.members.get(id)?.signing.as_ref()?;
        Some(signing.crl(entries, times))
    }

    fn put_in_force(&self, ring: Ring) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    fn set_up(&self, store: &dyn Store, now: i64) -> Result<(), AuthorityError> {
        let mut draft = Draft::new(self, now, 0);
        let id = draft.prepare()?;
        draft.handle(Command::Activate { id: id.clone() })?;
        crash_point!(SetUpDrafted);
        store.set_up(&draft.stored(), &draft.audit(&Actor::Control))?;
        crash_point!(SetUpStored);
        draft.put_in_force();
        tracing::info!(
            trust_domain = self.trust_domain.as_str(),
            id,
            "a new root authority"
        );
        Ok(())
    }

    fn restore(&self, stored: Authorities) -> Result<(), AuthorityError> {
        self.check_trust_domain(&stored.trust_domain)?;
        let mut members = Vec::with_capacity(stored.x509.len());
        let mut all_sealed = true;
        for record in stored.x509 {
            let (id, mut member) = Member::read(&record)?;
            match record.state {
                State::Prepared | State::Active => member.signing = Some(self.signing(&record)?),
                State::Retired | State::Tainted => {
                    member.signing = self.signing_no_svids(&record);
                    all_sealed &= member.signing.is_some();
                }
                State::Revoked => self.destroy_left(&record),
            }
            members.push((id, member, record));
        }
        if all_sealed {
            self.keys.forget_own()?;
        }
        let ring = Ring::restore(self.timing.engine()?, members, stored.sequence)?;
        self.put_in_force(ring);
        Ok(())
    }

    /// An authority's key, which has to be its certificate's. One that lies there plain, or encrypted with what is not used
    /// any more, is encrypted anew.
    fn signing(&self, record: &AuthorityRecord) -> Result<Signing<KeyPair>, AuthorityError> {
        let file = &record.key_file;
        let read = self.keys.read(file)?;
        let der = read.stale.then(|| Zeroizing::new(read.key.serialize_der()));
        let signing = Signing::open(read.key, record.certificate.clone())?;
        self.check_trust_domain(signing.trust_domain().as_str())?;
        if let Some(der) = der {
            self.keys.write_der(file, &der)?;
            tracing::info!(file, "the authority's key was encrypted anew");
        }
        Ok(signing)
    }

    /// The key of an authority that signs no SVIDs any more, only lists of those that are revoked. Nothing else depends on it.
    fn signing_no_svids(&self, record: &AuthorityRecord) -> Option<Signing<KeyPair>> {
        self.signing(record)
            .inspect_err(|error| tracing::warn!(%error, "the key of a retired authority"))
            .ok()
    }

    /// Destroys the key of an authority that is revoked, if a crash left it. Nothing depends on it.
    fn destroy_left(&self, record: &AuthorityRecord) {
        if self.dir.has(&record.key_file) {
            match self.keys.destroy(&record.key_file) {
                Ok(()) => {
                    tracing::info!(file = record.key_file, "a revoked authority's key is gone")
                }
                Err(error) => tracing::error!(%error, "a revoked authority's key is still there"),
            }
        }
    }

    fn check_trust_domain(&self, stored: &str) -> Result<(), AuthorityError> {
        if stored == self.trust_domain.as_str() {
            return Ok(());
        }
        let (stored, wanted) = (stored.to_owned(), self.trust_domain.as_str().to_owned());
        Err(AuthorityError::TrustDomain { stored, wanted })
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
