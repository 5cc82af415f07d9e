//! The trust domain's own root: its key on disk, its certificate in the store, what it issues.

use rcgen::KeyPair;
use tidelock_ca::{
    Authority as Signing, Csr, CsrError, Entry, EntryError, Serial, ServerName, Svid, Ttl, TtlError,
};
use tidelock_proto::{CONTROL_DNS_NAME, v1};
use tidelock_spiffe_core::{TrustDomainBuf, pem};

use crate::data_dir::{DataDir, DataDirError};
use crate::document::WorkloadIdentity;
use crate::name::Name;
use crate::store::{AuthorityRecord, Store, StoreError};

/// Name of the file in the data directory with the trust domain's authorities, for whoever wants to verify.
pub const BUNDLE_FILE: &str = "bundle.pem";

/// Life of the root: ten years.
const ROOT_TTL_SECS: i64 = 10 * 365 * 86_400;

/// Life of a node's SVID: a day. A node that is off for longer needs a new token.
const NODE_TTL_SECS: u64 = 86_400;

/// Life of the certificate that the control plane shows.
const SERVER_TTL_SECS: u64 = 86_400;

/// How often an agent should ask for the bundle where nothing is pushed to it: SPIFFE's default.
const REFRESH_HINT_SECS: u32 = 300;

/// The first bundle of a trust domain. It grows with each change of the authorities.
const BUNDLE_SEQUENCE: u64 = 1;

/// The trust domain's root.
#[derive(Debug)]
pub(crate) struct Authority {
    signing: Signing<KeyPair>,
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
    pub(crate) key_pkcs8: Vec<u8>,
    pub(crate) not_after: i64,
}

/// Why the authority cannot be taken up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// Its files.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no randomness.
    #[error("no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// The key file holds no key.
    #[error("the authority's key file `{file}` holds no private key: {source}")]
    Key {
        /// The file's name in the data directory.
        file: String,
        /// Why not.
        source: rcgen::Error,
    },
    /// The data directory belongs to another trust domain.
    #[error("the data directory belongs to the trust domain `{stored}`, not `{wanted}`")]
    TrustDomain {
        /// Whose it is.
        stored: String,
        /// Whose it was to be.
        wanted: String,
    },
    /// Key and certificate do not belong together, or cannot be made.
    #[error("the authority cannot be used: {0}")]
    Signing(#[from] tidelock_ca::AuthorityError<rcgen::Error>),
}

/// Why nothing is issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The request is refused.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// The entry is no entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The entry's lifetime is out of bounds.
    #[error(transparent)]
    Ttl(#[from] TtlError),
    /// The system has no randomness.
    #[error("no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// The authority did not sign.
    #[error(transparent)]
    Signing(#[from] tidelock_ca::IssueError<rcgen::Error>),
    /// No key could be made.
    #[error("no key can be made: {0}")]
    Key(rcgen::Error),
    /// The request for the control plane's own certificate.
    #[error("no request can be made: {0}")]
    Request(#[from] tidelock_ca::SignError<rcgen::Error>),
}

impl IssueError {
    /// Whether the request is to blame, and not the authority.
    pub(crate) fn is_callers_fault(&self) -> bool {
        matches!(
            self,
            Self::Csr(_) | Self::Signing(tidelock_ca::IssueError::AuthorityKey)
        )
    }
}

impl Authority {
    /// Takes up the authority that the store names, or sets one up in an empty store.
    ///
    /// The key is on disk before the store names it, so a crash in between leaves a file that nobody asks for.
    pub(crate) fn open(
        dir: &DataDir,
        store: &dyn Store,
        ours: &TrustDomainBuf,
        now: i64,
    ) -> Result<Self, AuthorityError> {
        let signing = match store.authority()? {
            Some(record) => reopen(dir, record, ours)?,
            None => set_up(dir, store, ours, now)?,
        };
        dir.write_public(
            BUNDLE_FILE,
            &pem::encode("CERTIFICATE", signing.certificate()),
        )?;
        Ok(Self { signing })
    }

    /// The certificates that vouch for this trust domain.
    pub(crate) fn certificates(&self) -> Vec<Vec<u8>> {
        vec![self.signing.certificate().to_vec()]
    }

    /// The bundle as nodes get it.
    pub(crate) fn bundle(&self) -> v1::Bundle {
        v1::Bundle {
            trust_domain: self.signing.trust_domain().as_str().to_owned(),
            x509_authorities: self.certificates(),
            sequence: BUNDLE_SEQUENCE,
            refresh_hint_secs: REFRESH_HINT_SECS,
        }
    }

    /// When the root expires, in seconds since the Unix epoch.
    pub(crate) fn not_after(&self) -> i64 {
        self.signing.not_after()
    }

    /// A node's SVID.
    pub(crate) fn issue_node(
        &self,
        csr: &[u8],
        node: &Name,
        now: i64,
    ) -> Result<Issued, IssueError> {
        let ttl = Ttl::from_secs(NODE_TTL_SECS)?;
        let entry = Entry::node(self.signing.trust_domain(), node.as_str(), ttl)?;
        self.issue(&entry, csr, now).map(Issued::from)
    }

    /// A workload's SVID.
    pub(crate) fn issue_workload(
        &self,
        csr: &[u8],
        identity: &WorkloadIdentity,
        now: i64,
    ) -> Result<Issued, IssueError> {
        let ttl = Ttl::from_secs(identity.svid_ttl_secs.into())?;
        let entry = Entry::workload(identity.spiffe_id.clone(), ttl)?;
        self.issue(&entry, csr, now).map(Issued::from)
    }

    /// The control plane's own certificate, with a fresh key.
    pub(crate) fn issue_server(&self, now: i64) -> Result<ServerIdentity, IssueError> {
        let key = KeyPair::generate().map_err(IssueError::Key)?;
        let csr = tidelock_ca::request(&key)?;
        let names = ServerName::parse(CONTROL_DNS_NAME).into_iter().collect();
        let entry = Entry::control(
            self.signing.trust_domain(),
            names,
            Ttl::from_secs(SERVER_TTL_SECS)?,
        )?;
        let svid = self.issue(&entry, &csr, now)?;
        Ok(ServerIdentity {
            chain: svid.chain,
            key_pkcs8: key.serialize_der(),
            not_after: svid.not_after,
        })
    }

    fn issue(&self, entry: &Entry, csr: &[u8], now: i64) -> Result<Svid, IssueError> {
        let csr = Csr::parse(csr)?;
        Ok(self.signing.issue(entry, &csr, now, random_serial()?)?)
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

fn reopen(
    dir: &DataDir,
    record: AuthorityRecord,
    ours: &TrustDomainBuf,
) -> Result<Signing<KeyPair>, AuthorityError> {
    let refused = |stored: &str| {
        let (stored, wanted) = (stored.to_owned(), ours.as_str().to_owned());
        Err(AuthorityError::TrustDomain { stored, wanted })
    };
    if record.trust_domain != ours.as_str() {
        return refused(&record.trust_domain);
    }
    let text = dir.read_secret(&record.key_file)?;
    let key = KeyPair::from_pem(&text).map_err(|source| AuthorityError::Key {
        file: record.key_file,
        source,
    })?;
    let signing = Signing::open(key, record.certificate)?;
    if signing.trust_domain() != ours.as_trust_domain() {
        return refused(signing.trust_domain().as_str());
    }
    Ok(signing)
}

fn set_up(
    dir: &DataDir,
    store: &dyn Store,
    ours: &TrustDomainBuf,
    now: i64,
) -> Result<Signing<KeyPair>, AuthorityError> {
    let serial = random_serial()?;
    let key_file = format!("authority-{serial}.key");
    let key = KeyPair::generate().map_err(|source| AuthorityError::Key {
        file: key_file.clone(),
        source,
    })?;
    dir.write_secret(&key_file, &key.serialize_pem())?;
    let signing = Signing::self_signed(key, ours, now, now.saturating_add(ROOT_TTL_SECS), serial)?;
    store.set_up(&AuthorityRecord {
        trust_domain: ours.as_str().to_owned(),
        certificate: signing.certificate().to_vec(),
        key_file,
    })?;
    tracing::info!(trust_domain = ours.as_str(), %serial, "a new root authority");
    Ok(signing)
}

fn random_serial() -> Result<Serial, getrandom::Error> {
    let mut bytes = [0; tidelock_ca::SERIAL_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(Serial::from_random(bytes))
}
