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
//!     surroundings: None,
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
#[cfg(feature = "alloc")]
mod branches;
mod cgroup;
mod evidence;
#[cfg(feature = "alloc")]
mod expression;
mod path;
mod script;
mod selector;
#[cfg(feature = "alloc")]
mod selector_buf;
mod selector_error;
#[cfg(feature = "alloc")]
mod selectors;
#[cfg(feature = "alloc")]
mod selectors_error;
mod status;
#[cfg(feature = "alloc")]
mod template;
#[cfg(feature = "alloc")]
mod template_error;
#[cfg(feature = "serde")]
mod text_serde;
#[cfg(feature = "alloc")]
mod variable;

pub use appraisal::{Appraisal, Literal, Mismatch, Why, appraise};
pub use cgroup::{Cgroup, CgroupError, MAX_CGROUP_BYTES, MAX_CGROUP_LINES};
pub use evidence::{ContainerId, Evidence, Script, ScriptSource, Sha256, Surroundings};
#[cfg(feature = "alloc")]
pub use expression::{Expression, OPERATORS};
pub use path::{MAX_PATH_BYTES, PathError};
pub use script::{Invocation, MAX_ARGS, script_of};
pub use selector::{MAX_UNIT_BYTES, Need, Selector, SelectorKind};
#[cfg(feature = "alloc")]
pub use selector_buf::SelectorBuf;
pub use selector_error::SelectorError;
#[cfg(feature = "alloc")]
pub use selectors::{Branch, MAX_BRANCHES, MAX_EXPRESSION_DEPTH, MAX_SELECTORS, Selectors};
#[cfg(feature = "alloc")]
pub use selectors_error::SelectorsError;
pub use status::{MAX_GROUPS, MAX_STATUS_BYTES, Status, StatusError, start_ticks};
#[cfg(feature = "alloc")]
pub use template::{MAX_TEMPLATE_BYTES, Template};
#[cfg(feature = "alloc")]
pub use template_error::{FillError, TemplateError};
#[cfg(feature = "alloc")]
pub use variable::{MAX_VALUE_BYTES, Variable};
