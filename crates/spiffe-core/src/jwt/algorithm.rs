//! The nine algorithms that a JWT-SVID may be signed with.

use alloc::vec::Vec;
use core::fmt;

use crate::der::{INTEGER, Reader, SEQUENCE};
use crate::jwk::{Curve, PublicKey};

/// An algorithm that JWT-SVID §2.1 allows. There is no value for any other: neither `none` nor an HMAC can be named.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// ECDSA with P-521 and SHA-512.
    Es512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
}

impl Algorithm {
    /// Every one of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// Its name in `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// The algorithm of this name; names are case-sensitive (RFC 7515 §4.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The curve that its keys are on; `None` for RSA.
    pub fn curve(self) -> Option<Curve> {
        match self {
            Self::Es256 => Some(Curve::P256),
            Self::Es384 => Some(Curve::P384),
            Self::Es512 => Some(Curve::P521),
            _ => None,
        }
    }

    /// The algorithm of keys on this curve.
    pub fn of_curve(curve: Curve) -> Self {
        match curve {
            Curve::P256 => Self::Es256,
            Curve::P384 => Self::Es384,
            Curve::P521 => Self::Es512,
        }
    }

    /// True if a key of this kind can have made such a signature.
    pub fn fits(self, key: &PublicKey) -> bool {
        match self.curve() {
            Some(curve) => key.as_point().is_some_and(|(found, _)| found == curve),
            None => key.as_rsa().is_some(),
        }
    }

    /// How long a signature with this key is, in bytes (RFC 7518 §3.3 to §3.5); `None` for another kind of key.
    pub fn signature_bytes(self, key: &PublicKey) -> Option<usize> {
        match self.curve() {
            Some(curve) if self.fits(key) => curve.coordinate_bytes().checked_mul(2),
            Some(_) => None,
            None => key.as_rsa().map(|(n, _)| n.len()),
        }
    }
}

/// Puts an ECDSA signature as X.509 has it (`Ecdsa-Sig-Value`, RFC 3279 §2.2.3) in the form that JWS has: two numbers of
/// one coordinate's length (RFC 7518 §3.4). `None` if it is none, or one of a longer curve.
pub fn fixed_signature(curve: Curve, der: &[u8]) -> Option<Vec<u8>> {
    let mut input = Reader::new(der);
    let mut numbers = input.expect(SEQUENCE).ok()?.reader();
    input.finish().ok()?;
    let mut fixed = Vec::new();
    for _ in 0..2 {
        let number = match numbers.expect(INTEGER).ok()?.integer().ok()? {
            [0, number @ ..] => number,
            [0x80..=0xff, ..] => return None,
            number => number,
        };
        let padding = curve.coordinate_bytes().checked_sub(number.len())?;
        fixed.extend(core::iter::repeat_n(0, padding));
        fixed.extend_from_slice(number);
    }
    numbers.finish().ok()?;
    Some(fixed)
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
