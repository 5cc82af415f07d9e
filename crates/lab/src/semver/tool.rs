//! cargo-semver-checks, compiled once and kept.

use crate::cache::{Cache, Key, remove};
use crate::cmd::Cmd;
use crate::failure::{Failure, Result};
use crate::places::Places;
use crate::watch;
use std::path::PathBuf;

/// It reads the rustdoc of this version of the compiler's: each reads those of a few, and says so when it does not.
const VERSION: &str = "0.51.0";

/// Raised when the way it is compiled changes.
const RECIPE: u32 = 1;

/// It asks for link-time optimisation, which takes longer than all that it is then asked to do.
const QUICKLY: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
];

/// The program, compiled if need be.
///
/// # Errors
/// When its sources cannot be fetched, or do not compile.
pub(super) fn ensure(places: &Places) -> Result<PathBuf> {
    let what = format!("cargo-semver-checks {VERSION}");
    let key = Key::new(RECIPE).with(VERSION);
    let dir = Cache::new(&places.cache).entry("semver-checks", &what, key, |dir| {
        let built = dir.join("built");
        let install = Cmd::new("cargo")
            .args(["install", "--locked", "cargo-semver-checks"])
            .args(["--version", VERSION, "--root"])
            .arg(dir)
            .env("CARGO_TARGET_DIR", &built)
            .env("CARGO_TERM_COLOR", "never");
        let install = QUICKLY
            .iter()
            .fold(install, |install, (name, value)| install.env(name, value));
        // The log is not in the folder, which is not kept if this fails.
        watch::run(install, &places.lab.join("semver-install.log")).map_err(|failure| {
            Failure::new(format!("cannot make {what}: {failure}")).fix(
                "it comes from cargo's registry: if that answers, the log says what else is wrong; then run this again",
            )
        })?;
        remove(&built)
    })?;
    Ok(dir.join("bin/cargo-semver-checks"))
}
