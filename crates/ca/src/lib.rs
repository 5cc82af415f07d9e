//! Who may have which SVID, and the bytes to be signed.
//!
//! A pure library: keys sign through [`Signer`], and `now` and randomness are arguments. What may be
//! issued is an [`Entry`], checked when it is made. What was asked is a [`Csr`], which exists only if
//! its sender proved possession of the key. [`Authority::issue`] joins them: entry → template →
//! to-be-signed bytes → signature → re-read as a stranger would → release. A name, a lifetime or a
//! usage in the request is never looked at. [`JwtAuthority::issue`] does the same for JWT-SVIDs, and
//! [`Authority::crl`] for lists of what is revoked. When authorities come and go is a [`Lifecycle`]'s; how their keys lie on disk, [`sealed`]'s.
//!
//! ```
//! use tidelock_ca::{Authority, Csr, Entry, Serial, Ttl};
//! use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomainBuf, x509::Leaf};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = 1_770_000_000; // seconds since 1970
//! let random = || Serial::from_random([7; 16]); // 16 bytes from a real source, fresh each time
//!
//! let trust_domain = TrustDomainBuf::parse("example.org")?;
//! let key = rcgen::KeyPair::generate()?;
//! let authority = Authority::self_signed(key, &trust_domain, now, now + 86_400, random())?;
//!
//! let workload_key = rcgen::KeyPair::generate()?;
//! let request = tidelock_ca::request(&workload_key)?;
//!
//! let id = SpiffeIdBuf::parse("spiffe://example.org/web")?;
//! let entry = Entry::workload(id, Ttl::from_secs(3600)?)?;
//! let svid = authority.issue(&entry, &Csr::parse(&request)?, now, random())?;
//!
//! let leaf = Leaf::parse(&svid.chain[0])?;
//! assert_eq!(leaf.id.as_str(), "spiffe://example.org/web");
//! assert_eq!(leaf.not_after, now + 3600);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod algorithm;
mod authority;
mod crl;
mod csr;
mod entry;
mod jwt;
mod lifecycle;
mod names;
mod node_certificate;
mod reread;
pub mod sealed;
mod serial;
mod signer;
mod template;

pub use algorithm::KeyAlgorithm;
pub use authority::{Authority, AuthorityError, IssueError, Svid};
pub use crl::{CrlEntry, CrlError, CrlTimes, MAX_CRL_ENTRIES};
pub use csr::{Csr, CsrError, MAX_CSR_BYTES, request};
pub use entry::{
    Entry, EntryError, MAX_HINT_BYTES, MAX_SVID_TTL_SECS, MIN_SVID_TTL_SECS, RESERVED_SEGMENT, Ttl,
    TtlError,
};
pub use jwt::{JwtAuthority, JwtAuthorityError, JwtIssueError, JwtSvid};
pub use lifecycle::{
    Command, Lifecycle, LifecycleError, MAX_REMEMBERED, Notice, Slot, State, Timing, TimingError,
};
pub use names::{MAX_DNS_NAME_BYTES, MAX_SERVER_NAMES, ServerName, ServerNameError};
pub use node_certificate::{
    MAX_NODE_CHAIN, MAX_NODE_ROOTS, NodeCertificate, NodeCertificateError, NodeRoots,
    NodeRootsError,
};
pub use reread::RereadError;
pub use serial::{SERIAL_BYTES, Serial};
pub use signer::{SignError, Signer};
pub use template::{BACKDATE_SECS, MAX_NOT_AFTER};
