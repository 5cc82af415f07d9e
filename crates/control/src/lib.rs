//! The control plane as a library: store, attestation, issuance, streams.
//!
//! [`ControlPlane::start`] opens a data directory, sets up a trust domain in it the first time, and serves agents over TLS
//! and administrators over a Unix socket (`tidelock-proto` has both contracts). What users apply are the documents of
//! [`document`]; what outlives a restart goes through [`store::Store`].
//!
//! ```
//! use tidelock_control::{ControlPlane, Options};
//! use tidelock_spiffe_core::TrustDomainBuf;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let options = Options::new(
//!     TrustDomainBuf::parse("example.org")?,
//!     dir.path().join("ca"),
//!     vec!["127.0.0.1:0".parse()?],
//!     dir.path().join("ca.sock"),
//! );
//! let control_plane = ControlPlane::start(options).await?;
//! assert_ne!(control_plane.listening()[0].port(), 0);
//! control_plane.stop().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

#[macro_use]
mod crash;

mod access;
mod admin_service;
pub mod audit;
mod authority;
mod budget;
mod change;
mod clock;
mod coded;
mod convert;
mod core;
mod crl;
mod data_dir;
pub mod document;
mod duration;
mod events;
mod health;
mod joining;
mod journal;
mod jwt;
mod keeping;
mod limit;
mod lost;
mod metrics;
mod name;
mod net;
mod node_service;
mod nodes;
mod reflection;
mod report;
mod revocation;
mod revoked;
mod roles;
mod rotation;
mod server;
mod shared;
mod start_error;
pub mod store;
mod throttle;
mod token;
mod traced;
mod unbuffered;
mod world;
mod yaml;

pub use authority::{
    AuthorityError, AuthorityTiming, BUNDLE_FILE, IssueError, JWKS_FILE, KeyError, PASSPHRASE_FILE,
    Passphrase,
};
pub use budget::MAX_UNEXPIRED_SVIDS;
pub use clock::ClockError;
#[cfg(feature = "crash-points")]
pub use crash::{CRASH_FILE_VARIABLE, CrashPoint};
pub use data_dir::DataDirError;
pub use duration::DurationError;
pub use events::MAX_KEPT_EVENTS;
pub use limit::IssuanceLimit;
pub use lost::Lost;
pub use name::{MAX_NAME_BYTES, Name, NameError};
pub use net::{AdminSocketError, TlsError};
pub use node_service::X509Pop;
pub use server::{ControlPlane, DATABASE_FILE, Options};
pub use start_error::StartError;
pub use tidelock_ca::{NodeRoots, NodeRootsError};
pub use token::{MAX_TOKEN_TTL_SECS, MIN_TOKEN_TTL_SECS, Token, TokenError, TokenHash, TokenId};
pub use yaml::{Pos, SyntaxError};
