//! An identity: a key that is born here and never leaves, and the X509-SVID that names it.

mod csr;
mod der;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use p256::SecretKey;
use p256::ecdsa::SigningKey;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use tidelock_spiffe_core::x509::{Leaf, LeafError, SigningCert};
use tidelock_spiffe_core::{SpiffeId, SpiffeIdBuf};
use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyUnavailable};
use crate::provider::sign::TranscriptKey;
use crate::record::{MAX_CHAIN_BYTES, MAX_CHAIN_CERTS};
use crate::trust::{AuthorityDigest, authority_digest};

/// Draws of 32 bytes that may fall outside the P-256 scalar range before the source is called
/// broken. One draw does with a chance of 2^-32.
const MAX_SCALAR_DRAWS: usize = 8;

/// A key pair, the SPIFFE ID it is for, and, once installed, the certificate chain that says so.
///
/// The key cannot be read, printed or copied out. It is wiped when the last handshake that uses it
/// ends.
pub struct Identity {
    spiffe_id: SpiffeIdBuf,
    key: Arc<SigningKey>,
    svid: Option<Svid>,
}

/// An installed X509-SVID.
#[derive(Clone, Debug)]
pub struct Svid {
    certified: Arc<CertifiedKey>,
    serial: Box<[u8]>,
    not_before: i64,
    not_after: i64,
    authority: AuthorityDigest,
}

impl Identity {
    /// Makes a key pair for `spiffe_id`.
    ///
    /// # Errors
    /// [`EntropyUnavailable`] if the source cannot serve.
    pub fn generate<E: Entropy>(spiffe_id: SpiffeId<'_>) -> Result<Self, EntropyUnavailable> {
        let secret = p256_secret::<E>()?;
        Ok(Self {
            spiffe_id: spiffe_id.to_buf(),
            key: Arc::new(SigningKey::from(secret)),
            svid: None,
        })
    }

    /// A certificate request (PKCS#10 DER): empty subject, the SPIFFE ID as its one URI SAN, signed
    /// by the key. The longest takes under 2,400 bytes.
    ///
    /// # Errors
    /// [`SigningFailed`] if the key cannot sign, which no P-256 key does.
    pub fn csr(&self) -> Result<Vec<u8>, SigningFailed> {
        csr::certificate_request(&self.key, self.spiffe_id.as_str()).ok_or(SigningFailed)
    }

    /// Gives the key its certificate chain, leaf first. A chain installed before is replaced;
    /// handshakes under way keep theirs.
    ///
    /// # Errors
    /// [`InstallError`] names the first rule broken; nothing has changed then.
    pub fn install<'c>(
        &mut self,
        chain: impl IntoIterator<Item = &'c [u8]>,
    ) -> Result<&Svid, InstallError> {
        let chain = self.check_bounds(chain)?;
        let leaf =
            Leaf::parse(chain.first().ok_or(InstallError::Empty)?).map_err(InstallError::Leaf)?;
        if leaf.id != self.spiffe_id.as_id() {
            return Err(InstallError::OtherId {
                found: leaf.id.to_buf(),
            });
        }
        if leaf.spki != csr::public_key_info(&self.key) {
            return Err(InstallError::OtherKey);
        }
        let (serial, not_before, not_after) = (leaf.serial.into(), leaf.not_before, leaf.not_after);
        // What issued the last one of the chain.
        let last = chain.iter().skip(1).last();
        let last = last.and_then(|der| SigningCert::parse(der).ok());
        let authority = authority_digest(last.map_or(leaf.issuer, |last| last.issuer));
        let certified = Arc::new(CertifiedKey::new(
            chain,
            Arc::new(TranscriptKey(Arc::clone(&self.key))),
        ));
        Ok(self.svid.insert(Svid {
            certified,
            serial,
            not_before,
            not_after,
            authority,
        }))
    }

    /// The SPIFFE ID this identity is for.
    #[must_use]
    pub fn spiffe_id(&self) -> SpiffeId<'_> {
        self.spiffe_id.as_id()
    }

    /// The installed SVID, if there is one.
    #[must_use]
    pub fn svid(&self) -> Option<&Svid> {
        self.svid.as_ref()
    }

    /// Copies a chain that is within the bounds we hold our peers to.
    fn check_bounds<'c>(
        &self,
        chain: impl IntoIterator<Item = &'c [u8]>,
    ) -> Result<Vec<CertificateDer<'static>>, InstallError> {
        let mut out = Vec::with_capacity(MAX_CHAIN_CERTS);
        let mut len = 0usize;
        for cert in chain {
            if out.len() >= MAX_CHAIN_CERTS {
                return Err(InstallError::TooManyCertificates);
            }
            len = len.saturating_add(cert.len());
            if len > MAX_CHAIN_BYTES {
                return Err(InstallError::ChainTooLong { len });
            }
            out.push(CertificateDer::from(cert.to_vec()));
        }
        Ok(out)
    }
}

impl core::fmt::Debug for Identity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Identity")
            .field("spiffe_id", &self.spiffe_id)
            .finish_non_exhaustive()
    }
}

impl Svid {
    /// The leaf's serial number, big endian, as its certificate has it.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Which authority its chain leads to.
    #[must_use]
    pub fn authority(&self) -> &AuthorityDigest {
        &self.authority
    }

    /// When the leaf begins to be valid, in seconds since 1970.
    #[must_use]
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// The last second in which the leaf is valid, since 1970.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// The chain, leaf first, in DER.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.certified.cert.iter().map(AsRef::as_ref)
    }

    /// Chain and key as rustls takes them.
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

/// A P-256 secret, uniform by rejection (FIPS 186-5 §A.2.2).
pub(crate) fn p256_secret<E: Entropy>() -> Result<SecretKey, EntropyUnavailable> {
    for _ in 0..MAX_SCALAR_DRAWS {
        let mut bytes = Zeroizing::new([0; 32]);
        E::fill(bytes.as_mut_slice())?;
        if let Ok(secret) = SecretKey::from_slice(bytes.as_slice()) {
            return Ok(secret);
        }
    }
    Err(EntropyUnavailable)
}

/// The key could not sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SigningFailed;

impl core::fmt::Display for SigningFailed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the key could not sign")
    }
}

impl core::error::Error for SigningFailed {}

/// Why a certificate chain was refused for an identity.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InstallError {
    /// No certificate.
    Empty,
    /// More than [`MAX_CHAIN_CERTS`].
    TooManyCertificates,
    /// The certificates together are longer than [`MAX_CHAIN_BYTES`].
    ChainTooLong {
        /// Bytes up to and including the certificate that went too far.
        len: usize,
    },
    /// The leaf breaks a rule of X509-SVIDs.
    Leaf(LeafError),
    /// The leaf names another SPIFFE ID.
    OtherId {
        /// The ID it names.
        found: SpiffeIdBuf,
    },
    /// The leaf certifies another key.
    OtherKey,
}

impl core::fmt::Display for InstallError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Empty => f.write_str("the chain is empty"),
            Self::TooManyCertificates => write!(f, "more than {MAX_CHAIN_CERTS} certificates"),
            Self::ChainTooLong { len } => {
                write!(f, "chain of {len} bytes, at most {MAX_CHAIN_BYTES} allowed")
            }
            Self::Leaf(why) => write!(f, "{why}"),
            Self::OtherId { found } => write!(f, "the leaf names `{}`", found.as_str()),
            Self::OtherKey => f.write_str("the leaf certifies another key"),
        }
    }
}

impl core::error::Error for InstallError {}
