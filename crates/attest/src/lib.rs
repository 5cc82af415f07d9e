//! Evidence, selectors and their appraisal, without I/O.
//!
//! Evidence says what a process is; selectors say what a workload must be; appraisal compares them and
//! names the first selector that does not fit. Nothing here believes evidence from where an attacker can
//! forge it: each [`Selector`] documents who can.
//!
//! ```
//! use tidelock_attest::{Evidence, Invocation, Selectors, script_of};
//!
//! let selectors = Selectors::parse([
//!     "unix:path:/usr/bin/python3.11",
//!     "unix:script:/srv/app.py",
//!     "unix:uid:1000",
//! ])?;
//!
//! // `python3` is not the identity of a script: find out what it was asked to run.
//! let mut buf = [0; 1024];
//! let invocation = Invocation {
//!     exe: b"/usr/bin/python3.11",
//!     argv: b"python3\0-u\0app.py\0",
//!     argv_cut: false,
//!     cwd: b"/srv",
//!     shebang: None,
//! };
//! let evidence = Evidence {
//!     pid: 4711,
//!     uid: 33,
//!     gid: 33,
//!     exe: invocation.exe,
//!     sha256: None,
//!     script: script_of(&invocation, &mut buf),
//!     cwd: invocation.cwd,
//!     argv: invocation.argv,
//!     host_paths: true,
//!     unhashable: false,
//! };
//! let appraisal = selectors.matches(&evidence);
//! assert!(!appraisal.matched());
//! let mismatch = appraisal.first_mismatch().unwrap();
//! assert_eq!(mismatch.to_string(), "`unix:uid:1000` does not match: the uid is 33");
//! # Ok::<(), tidelock_attest::SelectorsError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod appraisal;
mod evidence;
mod path;
mod script;
mod selector;
mod selector_error;
#[cfg(feature = "alloc")]
mod selectors;
#[cfg(feature = "serde")]
mod text_serde;

pub use appraisal::{Appraisal, Mismatch, Why, appraise};
pub use evidence::{Evidence, Script, ScriptSource, Sha256};
pub use path::{MAX_PATH_BYTES, PathError};
pub use script::{Invocation, MAX_ARGS, script_of};
pub use selector::{Selector, SelectorKind};
pub use selector_error::SelectorError;
#[cfg(feature = "alloc")]
pub use selectors::{MAX_SELECTORS, SelectorBuf, Selectors, SelectorsError};
