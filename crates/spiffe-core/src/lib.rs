//! SPIFFE names, SVID rules and bundles, without I/O.
//!
//! Everything that takes bytes from a stranger lives here once, so that the kernel, the agent and the
//! control plane agree on what a name and a certificate say. Borrowed types need no allocator; owned
//! names, PEM and bundles sit behind the feature `alloc`, JWT-SVIDs and JWK sets behind `jwt`, and the
//! checking of a JWT-SVID's signature behind `p256`, `p384`, `p521` and `rsa`.
//!
//! ```
//! use tidelock_spiffe_core::{SpiffeId, SpiffeIdError};
//!
//! let id = SpiffeId::parse("spiffe://example.org/ns/web").unwrap();
//! assert_eq!(id.trust_domain().as_str(), "example.org");
//! assert_eq!(id.path(), "/ns/web");
//! assert!(id.ancestors().eq(["spiffe://example.org", "spiffe://example.org/ns"]));
//!
//! let refused = SpiffeId::parse("spiffe://example.org/ns/");
//! assert_eq!(refused, Err(SpiffeIdError::TrailingSlash { at: 23 }));
//! ```
//!
//! A certificate becomes an [`x509::Leaf`] or an [`x509::SigningCert`] by satisfying the rules of
//! X509-SVID. That says nothing about who signed it: path validation is the caller's. A token becomes
//! a `jwt::JwtSvid` by being validated whole, signature included.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "arbitrary")]
mod arbitrary;
#[cfg(feature = "alloc")]
mod base64;
#[cfg(feature = "alloc")]
pub mod bundle;
pub mod der;
mod id;
#[cfg(feature = "jwt")]
mod json;
#[cfg(feature = "jwt")]
pub mod jwk;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(feature = "alloc")]
mod owned;
#[cfg(feature = "alloc")]
pub mod pem;
mod trust_domain;
pub mod x509;

#[cfg(feature = "alloc")]
pub use bundle::{Bundle, BundleSet};
pub use id::{Ancestors, MAX_PATH_SEGMENTS, MAX_SPIFFE_ID_BYTES, SpiffeId, SpiffeIdError};
#[cfg(feature = "jwt")]
pub use json::JsonError;
#[cfg(feature = "alloc")]
pub use owned::{SpiffeIdBuf, TrustDomainBuf};
pub use trust_domain::{MAX_TRUST_DOMAIN_BYTES, TrustDomain, TrustDomainError};
