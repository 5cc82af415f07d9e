//! From claims to the bytes to be signed, and on to a token.

use alloc::string::String;
use core::fmt;

use super::{Algorithm, MAX_JWT_BYTES};
use crate::SpiffeId;
use crate::base64::{self, Alphabet};
use crate::bundle::MAX_KEY_ID_BYTES;
use crate::json;

/// What a JWT-SVID is to say. Times are in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// Whose it is (JWT-SVID §3.1).
    pub id: SpiffeId<'a>,
    /// Whom it is for; one in normal cases (JWT-SVID §3.2).
    pub audience: &'a [&'a str],
    /// When it is made.
    pub issued_at: i64,
    /// The first second in which it is not valid any more (JWT-SVID §3.3).
    pub expires_at: i64,
    /// A name of its own (RFC 7519 §4.1.7), for audit logs and for receivers that take no token twice.
    pub token_id: Option<&'a str>,
}

/// Header and claims as they are signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningInput {
    text: String,
    algorithm: Algorithm,
}

/// Why there is nothing to be signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SignError {
    /// A key ID that is empty or longer than [`MAX_KEY_ID_BYTES`].
    KeyId {
        /// Its length in bytes.
        len: usize,
    },
    /// The ID of a trust domain, which is no workload's.
    Pathless,
    /// No audience, or one that is empty.
    Audience,
    /// A token that is never valid.
    Lifetime {
        /// When it is made, in seconds since 1970.
        issued_at: i64,
        /// When it ends, in seconds since 1970.
        expires_at: i64,
    },
    /// Longer than [`MAX_JWT_BYTES`], before or after its signature is added.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

impl SigningInput {
    /// Writes header and claims: `alg`, `kid` and `typ`; `aud` as a list, `exp`, `iat`, `jti` if there is one, `sub`.
    ///
    /// # Errors
    /// The first rule that the token would break. Nothing is written that [`super::JwtSvid::validate`] refuses.
    pub fn new(algorithm: Algorithm, key_id: &str, claims: &Claims<'_>) -> Result<Self, SignError> {
        if !(1..=MAX_KEY_ID_BYTES).contains(&key_id.len()) {
            return Err(SignError::KeyId { len: key_id.len() });
        }
        if claims.id.is_pathless() {
            return Err(SignError::Pathless);
        }
        if claims.audience.is_empty() || claims.audience.contains(&"") {
            return Err(SignError::Audience);
        }
        let (issued_at, expires_at) = (claims.issued_at, claims.expires_at);
        if issued_at < 0 || expires_at <= issued_at {
            return Err(SignError::Lifetime {
                issued_at,
                expires_at,
            });
        }
        let mut header = alloc::format!("{{\"alg\":\"{algorithm}\",\"kid\":");
        json::push_quoted(&mut header, key_id);
        header.push_str(",\"typ\":\"JWT\"}");
        let mut text = base64::encode(Alphabet::Url, header.as_bytes());
        text.push('.');
        let claims = written(claims)?;
        text.push_str(&base64::encode(Alphabet::Url, claims.as_bytes()));
        within(Self { text, algorithm })
    }

    /// The bytes to be signed (RFC 7515 §5.1).
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// What to sign them with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Adds the signature, in the form that JWS has: see [`super::fixed_signature`] for ECDSA's. Whether it is the right
    /// one is for [`super::JwtSvid::validate`] to see, before the token is given to anybody.
    ///
    /// # Errors
    /// `TooLong`.
    pub fn into_token(mut self, signature: &[u8]) -> Result<String, SignError> {
        self.text.push('.');
        self.text
            .push_str(&base64::encode(Alphabet::Url, signature));
        within(self).map(|token| token.text)
    }
}

fn within(input: SigningInput) -> Result<SigningInput, SignError> {
    match input.text.len() {
        len if len > MAX_JWT_BYTES => Err(SignError::TooLong { len }),
        _ => Ok(input),
    }
}

/// The claims as JSON, names in alphabetical order.
fn written(claims: &Claims<'_>) -> Result<String, SignError> {
    let mut out = String::from("{\"aud\":[");
    for name in claims.audience {
        if !out.ends_with('[') {
            out.push(',');
        }
        json::push_quoted(&mut out, name);
        // Checked as it grows, so that a long list costs no more than a long token.
        if out.len() > MAX_JWT_BYTES {
            return Err(SignError::TooLong { len: out.len() });
        }
    }
    let (exp, iat) = (claims.expires_at, claims.issued_at);
    out.push_str(&alloc::format!("],\"exp\":{exp},\"iat\":{iat}"));
    if let Some(token_id) = claims.token_id {
        out.push_str(",\"jti\":");
        json::push_quoted(&mut out, token_id);
    }
    out.push_str(",\"sub\":");
    json::push_quoted(&mut out, claims.id.as_str());
    out.push('}');
    Ok(out)
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::KeyId { len } => {
                write!(f, "key ID has {len} bytes, not 1 to {MAX_KEY_ID_BYTES}")
            }
            Self::Pathless => f.write_str("a JWT-SVID needs a SPIFFE ID with a path"),
            Self::Audience => f.write_str("a JWT-SVID needs an audience that is not empty"),
            Self::Lifetime {
                issued_at,
                expires_at,
            } => write!(f, "token made at {issued_at} would end at {expires_at}"),
            Self::TooLong { len } => {
                write!(f, "token has {len} bytes, more than {MAX_JWT_BYTES}")
            }
        }
    }
}

impl core::error::Error for SignError {}
