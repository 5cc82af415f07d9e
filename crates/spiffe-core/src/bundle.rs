//! The trust bundle of one domain: what its SVIDs are verified against; and sets of them.

#[cfg(feature = "jwt")]
mod jwks;
#[cfg(feature = "jwt")]
mod jwt;
mod set;

#[cfg(feature = "jwt")]
pub use jwks::{MAX_JWKS_BYTES, MAX_JWKS_ENTRIES};
#[cfg(feature = "jwt")]
pub use jwt::{JwtAuthority, MAX_KEY_ID_BYTES};
pub use set::{BundleSet, MAX_BUNDLES, Refreshed, TooManyBundles};

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::pem::{self, PemError};
use crate::x509::{SigningCert, SigningCertError};
use crate::{TrustDomain, TrustDomainBuf};

/// Most authorities of each kind in a bundle, X.509 and JWT. Ours: a domain has two while it rotates, and a kernel that
/// tries each of them for each handshake must stay quick.
pub const MAX_AUTHORITIES: usize = 64;

/// PEM label of an authority.
const CERTIFICATE: &str = "CERTIFICATE";

/// The authorities of one trust domain. An empty one means that no SVID of it is valid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bundle {
    trust_domain: TrustDomainBuf,
    x509_authorities: Vec<Vec<u8>>,
    #[cfg(feature = "jwt")]
    jwt_authorities: Vec<JwtAuthority>,
    /// `spiffe_sequence`: grows with each change (SPIFFE Trust Domain and Bundle §4.1.1).
    pub sequence: Option<u64>,
    /// `spiffe_refresh_hint`, in seconds (SPIFFE Trust Domain and Bundle §4.1.2).
    pub refresh_hint_secs: Option<u64>,
}

/// Why a bundle was refused. `index` counts authorities from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BundleError {
    /// The text is not PEM.
    Pem(PemError),
    /// An authority is not a signing certificate.
    Authority {
        /// Which one.
        index: usize,
        /// Why not.
        error: SigningCertError,
    },
    /// An authority carries the ID of another trust domain.
    OtherTrustDomain {
        /// Which one.
        index: usize,
    },
    /// More authorities of one kind than [`MAX_AUTHORITIES`].
    TooMany,
    /// A JWK set longer than [`MAX_JWKS_BYTES`].
    #[cfg(feature = "jwt")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A JWK set that is not JSON.
    #[cfg(feature = "jwt")]
    Json(crate::json::JsonError),
    /// A member of the JWK set that is wrong; `keys` too if all of it is no object.
    #[cfg(feature = "jwt")]
    Set(crate::jwk::JwkError),
    /// An entry of the JWK set that is wrong.
    #[cfg(feature = "jwt")]
    Entry {
        /// Which one, counted from 0.
        index: usize,
        /// Why.
        error: crate::jwk::JwkError,
    },
    /// More entries in a JWK set than [`MAX_JWKS_ENTRIES`].
    #[cfg(feature = "jwt")]
    TooManyEntries {
        /// How many there are.
        count: usize,
    },
    /// Two JWT authorities with the same key ID and different keys.
    #[cfg(feature = "jwt")]
    KeyIdTaken {
        /// Which one is the second.
        index: usize,
    },
    /// An X.509 authority whose key no JWK can hold, so that the bundle cannot be published.
    #[cfg(feature = "jwt")]
    Key {
        /// Which one.
        index: usize,
        /// Why not.
        error: crate::jwk::PublicKeyError,
    },
}

impl Bundle {
    /// Starts an empty bundle.
    pub fn new(trust_domain: TrustDomainBuf) -> Self {
        Self {
            trust_domain,
            x509_authorities: Vec::new(),
            #[cfg(feature = "jwt")]
            jwt_authorities: Vec::new(),
            sequence: None,
            refresh_hint_secs: None,
        }
    }

    /// Reads the `CERTIFICATE` blocks of a PEM file.
    ///
    /// # Errors
    /// The first malformed line, or the first authority that [`Bundle::push`] refuses.
    pub fn from_pem(trust_domain: TrustDomainBuf, text: &str) -> Result<Self, BundleError> {
        let mut bundle = Self::new(trust_domain);
        for der in pem::decode(CERTIFICATE, text).map_err(BundleError::Pem)? {
            bundle.push(der)?;
        }
        Ok(bundle)
    }

    /// Adds an authority, in DER; one that is already there is not added again.
    ///
    /// # Errors
    /// A certificate that is no signing certificate, or one that is named for another domain
    /// (X509-SVID §3.2 only asks that it should not be; domains are never merged here).
    pub fn push(&mut self, der: Vec<u8>) -> Result<(), BundleError> {
        let index = self.x509_authorities.len();
        let authority =
            SigningCert::parse(&der).map_err(|error| BundleError::Authority { index, error })?;
        if authority
            .id
            .is_some_and(|id| id.trust_domain() != self.trust_domain())
        {
            return Err(BundleError::OtherTrustDomain { index });
        }
        if self.x509_authorities.contains(&der) {
            return Ok(());
        }
        if index >= MAX_AUTHORITIES {
            return Err(BundleError::TooMany);
        }
        self.x509_authorities.push(der);
        Ok(())
    }

    /// True if there is no authority of any kind: no SVID of the trust domain is valid.
    pub fn is_empty(&self) -> bool {
        #[cfg(feature = "jwt")]
        if !self.jwt_authorities.is_empty() {
            return false;
        }
        self.x509_authorities.is_empty()
    }

    /// Whose authorities these are.
    pub fn trust_domain(&self) -> TrustDomain<'_> {
        self.trust_domain.as_trust_domain()
    }

    /// The X.509 authorities, in DER.
    pub fn x509_authorities(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.x509_authorities.iter().map(Vec::as_slice)
    }

    /// Writes the authorities as PEM, one `CERTIFICATE` block each.
    pub fn to_pem(&self) -> String {
        self.x509_authorities()
            .map(|der| pem::encode(CERTIFICATE, der))
            .collect()
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(error) => write!(f, "bundle: {error}"),
            Self::Authority { index, error } => write!(f, "bundle authority {index}: {error}"),
            Self::OtherTrustDomain { index } => {
                write!(f, "bundle authority {index} is of another trust domain")
            }
            Self::TooMany => {
                write!(
                    f,
                    "bundle has more than {MAX_AUTHORITIES} authorities of one kind"
                )
            }
            #[cfg(feature = "jwt")]
            Self::TooLong { len } => {
                write!(f, "JWK set has {len} bytes, more than {MAX_JWKS_BYTES}")
            }
            #[cfg(feature = "jwt")]
            Self::Json(error) => write!(f, "JWK set: {error}"),
            #[cfg(feature = "jwt")]
            Self::Set(error) => write!(f, "JWK set: {error}"),
            #[cfg(feature = "jwt")]
            Self::Entry { index, error } => write!(f, "JWK set entry {index}: {error}"),
            #[cfg(feature = "jwt")]
            Self::TooManyEntries { count } => {
                write!(
                    f,
                    "JWK set has {count} entries, more than {MAX_JWKS_ENTRIES}"
                )
            }
            #[cfg(feature = "jwt")]
            Self::KeyIdTaken { index } => {
                write!(f, "JWT authority {index} has the key ID of another")
            }
            #[cfg(feature = "jwt")]
            Self::Key { index, error } => write!(f, "bundle authority {index}: {error}"),
        }
    }
}

impl core::error::Error for BundleError {}
