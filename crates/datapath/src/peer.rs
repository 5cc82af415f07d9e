//! Who the other end is, and why it may not be believed.

use alloc::boxed::Box;

use tidelock_spiffe_core::x509::LeafError;
use tidelock_spiffe_core::{SpiffeId, SpiffeIdBuf};

use crate::AuthorityDigest;
use crate::record::{MAX_CHAIN_BYTES, MAX_CHAIN_CERTS};

/// A peer that has proved its SPIFFE ID: its chain leads to its trust domain's authorities and it
/// holds the key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    pub(crate) id: SpiffeIdBuf,
    pub(crate) serial: Box<[u8]>,
    pub(crate) not_after: i64,
    pub(crate) certificate_sha256: [u8; 32],
    pub(crate) authority: AuthorityDigest,
}

impl Peer {
    /// The SPIFFE ID proved.
    #[must_use]
    pub fn id(&self) -> SpiffeId<'_> {
        self.id.as_id()
    }

    /// The serial number of its SVID, big endian, as the certificate has it.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The last second in which its SVID is valid, since 1970.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Which authority its chain leads to: [`TrustStore::vouches`](crate::TrustStore::vouches) says later whether it still counts.
    #[must_use]
    pub fn authority(&self) -> &AuthorityDigest {
        &self.authority
    }

    /// SHA-256 of its SVID's leaf certificate, in DER.
    #[must_use]
    pub fn certificate_sha256(&self) -> &[u8; 32] {
        &self.certificate_sha256
    }
}

/// Why a peer's certificates or signature were refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PeerError {
    /// More than [`MAX_CHAIN_CERTS`].
    TooManyCertificates {
        /// How many it sent.
        count: usize,
    },
    /// The certificates together are longer than [`MAX_CHAIN_BYTES`].
    ChainTooLong {
        /// Their length in bytes.
        len: usize,
    },
    /// The leaf breaks a rule of X509-SVIDs.
    Leaf(LeafError),
    /// We have no authority for the trust domain of the SPIFFE ID claimed.
    UnknownTrustDomain {
        /// The ID claimed, not proved.
        claimed: SpiffeIdBuf,
    },
    /// No valid path leads from the leaf to an authority of its trust domain.
    Path {
        /// The ID claimed, not proved.
        claimed: SpiffeIdBuf,
        /// What path validation found.
        why: webpki::Error,
    },
    /// A server outside is not who it has to be.
    External {
        /// The DNS name that it has to prove.
        name: Box<str>,
        /// What path validation found, or the comparison of names.
        why: webpki::Error,
    },
    /// The signature over the handshake is not by the leaf's key.
    Signature,
}

impl core::fmt::Display for PeerError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooManyCertificates { count } => {
                write!(f, "{count} certificates, at most {MAX_CHAIN_CERTS} allowed")
            }
            Self::ChainTooLong { len } => {
                write!(f, "chain of {len} bytes, at most {MAX_CHAIN_BYTES} allowed")
            }
            Self::Leaf(why) => write!(f, "{why}"),
            Self::UnknownTrustDomain { claimed } => {
                write!(
                    f,
                    "no authority for the trust domain of `{}`",
                    claimed.as_str()
                )
            }
            Self::Path { claimed, why } => write!(f, "chain of `{}`: {why}", claimed.as_str()),
            Self::External { name, why } => write!(f, "the server is not `{name}`: {why}"),
            Self::Signature => f.write_str("handshake not signed by the certificate's key"),
        }
    }
}

impl core::error::Error for PeerError {}
