//! Public keys as JSON Web Keys have them (RFC 7517, RFC 7518 §6): numbers, not DER.

mod member;
mod spki;

pub use member::{JwkError, JwkProblem};
pub(crate) use member::{first_certificate, public_key, string};

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::base64::{self, Alphabet};

/// Smallest RSA modulus that a JWT-SVID may be verified with, in bits (RFC 7518 §3.3).
pub const MIN_RSA_BITS: usize = 2048;

/// Largest RSA modulus, in bits. Ours: more costs a verifier more than anybody gains.
pub const MAX_RSA_BITS: usize = 8192;

/// Longest RSA public exponent, in bytes. Ours: nearly every key has 65537, and a long one makes verifying dear.
pub const MAX_RSA_EXPONENT_BYTES: usize = 4;

/// A curve of `EC` keys (RFC 7518 §6.2.1.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

/// A public key that an SVID can be verified with. Parts have the right lengths; whether a point is on its curve is for
/// whoever verifies with it to see.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct PublicKey(Parts);

/// The numbers of a key, big endian.
#[derive(Clone, Eq, Hash, PartialEq)]
pub(crate) enum Parts {
    /// A point, uncompressed (SEC 1 §2.3.3).
    Ec { curve: Curve, point: Vec<u8> },
    /// Modulus and exponent, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A point (RFC 8032 §5.1.2).
    Ed25519([u8; ED25519_BYTES]),
}

/// Bytes of an Ed25519 public key (RFC 8032 §5.1.5).
const ED25519_BYTES: usize = 32;

/// The form of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Why numbers are no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// A coordinate, point or Ed25519 key of another length than its curve's.
    Length {
        /// Its length in bytes.
        len: usize,
        /// The right length in bytes.
        expected: usize,
    },
    /// A point in another form than uncompressed.
    Form,
    /// A modulus that is empty, begins with a zero byte, or has more than [`MAX_RSA_BITS`].
    Modulus,
    /// An exponent that is even, less than 3, begins with a zero byte, or has more than [`MAX_RSA_EXPONENT_BYTES`].
    Exponent,
    /// A SubjectPublicKeyInfo that is not DER.
    Der(crate::der::DerError),
    /// A SubjectPublicKeyInfo of a kind of key that is not known here.
    Kind,
}

impl Curve {
    /// Its name in a JWK.
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The curve of this name; names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521]
            .into_iter()
            .find(|curve| curve.name() == name)
    }

    /// Bytes of a coordinate, and of each half of a JWS signature (RFC 7518 §3.4).
    pub fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

impl PublicKey {
    /// A key on a NIST curve, from its point.
    ///
    /// # Errors
    /// `Form` or `Length`, for anything but an uncompressed point (SEC 1 §2.3.3) of this curve.
    pub fn from_point(curve: Curve, point: &[u8]) -> Result<Self, PublicKeyError> {
        let Some((&UNCOMPRESSED, numbers)) = point.split_first() else {
            return Err(PublicKeyError::Form);
        };
        right_length(numbers, curve.coordinate_bytes().saturating_mul(2))?;
        Ok(Self(Parts::Ec {
            curve,
            point: point.to_vec(),
        }))
    }

    /// A key on a NIST curve, from its coordinates.
    ///
    /// # Errors
    /// `Length`: RFC 7518 §6.2.1.2 wants leading zeros kept.
    pub fn from_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, PublicKeyError> {
        for coordinate in [x, y] {
            right_length(coordinate, curve.coordinate_bytes())?;
        }
        let point = [&[UNCOMPRESSED], x, y].concat();
        Ok(Self(Parts::Ec { curve, point }))
    }

    /// An RSA key, from modulus and public exponent.
    ///
    /// # Errors
    /// `Modulus` or `Exponent`. A modulus below [`MIN_RSA_BITS`] is a key, if not one for JWT-SVIDs.
    pub fn from_rsa(n: &[u8], e: &[u8]) -> Result<Self, PublicKeyError> {
        if n.first().is_none_or(|&byte| byte == 0) || bits(n) > MAX_RSA_BITS {
            return Err(PublicKeyError::Modulus);
        }
        let odd = e.last().is_some_and(|byte| byte & 1 == 1);
        let leading_zero = e.first() == Some(&0);
        if !odd || leading_zero || e == [1] || e.len() > MAX_RSA_EXPONENT_BYTES {
            return Err(PublicKeyError::Exponent);
        }
        let (n, e) = (n.to_vec(), e.to_vec());
        Ok(Self(Parts::Rsa { n, e }))
    }

    /// An Ed25519 key. No JWT-SVID is signed with one; X509-SVIDs may be.
    ///
    /// # Errors
    /// `Length`.
    pub fn from_ed25519(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        right_length(bytes, ED25519_BYTES)?;
        <[u8; ED25519_BYTES]>::try_from(bytes)
            .map(|bytes| Self(Parts::Ed25519(bytes)))
            .map_err(|_| PublicKeyError::Length {
                len: bytes.len(),
                expected: ED25519_BYTES,
            })
    }

    /// Curve and uncompressed point (SEC 1 §2.3.3), if it is a key on a NIST curve.
    pub fn as_point(&self) -> Option<(Curve, &[u8])> {
        match &self.0 {
            Parts::Ec { curve, point } => Some((*curve, point)),
            _ => None,
        }
    }

    /// Modulus and exponent, big endian and without leading zeros, if it is an RSA key.
    pub fn as_rsa(&self) -> Option<(&[u8], &[u8])> {
        match &self.0 {
            Parts::Rsa { n, e } => Some((n, e)),
            _ => None,
        }
    }

    /// The point's 32 bytes, if it is an Ed25519 key.
    pub fn as_ed25519(&self) -> Option<&[u8; 32]> {
        match &self.0 {
            Parts::Ed25519(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Bits of the modulus, if it is an RSA key.
    pub fn rsa_bits(&self) -> Option<usize> {
        self.as_rsa().map(|(n, _)| bits(n))
    }

    /// Writes `"kty":…` and the key's numbers, as members of a JWK.
    pub(crate) fn push_members(&self, out: &mut String) {
        let mut member = |name: &str, value: &str| {
            if !out.ends_with('{') {
                out.push(',');
            }
            // No name or value here holds anything that needs escaping.
            out.push_str(&alloc::format!("\"{name}\":\"{value}\""));
        };
        let url = |bytes: &[u8]| base64::encode(Alphabet::Url, bytes);
        match &self.0 {
            Parts::Ec { curve, point } => {
                let numbers = point.get(1..).unwrap_or_default();
                let (x, y) = numbers
                    .split_at_checked(curve.coordinate_bytes())
                    .unwrap_or_default();
                member("kty", "EC");
                member("crv", curve.name());
                member("x", &url(x));
                member("y", &url(y));
            }
            Parts::Rsa { n, e } => {
                member("kty", "RSA");
                member("n", &url(n));
                member("e", &url(e));
            }
            Parts::Ed25519(bytes) => {
                member("kty", "OKP");
                member("crv", "Ed25519");
                member("x", &url(bytes));
            }
        }
    }
}

/// Bits of a number without leading zero bytes.
fn bits(number: &[u8]) -> usize {
    let spare = number.first().map_or(0, |byte| byte.leading_zeros());
    let spare = usize::try_from(spare).unwrap_or(0);
    number.len().saturating_mul(8).saturating_sub(spare)
}

fn right_length(bytes: &[u8], expected: usize) -> Result<(), PublicKeyError> {
    if bytes.len() == expected {
        Ok(())
    } else {
        let len = bytes.len();
        Err(PublicKeyError::Length { len, expected })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut members = String::new();
        self.push_members(&mut members);
        write!(f, "PublicKey({members})")
    }
}

impl fmt::Display for PublicKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { len, expected } => {
                write!(f, "public key has {len} bytes instead of {expected}")
            }
            Self::Form => f.write_str("public key is no uncompressed point"),
            Self::Modulus => write!(
                f,
                "RSA modulus is empty, padded, or longer than {MAX_RSA_BITS} bits"
            ),
            Self::Exponent => write!(
                f,
                "RSA exponent is even, 1, padded, or longer than {MAX_RSA_EXPONENT_BYTES} bytes"
            ),
            Self::Der(error) => write!(f, "public key: {error}"),
            Self::Kind => f.write_str("public key is of an unknown kind"),
        }
    }
}

impl core::error::Error for PublicKeyError {}
