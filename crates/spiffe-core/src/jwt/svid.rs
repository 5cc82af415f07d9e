//! From a token to a JWT-SVID that is valid.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::claims::Registered;
use super::header::Header;
use super::{Algorithm, JwsVerifier, JwtError, MAX_JWT_BYTES, MAX_LEEWAY_SECS, Part, VerifyError};
use crate::SpiffeId;
use crate::base64::{self, Alphabet};
use crate::bundle::{Bundle, BundleSet, JwtAuthority};
use crate::json::{self, Json, Object};

/// Names that the verifier goes by: a token's `aud` must hold one of them (JWT-SVID §3.2). Compared byte for byte.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    names: &'a [&'a str],
    leeway: Leeway,
}

/// By how much clocks may differ; none unless asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Leeway(u32);

/// A leeway of more than [`MAX_LEEWAY_SECS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LeewayError {
    /// What was asked for, in seconds.
    pub secs: u32,
}

/// A token that keeps every rule that can be checked without a key or a clock. Nobody vouches for its claims.
#[derive(Clone, Debug)]
pub struct UnverifiedJwt<'t> {
    header: Header,
    registered: Registered,
    claims: String,
    signed: &'t str,
    signature: Vec<u8>,
}

/// A token that was validated: its claims are its trust domain's word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JwtSvid {
    registered: Registered,
    claims: String,
}

impl<'a> Audience<'a> {
    /// The names that the verifier goes by; with none, every token is refused.
    pub fn of(names: &'a [&'a str]) -> Self {
        let leeway = Leeway::default();
        Self { names, leeway }
    }

    /// The same, with clocks that may differ.
    #[must_use]
    pub fn with_leeway(self, leeway: Leeway) -> Self {
        Self { leeway, ..self }
    }
}

impl Leeway {
    /// Takes a leeway in seconds.
    ///
    /// # Errors
    /// One of more than [`MAX_LEEWAY_SECS`].
    pub fn from_secs(secs: u32) -> Result<Self, LeewayError> {
        if secs > MAX_LEEWAY_SECS {
            Err(LeewayError { secs })
        } else {
            Ok(Self(secs))
        }
    }

    fn as_secs(self) -> i64 {
        i64::from(self.0)
    }
}

impl JwtSvid {
    /// Validates a token, at `now` in seconds since 1970, by JWT-SVID §2 to §5 and RFC 7515 §5.2.
    ///
    /// The signature is checked with the JWT authority that `kid` names, in the bundle of the subject's own trust
    /// domain; without `kid`, with each of that bundle's authorities of the right kind, of which there are at most
    /// [`crate::bundle::MAX_AUTHORITIES`].
    ///
    /// # Errors
    /// The first rule broken: form, header, claims, time, audience, key, signature.
    pub fn validate(
        token: &str,
        bundles: &BundleSet,
        audience: Audience<'_>,
        now: i64,
        verifier: &impl JwsVerifier,
    ) -> Result<Self, JwtError> {
        let jwt = UnverifiedJwt::parse(token)?;
        jwt.check_time(now, audience.leeway)?;
        let found = &jwt.registered.audience;
        if !found
            .iter()
            .any(|name| audience.names.contains(&name.as_str()))
        {
            return Err(JwtError::Audience);
        }
        let bundle = bundles.get(jwt.id().trust_domain());
        jwt.check_signature(bundle.ok_or(JwtError::NoBundle)?, verifier)?;
        let UnverifiedJwt {
            registered, claims, ..
        } = jwt;
        Ok(Self { registered, claims })
    }

    /// Whose token it is; never pathless.
    pub fn id(&self) -> SpiffeId<'_> {
        self.registered.id.as_id()
    }

    /// Everyone whom it is for; at least one.
    pub fn audience(&self) -> impl ExactSizeIterator<Item = &str> {
        self.registered.audience.iter().map(String::as_str)
    }

    /// The first second in which it is not valid any more, in seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.registered.expires_at
    }

    /// When it was made, in seconds since 1970, if it says so.
    pub fn issued_at(&self) -> Option<i64> {
        self.registered.issued_at
    }

    /// All of its claims, as the JSON object that was signed. No name is in it twice.
    pub fn claims(&self) -> &str {
        &self.claims
    }
}

impl<'t> UnverifiedJwt<'t> {
    /// Reads a token without checking signature, time or audience: enough for its owner, who got it from the Workload
    /// API, and for nobody else.
    ///
    /// # Errors
    /// The first rule broken: form, header, claims.
    pub fn parse(token: &'t str) -> Result<Self, JwtError> {
        if token.len() > MAX_JWT_BYTES {
            return Err(JwtError::TooLong { len: token.len() });
        }
        let count = token.split('.').count();
        let parts = token.rsplit_once('.').and_then(|(signed, signature)| {
            let (header, claims) = signed.split_once('.')?;
            Some((signed, header, claims, signature))
        });
        let (signed, header, claims, signature) = match parts {
            Some(parts) if count == 3 => parts,
            _ => return Err(JwtError::Parts { count }),
        };
        let (_, header) = object(Part::Header, header)?;
        let header = Header::read(&header)?;
        let (claims, mut members) = object(Part::Claims, claims)?;
        Ok(Self {
            header,
            registered: Registered::read(&mut members)?,
            claims,
            signed,
            signature: bytes(Part::Signature, signature)?,
        })
    }

    /// Whose token it says it is; never pathless.
    pub fn id(&self) -> SpiffeId<'_> {
        self.registered.id.as_id()
    }

    /// The algorithm that it says it is signed with.
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// The key ID that it says it is signed under.
    pub fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// The first second in which it says it is not valid any more, in seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.registered.expires_at
    }

    fn check_time(&self, now: i64, leeway: Leeway) -> Result<(), JwtError> {
        let expires_at = self.registered.expires_at;
        if now >= expires_at.saturating_add(leeway.as_secs()) {
            return Err(JwtError::Expired { expires_at, now });
        }
        match self.registered.not_before {
            Some(not_before) if now.saturating_add(leeway.as_secs()) < not_before => {
                Err(JwtError::NotYet { not_before, now })
            }
            _ => Ok(()),
        }
    }

    fn check_signature(
        &self,
        bundle: &Bundle,
        verifier: &impl JwsVerifier,
    ) -> Result<(), JwtError> {
        if bundle.jwt_authorities().len() == 0 {
            return Err(JwtError::NoAuthorities);
        }
        if let Some(key_id) = self.key_id() {
            let authority = bundle.jwt_authority(key_id).ok_or(JwtError::KeyId)?;
            return self.check_with(authority, verifier);
        }
        let algorithm = self.header.algorithm;
        let mut answer = Err(JwtError::KeyKind { algorithm });
        // Bounded by MAX_AUTHORITIES.
        for authority in bundle.jwt_authorities() {
            match self.check_with(authority, verifier) {
                Ok(()) => return Ok(()),
                Err(JwtError::KeyKind { .. }) => {}
                refused => answer = refused,
            }
        }
        answer
    }

    fn check_with(
        &self,
        authority: &JwtAuthority,
        verifier: &impl JwsVerifier,
    ) -> Result<(), JwtError> {
        let (algorithm, key) = (self.header.algorithm, authority.key());
        match algorithm.signature_bytes(key) {
            None => Err(JwtError::KeyKind { algorithm }),
            Some(len) if len != self.signature.len() => {
                Err(JwtError::Verify(VerifyError::Signature))
            }
            Some(_) => verifier
                .verify(algorithm, key, self.signed.as_bytes(), &self.signature)
                .map_err(JwtError::Verify),
        }
    }
}

fn bytes(part: Part, text: &str) -> Result<Vec<u8>, JwtError> {
    base64::decode(Alphabet::Url, text).ok_or(JwtError::Base64 { part })
}

/// The JSON of a part, as text and as members.
fn object(part: Part, text: &str) -> Result<(String, Object), JwtError> {
    let bytes = bytes(part, text)?;
    let Json::Object(members) =
        json::parse(&bytes).map_err(|error| JwtError::Json { part, error })?
    else {
        return Err(JwtError::NotAnObject { part });
    };
    // INVARIANT: what parsed is UTF-8.
    let text = String::from_utf8(bytes).map_err(|_| JwtError::NotAnObject { part })?;
    Ok((text, members))
}

impl fmt::Display for LeewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.secs;
        write!(f, "leeway of {secs} s is more than {MAX_LEEWAY_SECS} s")
    }
}

impl core::error::Error for LeewayError {}
