//! Kinds of keys that authorities and workloads may have.

use rustls_pki_types::SignatureVerificationAlgorithm;
use tidelock_spiffe_core::jwk::{Curve, PublicKey, PublicKeyError};
use webpki::ring::{ECDSA_P256_SHA256, ECDSA_P384_SHA384, ED25519};

/// A kind of key, and the one way in which it signs.
///
/// The kernel verifies chains of [`KeyAlgorithm::P256`] keys only, so that is what a trust domain with governed
/// workloads issues; the others are for programs that verify SVIDs themselves.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA with P-256 and SHA-256.
    #[default]
    P256,
    /// ECDSA with P-384 and SHA-384.
    P384,
    /// Ed25519 (RFC 8410). Signs certificates, but no JWT-SVID (JWT-SVID §2.1).
    Ed25519,
}

impl KeyAlgorithm {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::Ed25519];

    /// The curve that ECDSA keys are on.
    pub fn curve(self) -> Option<Curve> {
        match self {
            Self::P256 => Some(Curve::P256),
            Self::P384 => Some(Curve::P384),
            Self::Ed25519 => None,
        }
    }

    /// Reads a public key as a certificate has it: an uncompressed point (SEC 1 §2.3.3), or Ed25519's 32 bytes.
    ///
    /// # Errors
    /// One of another form or length.
    pub fn public_key(self, bytes: &[u8]) -> Result<PublicKey, PublicKeyError> {
        match self.curve() {
            Some(curve) => PublicKey::from_point(curve, bytes),
            None => PublicKey::from_ed25519(bytes),
        }
    }

    /// How certificates and requests are verified.
    pub(crate) fn scheme(self) -> &'static dyn SignatureVerificationAlgorithm {
        match self {
            Self::P256 => ECDSA_P256_SHA256,
            Self::P384 => ECDSA_P384_SHA384,
            Self::Ed25519 => ED25519,
        }
    }

    /// How certificates and requests are written.
    pub(crate) fn written(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }

    /// The kind of key with this AlgorithmIdentifier, without its tag and length, in a SubjectPublicKeyInfo.
    pub(crate) fn of_key(identifier: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.scheme().public_key_alg_id().as_ref() == identifier)
    }
}
