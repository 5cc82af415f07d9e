//! JWT-SVIDs: validating them, and the bytes to be signed to make one.
//!
//! [`JwtSvid::validate`] applies every rule of JWT-SVID and checks the signature with a key of the subject's own trust
//! domain, through a [`JwsVerifier`] of the caller's choice: this crate's own, each behind a feature (`p256`, `p384`,
//! `p521`, `rsa`), or one over another library. A token that was not validated is an [`UnverifiedJwt`], whose name says
//! what its claims are worth.
//!
//! ```
//! use tidelock_spiffe_core::bundle::{Bundle, BundleSet};
//! use tidelock_spiffe_core::jwt::{Audience, JwtError, JwtSvid, P256};
//! use tidelock_spiffe_core::TrustDomainBuf;
//!
//! let jwks = r#"{"keys":[{"kty":"EC","crv":"P-256","use":"jwt-svid","kid":"k1",
//!     "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
//!     "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
//! let bundle = Bundle::from_jwks(TrustDomainBuf::parse("example.org")?, jwks)?;
//! let bundles = BundleSet::from(bundle);
//! let audience = Audience::of(&["spiffe://example.org/reports"]);
//! let now = 1_770_000_000; // seconds since 1970
//!
//! let refused = JwtSvid::validate("no.token.here", &bundles, audience, now, &P256);
//! assert!(matches!(refused, Err(JwtError::Base64 { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod algorithm;
mod claims;
mod error;
mod header;
mod sign;
mod svid;
mod verifiers;
mod verify;

pub use algorithm::{Algorithm, fixed_signature};
pub use error::{JwtError, MemberProblem, Part};
pub use sign::{Claims, SignError, SigningInput};
pub use svid::{Audience, JwtSvid, Leeway, LeewayError, UnverifiedJwt};
#[cfg(feature = "p256")]
pub use verifiers::P256;
#[cfg(feature = "p384")]
pub use verifiers::P384;
#[cfg(feature = "p521")]
pub use verifiers::P521;
#[cfg(feature = "rsa")]
pub use verifiers::Rsa;
pub use verify::{JwsVerifier, VerifyError};

/// Longest token read or made, in bytes. Ours: a 2048-byte SPIFFE ID, as long an audience and an RSA-8192 signature fit
/// in half of it, and HTTP servers refuse longer headers.
pub const MAX_JWT_BYTES: usize = 16_384;

/// Largest [`Leeway`], in seconds. Ours: JWT-SVID's appendix A asks for a small amount.
pub const MAX_LEEWAY_SECS: u32 = 300;
