//! Public keys out of certificates (RFC 5280 §4.1.2.7, RFC 5480, RFC 8017 §A.1, RFC 8410).

use super::{Curve, PublicKey, PublicKeyError};
use crate::der::{BIT_STRING, INTEGER, OID, Reader, SEQUENCE};

/// id-ecPublicKey, 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// secp256r1, 1.2.840.10045.3.1.7.
const SECP256R1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// secp384r1, 1.3.132.0.34.
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// secp521r1, 1.3.132.0.35.
const SECP521R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
/// rsaEncryption, 1.2.840.113549.1.1.1.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// id-Ed25519, 1.3.101.112.
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo, such as [`crate::x509::SigningCert::spki`].
    ///
    /// # Errors
    /// `Kind` for an algorithm or curve that no JWK of ours has; else what is wrong with the key.
    pub fn from_spki(der: &[u8]) -> Result<Self, PublicKeyError> {
        let mut input = Reader::new(der);
        let mut fields = input.expect(SEQUENCE)?.reader();
        input.finish()?;
        let mut algorithm = fields.expect(SEQUENCE)?.reader();
        let key = fields.expect(BIT_STRING)?.bit_string_bytes()?;
        fields.finish()?;
        match algorithm.expect(OID)?.value {
            EC_PUBLIC_KEY => {
                let curve = match algorithm.optional(OID)?.map(|curve| curve.value) {
                    Some(SECP256R1) => Curve::P256,
                    Some(SECP384R1) => Curve::P384,
                    Some(SECP521R1) => Curve::P521,
                    _ => return Err(PublicKeyError::Kind),
                };
                Self::from_point(curve, key)
            }
            RSA_ENCRYPTION => rsa(key),
            ED25519 => Self::from_ed25519(key),
            _ => Err(PublicKeyError::Kind),
        }
    }
}

/// Reads an RSAPublicKey (RFC 8017 §A.1.1).
fn rsa(der: &[u8]) -> Result<PublicKey, PublicKeyError> {
    let mut input = Reader::new(der);
    let mut numbers = input.expect(SEQUENCE)?.reader();
    input.finish()?;
    let n = numbers.expect(INTEGER)?.integer()?;
    let e = numbers.expect(INTEGER)?.integer()?;
    numbers.finish()?;
    let n = positive(n).ok_or(PublicKeyError::Modulus)?;
    let e = positive(e).ok_or(PublicKeyError::Exponent)?;
    PublicKey::from_rsa(n, e)
}

/// A positive INTEGER without the zero byte that keeps it positive.
fn positive(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, rest @ ..] => Some(rest),
        [0x80..=0xff, ..] => None,
        rest => Some(rest),
    }
}

impl From<crate::der::DerError> for PublicKeyError {
    fn from(error: crate::der::DerError) -> Self {
        Self::Der(error)
    }
}
