//! A trust domain's authorities inside a program of one's own: who may have which SVID, and the SVID.
//!
//! [`Issuer`] is the part to copy. Its keys are in memory and end with it; `tidelock_ca::sealed` writes keys to disk, and
//! `tidelock_ca::Lifecycle` says when authorities come and go.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use tidelock_ca::{Authority, Csr, Entry, JwtAuthority, JwtSvid, Serial, Svid, Ttl, request};
use tidelock_spiffe_core::{Bundle, SpiffeIdBuf, TrustDomainBuf, pem};

use crate::verify_svid::{Peer, SvidVerifier};

/// Any error: what a program would print.
pub type Failure = Box<dyn Error + Send + Sync>;

/// How long the authorities last, in seconds. A real one is rotated before.
const AUTHORITY_SECS: i64 = 7 * 86_400;

/// How long X509-SVIDs last, in seconds.
const X509_SVID_SECS: u64 = 3_600;

/// How long JWT-SVIDs last, in seconds: who has the token is its owner.
const JWT_SVID_SECS: u64 = 300;

/// The authorities of one trust domain.
#[derive(Debug)]
pub struct Issuer {
    x509: Authority<KeyPair>,
    jwt: JwtAuthority<KeyPair>,
}

impl Issuer {
    /// Makes authorities with new keys, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// No randomness, or a time that no certificate can name.
    pub fn new(trust_domain: &TrustDomainBuf, now: i64) -> Result<Self, Failure> {
        let end = now.saturating_add(AUTHORITY_SECS);
        let x509 = Authority::self_signed(KeyPair::generate()?, trust_domain, now, end, serial()?)?;
        let key_id = serial()?.to_string();
        let jwt = JwtAuthority::new(KeyPair::generate()?, &key_id, trust_domain, end)?;
        Ok(Self { x509, jwt })
    }

    /// What relying parties have to know: publish it as PEM or as a JWK set.
    ///
    /// # Errors
    /// None of authorities that exist.
    pub fn bundle(&self) -> Result<Bundle, Failure> {
        let mut bundle = self.x509.bundle()?;
        bundle.push_jwt(self.jwt.published().clone())?;
        Ok(bundle)
    }

    /// Issues what `entry` says to whoever has the key of `csr`, a PKCS#10 request in DER. What else the request asks for is not
    /// looked at.
    ///
    /// # Errors
    /// The request is malformed or not signed with its own key; the entry is of another trust domain; what was signed is not what
    /// was to be signed.
    pub fn x509_svid(&self, entry: &Entry, csr: &[u8], now: i64) -> Result<Svid, Failure> {
        Ok(self.x509.issue(entry, &Csr::parse(csr)?, now, serial()?)?)
    }

    /// Issues a token for `entry`, to be shown to `audience`.
    ///
    /// # Errors
    /// The entry is of another trust domain; no audience.
    pub fn jwt_svid(&self, entry: &Entry, audience: &str, now: i64) -> Result<JwtSvid, Failure> {
        let ttl = Ttl::from_secs(JWT_SVID_SECS)?;
        Ok(self.jwt.issue(entry, &[audience], ttl, now, serial()?)?)
    }
}

/// What a workload may have: this ID, for an hour.
///
/// # Errors
/// The ID has no path, or is one that Tidelock keeps for itself.
pub fn entry(id: &str) -> Result<Entry, Failure> {
    let ttl = Ttl::from_secs(X509_SVID_SECS)?;
    Ok(Entry::workload(SpiffeIdBuf::parse(id)?, ttl)?)
}

fn serial() -> Result<Serial, getrandom::Error> {
    let mut random = [0; tidelock_ca::SERIAL_BYTES];
    getrandom::fill(&mut random)?;
    Ok(Serial::from_random(random))
}

/// What the program is asked.
pub const USAGE: &str = "usage: issue SPIFFE-ID AUDIENCE FOLDER";

/// The program: makes a trust domain, issues an X509-SVID and a JWT-SVID for `id`, reads them again as a stranger would, and
/// leaves `bundle.pem`, `bundle.json`, `svid.pem`, `svid.key` and `token` in `folder`.
///
/// # Errors
/// Nothing was issued, or a file cannot be written.
pub fn run(id: &str, audience: &str, folder: &Path, now: i64) -> Result<SpiffeIdBuf, Failure> {
    let entry = entry(id)?;
    let issuer = Issuer::new(&entry.id().trust_domain().to_buf(), now)?;

    // The workload makes its key and shows that it has it. The issuer never sees the key.
    let key = KeyPair::generate()?;
    let svid = issuer.x509_svid(&entry, &request(&key)?, now)?;
    let token = issuer.jwt_svid(&entry, audience, now)?.token;

    let bundle = issuer.bundle()?;
    let chain: Vec<_> = svid
        .chain
        .iter()
        .map(|der| CertificateDer::from(&**der))
        .collect();
    let verifier = SvidVerifier::new(bundle.clone().into());
    let read = verifier.x509(&chain, Peer::Client, now)?;
    verifier.jwt(&token, &[audience], now)?;

    let chain_pem: String = chain
        .iter()
        .map(|der| pem::encode("CERTIFICATE", der))
        .collect();
    fs::create_dir_all(folder)?;
    fs::write(folder.join("bundle.pem"), bundle.to_pem())?;
    fs::write(folder.join("bundle.json"), bundle.to_jwks()?)?;
    fs::write(folder.join("svid.pem"), chain_pem)?;
    write_secret(&folder.join("svid.key"), &key.serialize_pem())?;
    write_secret(&folder.join("token"), &token)?;
    Ok(read)
}

/// Nobody else may read it, from its first byte on.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
