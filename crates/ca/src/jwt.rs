//! JWT authorities: keys that sign JWT-SVIDs for one trust domain.

use std::fmt;

use tidelock_spiffe_core::bundle::{self, BundleSet};
use tidelock_spiffe_core::jwk::{JwkError, PublicKeyError};
use tidelock_spiffe_core::jwt::{
    self, Algorithm, Audience, Claims, JwtError, P256, P384, SigningInput, fixed_signature,
};
use tidelock_spiffe_core::{Bundle, SpiffeIdBuf, TrustDomain, TrustDomainBuf};

use crate::{Entry, KeyAlgorithm, MIN_SVID_TTL_SECS, Serial, Signer, Ttl};

/// A key that signs JWT-SVIDs, under the ID that verifiers find it by.
pub struct JwtAuthority<S> {
    key: S,
    algorithm: Algorithm,
    published: bundle::JwtAuthority,
    /// The bundle that what is signed is verified with: this key alone.
    bundles: BundleSet,
    trust_domain: TrustDomainBuf,
    not_after: i64,
}

/// A JWT-SVID, signed and re-read. The token is a secret: whoever has it is its owner.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct JwtSvid {
    /// Whose it is.
    pub id: SpiffeIdBuf,
    /// What its owner tells it from others by, if the entry says so.
    pub hint: Option<Box<str>>,
    /// The token, in compact form (JWT-SVID §5.1).
    pub token: String,
    /// Its name in `jti`.
    pub token_id: Serial,
    /// When it was made, in seconds since 1970.
    pub issued_at: i64,
    /// The first second in which it is not valid any more, in seconds since 1970.
    pub expires_at: i64,
}

/// Why there is no JWT authority.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtAuthorityError {
    /// A kind of key that signs no JWT-SVID (JWT-SVID §2.1).
    #[error("{0:?} keys sign no JWT-SVID")]
    Kind(KeyAlgorithm),
    /// The signer's public key is none of its kind.
    #[error("the JWT authority's public key was refused")]
    PublicKey(#[from] PublicKeyError),
    /// The key ID was refused.
    #[error("the JWT authority was refused")]
    Jwk(#[from] JwkError),
}

/// Why no JWT-SVID was released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwtIssueError<E> {
    /// The entry's ID belongs to another trust domain than the authority.
    #[error("`{id}` is not of trust domain `{trust_domain}`")]
    OtherTrustDomain {
        /// The entry's ID.
        id: SpiffeIdBuf,
        /// The authority's trust domain.
        trust_domain: TrustDomainBuf,
    },
    /// The authority is no longer valid, or for less than the shortest SVID's life.
    #[error("JWT authority lasts to {not_after}, too short at {now}")]
    AuthorityNotCurrent {
        /// The time now, in seconds since 1970.
        now: i64,
        /// The authority's last second, in seconds since 1970.
        not_after: i64,
    },
    /// The claims make no token: above all, no audience.
    #[error("there is no token to be signed")]
    Claims(#[source] jwt::SignError),
    /// The key did not sign.
    #[error("the key did not sign")]
    Signer(#[source] E),
    /// What the key gave is not the DER of an ECDSA signature on its curve.
    #[error("the signer's signature is malformed")]
    Malformed,
    /// What was signed is not valid, or not what was to be signed: above all, a bad signature.
    #[error("the signed token was not released")]
    Reread(#[source] JwtError),
    /// What was signed says something else than it was to say.
    #[error("the signed token has another {field} than was asked for")]
    Differs {
        /// What is different.
        field: &'static str,
    },
}

impl<S: Signer> JwtAuthority<S> {
    /// Takes up a key under an ID, until `not_after` in seconds since 1970.
    ///
    /// # Errors
    /// A kind of key that signs no JWT-SVID; an ID that is empty or too long.
    pub fn new(
        key: S,
        key_id: &str,
        trust_domain: &TrustDomainBuf,
        not_after: i64,
    ) -> Result<Self, JwtAuthorityError> {
        let kind = key.algorithm();
        let curve = kind.curve().ok_or(JwtAuthorityError::Kind(kind))?;
        let published = bundle::JwtAuthority::new(key_id, kind.public_key(key.public_key())?)?;
        let mut bundle = Bundle::new(trust_domain.clone());
        // An empty bundle has room.
        let _ = bundle.push_jwt(published.clone());
        Ok(Self {
            key,
            algorithm: Algorithm::of_curve(curve),
            published,
            bundles: bundle.into(),
            trust_domain: trust_domain.clone(),
            not_after,
        })
    }

    /// Issues a JWT-SVID for `entry`, to be shown to `audience`, from `now` (in seconds since 1970) for `ttl`, but never
    /// longer than the authority lasts. One audience is the normal case (JWT-SVID §3.2).
    ///
    /// # Errors
    /// See [`JwtIssueError`]. Nothing that failed its re-reading is returned.
    pub fn issue(
        &self,
        entry: &Entry,
        audience: &[&str],
        ttl: Ttl,
        now: i64,
        token_id: Serial,
    ) -> Result<JwtSvid, JwtIssueError<S::Error>> {
        if entry.id().trust_domain() != self.trust_domain() {
            let (id, trust_domain) = (entry.id().clone(), self.trust_domain.clone());
            return Err(JwtIssueError::OtherTrustDomain { id, trust_domain });
        }
        let ends = |secs: u32| now.saturating_add(i64::from(secs));
        if ends(MIN_SVID_TTL_SECS) > self.not_after {
            let not_after = self.not_after;
            return Err(JwtIssueError::AuthorityNotCurrent { now, not_after });
        }
        let jti = token_id.to_string();
        let claims = Claims {
            id: entry.id().as_id(),
            audience,
            issued_at: now,
            expires_at: ends(ttl.as_secs()).min(self.not_after),
            token_id: Some(&jti),
        };
        let token = self.sign(&claims)?;
        self.reread(&token, &claims)?;
        Ok(JwtSvid {
            id: entry.id().clone(),
            hint: entry.hint().map(Box::from),
            token,
            token_id,
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
        })
    }

    fn sign(&self, claims: &Claims<'_>) -> Result<String, JwtIssueError<S::Error>> {
        let input = SigningInput::new(self.algorithm, self.key_id(), claims)
            .map_err(JwtIssueError::Claims)?;
        let der = self
            .key
            .sign(input.as_bytes())
            .map_err(JwtIssueError::Signer)?;
        let curve = self.algorithm.curve();
        let signature = curve
            .and_then(|curve| fixed_signature(curve, &der))
            .ok_or(JwtIssueError::Malformed)?;
        input.into_token(&signature).map_err(JwtIssueError::Claims)
    }

    /// Validates the token as its audience would, and checks that it says what it was to say.
    fn reread(&self, token: &str, claims: &Claims<'_>) -> Result<(), JwtIssueError<S::Error>> {
        let (audience, now) = (Audience::of(claims.audience), claims.issued_at);
        let read = jwt::JwtSvid::validate(token, &self.bundles, audience, now, &(P256, P384))
            .map_err(JwtIssueError::Reread)?;
        let differs = |field| Err(JwtIssueError::Differs { field });
        if read.id() != claims.id {
            return differs("name");
        }
        if !read.audience().eq(claims.audience.iter().copied()) {
            return differs("audience");
        }
        if (read.issued_at(), read.expires_at()) != (Some(claims.issued_at), claims.expires_at) {
            return differs("validity");
        }
        Ok(())
    }
}

impl<S> JwtAuthority<S> {
    /// The trust domain it signs for.
    pub fn trust_domain(&self) -> TrustDomain<'_> {
        self.trust_domain.as_trust_domain()
    }

    /// What the `kid` of its tokens says.
    pub fn key_id(&self) -> &str {
        self.published.key_id()
    }

    /// What goes into the trust domain's bundle (JWT-SVID §6.1).
    pub fn published(&self) -> &bundle::JwtAuthority {
        &self.published
    }

    /// Its last second, in seconds since 1970. A bundle entry has none: it is for the issuer to keep.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }
}

/// Shows everything but the key.
impl<S> fmt::Debug for JwtAuthority<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuthority")
            .field("trust_domain", &self.trust_domain)
            .field("key_id", &self.key_id())
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Shows everything but the token.
impl fmt::Debug for JwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvid")
            .field("id", &self.id)
            .field("token_id", &self.token_id)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
