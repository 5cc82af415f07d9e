//! Whoever checks signatures.

use core::fmt;

use super::Algorithm;
use crate::jwk::PublicKey;

/// Checks signatures of some of the [`Algorithm`]s. A pair asks its second half for what its first does not know, so
/// `(P256, (P384, Rsa))` knows what each of them does.
pub trait JwsVerifier {
    /// Checks that `signature` is this key's over `message`. The key is of the algorithm's kind, and the signature as
    /// long as such a key makes them; an ECDSA signature is two numbers, not DER (RFC 7518 §3.4).
    ///
    /// # Errors
    /// `Unsupported` if it knows no such signatures at all; else what is wrong.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError>;
}

/// Why a signature was not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum VerifyError {
    /// The verifier knows no signatures of this algorithm.
    Unsupported {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The key is none: above all, a point that is not on its curve.
    Key,
    /// The signature is not this key's over this message.
    Signature,
}

impl<V: JwsVerifier + ?Sized> JwsVerifier for &V {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        (**self).verify(algorithm, key, message, signature)
    }
}

impl<A: JwsVerifier, B: JwsVerifier> JwsVerifier for (A, B) {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        match self.0.verify(algorithm, key, message, signature) {
            Err(VerifyError::Unsupported { .. }) => {
                self.1.verify(algorithm, key, message, signature)
            }
            answer => answer,
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { algorithm } => {
                write!(f, "signatures of {algorithm} cannot be checked here")
            }
            Self::Key => f.write_str("public key is none of its curve"),
            Self::Signature => f.write_str("signature does not verify"),
        }
    }
}

impl core::error::Error for VerifyError {}
