//! Why a token was refused.

use core::fmt;

use super::{Algorithm, MAX_JWT_BYTES, VerifyError};
use crate::SpiffeIdError;
use crate::json::JsonError;

/// A part of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The JOSE header.
    Header,
    /// The claims.
    Claims,
    /// The signature.
    Signature,
}

/// What is wrong with a header or claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MemberProblem {
    /// It is not there.
    Missing,
    /// It is of another type of JSON.
    Type,
    /// It has no value.
    Empty,
    /// It is longer than it may be.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

/// Why a token is no valid JWT-SVID. Times are in seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JwtError {
    /// Longer than [`MAX_JWT_BYTES`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Not the three parts of a JWS in compact form (JWT-SVID §5.1); an encrypted token has five.
    Parts {
        /// How many there are.
        count: usize,
    },
    /// A part is not base64url in the one spelling that its bytes have (RFC 7515 §2).
    Base64 {
        /// Which part.
        part: Part,
    },
    /// A part is not JSON.
    Json {
        /// Which part.
        part: Part,
        /// Why not.
        error: JsonError,
    },
    /// A part is JSON, but no object.
    NotAnObject {
        /// Which part.
        part: Part,
    },
    /// A header or claim is wrong.
    Member {
        /// Which part it is in.
        part: Part,
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        problem: MemberProblem,
    },
    /// `alg` names none of the nine algorithms allowed (JWT-SVID §2.1); above all, `none`.
    Algorithm,
    /// `typ` is neither `JWT` nor `JOSE` (JWT-SVID §2.3).
    Type,
    /// There is a header besides `alg`, `kid` and `typ` (JWT-SVID §2).
    Header {
        /// Its name, if it is one that JOSE defines; else `other`.
        name: &'static str,
    },
    /// `sub` is not a SPIFFE ID (JWT-SVID §3.1).
    Subject(SpiffeIdError),
    /// `sub` is the ID of a trust domain, which is no workload's.
    Pathless,
    /// `aud` does not hold the verifier (JWT-SVID §3.2).
    Audience,
    /// `exp` has passed (JWT-SVID §3.3).
    Expired {
        /// When it did.
        expires_at: i64,
        /// The time now.
        now: i64,
    },
    /// `nbf` has not come (RFC 7519 §4.1.5).
    NotYet {
        /// When it will.
        not_before: i64,
        /// The time now.
        now: i64,
    },
    /// There is no bundle of the subject's trust domain.
    NoBundle,
    /// The trust domain's bundle has no JWT authority: the domain has no JWT-SVIDs (JWT-SVID §6.2).
    NoAuthorities,
    /// The trust domain's bundle has no JWT authority of this `kid`.
    KeyId,
    /// The key is of another kind than `alg` is for.
    KeyKind {
        /// What `alg` says.
        algorithm: Algorithm,
    },
    /// The signature is not one of the trust domain's over this token, or cannot be checked.
    Verify(VerifyError),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
        })
    }
}

impl fmt::Display for MemberProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Type => f.write_str("is of the wrong type"),
            Self::Empty => f.write_str("is empty"),
            Self::TooLong { len } => write!(f, "is too long: {len} bytes"),
        }
    }
}

impl fmt::Display for JwtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLong { len } => {
                write!(f, "token has {len} bytes, more than {MAX_JWT_BYTES}")
            }
            Self::Parts { count } => write!(f, "token has {count} parts instead of three"),
            Self::Base64 { part } => write!(f, "token's {part} is not base64url"),
            Self::Json { part, error } => write!(f, "token's {part}: {error}"),
            Self::NotAnObject { part } => write!(f, "token's {part} is no JSON object"),
            Self::Member {
                part,
                name,
                problem,
            } => write!(f, "token's {part}: `{name}` {problem}"),
            Self::Algorithm => f.write_str("token's `alg` is not allowed"),
            Self::Type => f.write_str("token's `typ` is neither `JWT` nor `JOSE`"),
            Self::Header { name } => write!(f, "token has a header not allowed: {name}"),
            Self::Subject(error) => write!(f, "token's `sub`: {error}"),
            Self::Pathless => f.write_str("token's `sub` is a SPIFFE ID without a path"),
            Self::Audience => f.write_str("token's `aud` does not hold this verifier"),
            Self::Expired { expires_at, now } => {
                write!(f, "token expired at {expires_at}, and it is {now}")
            }
            Self::NotYet { not_before, now } => {
                write!(f, "token is valid from {not_before}, and it is {now}")
            }
            Self::NoBundle => f.write_str("token is of a trust domain that has no bundle here"),
            Self::NoAuthorities => {
                f.write_str("token is of a trust domain whose bundle has no JWT authority")
            }
            Self::KeyId => f.write_str("token's `kid` is of no authority of its trust domain"),
            Self::KeyKind { algorithm } => {
                write!(f, "token's key is of another kind than {algorithm} needs")
            }
            Self::Verify(error) => write!(f, "token: {error}"),
        }
    }
}

impl core::error::Error for JwtError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Json { error, .. } => Some(error),
            Self::Subject(error) => Some(error),
            Self::Verify(error) => Some(error),
            _ => None,
        }
    }
}
