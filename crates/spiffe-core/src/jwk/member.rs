//! Keys out of the members of a JWK.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Curve, PublicKey, PublicKeyError};
use crate::base64::{self, Alphabet};
use crate::json::{Json, Object};

/// Why a JWK was refused: what is wrong, and with which member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JwkError {
    /// The member.
    pub member: &'static str,
    /// What is wrong with it.
    pub problem: JwkProblem,
}

/// What is wrong with a member of a JWK.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JwkProblem {
    /// It is not there.
    Missing,
    /// It is of another type of JSON.
    Type,
    /// It is empty.
    Empty,
    /// It is longer than it may be.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It is not base64 in the one spelling that its value has.
    Base64,
    /// It is a kind of key that no SVID of this use is signed with.
    Kind,
    /// It makes no key.
    Key(PublicKeyError),
    /// It is another key than the certificate's beside it (RFC 7517 §4.7).
    Differs,
    /// Its key is too short for a JWT-SVID: below [`super::MIN_RSA_BITS`] (RFC 7518 §3.3).
    Weak {
        /// Bits of the modulus.
        bits: usize,
    },
}

impl JwkError {
    pub(crate) fn new(member: &'static str, problem: JwkProblem) -> Self {
        Self { member, problem }
    }
}

/// Reads the key of a JWK; `None` for a `kty` or `crv` that is not known here, which readers pass over (SPIFFE Trust
/// Domain and Bundle §4.2.1).
pub(crate) fn public_key(jwk: &Object) -> Result<Option<PublicKey>, JwkError> {
    let kind = match jwk.get("kty") {
        None => return Ok(None),
        Some(Json::String(kind)) => kind.as_str(),
        Some(_) => return Err(JwkError::new("kty", JwkProblem::Type)),
    };
    let made = match kind {
        "EC" => {
            let Some(curve) = Curve::from_name(string(jwk, "crv")?) else {
                return Ok(None);
            };
            PublicKey::from_coordinates(curve, &number(jwk, "x")?, &number(jwk, "y")?)
                .map_err(|error| JwkError::new("x", JwkProblem::Key(error)))
        }
        "RSA" => PublicKey::from_rsa(&number(jwk, "n")?, &number(jwk, "e")?)
            .map_err(|error| JwkError::new("n", JwkProblem::Key(error))),
        "OKP" if string(jwk, "crv")? == "Ed25519" => PublicKey::from_ed25519(&number(jwk, "x")?)
            .map_err(|error| JwkError::new("x", JwkProblem::Key(error))),
        _ => return Ok(None),
    };
    made.map(Some)
}

/// The text of a member that has to be there.
pub(crate) fn string<'j>(jwk: &'j Object, member: &'static str) -> Result<&'j str, JwkError> {
    match jwk.get(member) {
        None => Err(JwkError::new(member, JwkProblem::Missing)),
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(JwkError::new(member, JwkProblem::Type)),
    }
}

fn number(jwk: &Object, member: &'static str) -> Result<Vec<u8>, JwkError> {
    let text = string(jwk, member)?;
    base64::decode(Alphabet::Url, text).ok_or(JwkError::new(member, JwkProblem::Base64))
}

/// The first certificate of `x5c`, in DER (X509-SVID §6.2); `None` where there is none.
pub(crate) fn first_certificate(jwk: &Object) -> Result<Option<Vec<u8>>, JwkError> {
    let wrong = |problem| JwkError::new("x5c", problem);
    let text: &String = match jwk.get("x5c") {
        None => return Ok(None),
        Some(Json::Array(values)) => match values.first() {
            None => return Ok(None),
            Some(Json::String(text)) => text,
            Some(_) => return Err(wrong(JwkProblem::Type)),
        },
        Some(_) => return Err(wrong(JwkProblem::Type)),
    };
    // Standard and padded, unlike all else in a JWK (RFC 7517 §4.7).
    let der = base64::decode(Alphabet::Standard, text).ok_or(wrong(JwkProblem::Base64))?;
    Ok(Some(der))
}

impl fmt::Display for JwkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let member = self.member;
        match self.problem {
            JwkProblem::Missing => write!(f, "`{member}` is missing"),
            JwkProblem::Type => write!(f, "`{member}` is of the wrong type"),
            JwkProblem::Empty => write!(f, "`{member}` is empty"),
            JwkProblem::TooLong { len } => write!(f, "`{member}` is too long: {len} bytes"),
            JwkProblem::Base64 => write!(f, "`{member}` is not base64"),
            JwkProblem::Kind => write!(f, "`{member}` is of a kind that signs no such SVID"),
            JwkProblem::Key(error) => write!(f, "`{member}`: {error}"),
            JwkProblem::Differs => write!(f, "`{member}` holds another key than the JWK"),
            JwkProblem::Weak { bits } => write!(f, "`{member}` has only {bits} bits"),
        }
    }
}

impl core::error::Error for JwkError {}
