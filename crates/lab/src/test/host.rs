//! Tiers that need nothing but cargo: formatting, lints, documentation, tests.

use super::harness;
use super::tally::Tally;
use crate::cmd::Cmd;
use crate::failure::{Doing, Result};
use crate::places::Places;
use crate::watch;
use std::fs;
use std::path::PathBuf;

/// Sources are formatted.
///
/// # Errors
/// When cargo cannot be run.
pub(crate) fn formatting(places: &Places) -> Result<Tally> {
    let mut tally = Tally::default();
    let fmt = cargo(places, &["fmt", "--all", "--check"]).args(["--", "--files-with-diff"]);
    tally.result("workspace", watch::run(fmt, &log(places, "fmt")));
    Ok(tally)
}

/// Clippy has nothing to say. Every feature is on: each crate's tests ask for all of its own.
///
/// # Errors
/// When cargo cannot be run.
pub(crate) fn lints(places: &Places) -> Result<Tally> {
    let mut tally = Tally::default();
    let clippy = cargo(
        places,
        &["clippy", "--workspace", "--all-targets", "--locked"],
    )
    .args(["--", "-Dwarnings"]);
    tally.result("workspace", watch::run(clippy, &log(places, "clippy")));
    Ok(tally)
}

/// Documentation builds without a warning. Libraries, then the lab: the other programs have no more than a `main`, and
/// their documentation would overwrite that of the libraries of the same names.
///
/// # Errors
/// When cargo cannot be run.
pub(crate) fn documentation(places: &Places) -> Result<Tally> {
    let mut tally = Tally::default();
    let build = |which: &[&str], name: &str| {
        let cargo = cargo(places, &["doc", "--no-deps", "--locked"])
            .args(which)
            .env("RUSTDOCFLAGS", "-Dwarnings");
        watch::run(cargo, &log(places, name))
    };
    tally.result("libraries", build(&["--workspace", "--lib"], "doc"));
    tally.result(
        "lab",
        build(&["--package", "tidelock-lab", "--bins"], "doc-lab"),
    );
    Ok(tally)
}

/// Unit, property, integration and documentation tests. The programs and examples that guests run are built with
/// them, so that nothing is compiled twice.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn tests(places: &Places) -> Result<Tally> {
    let log = log(places, "tests");
    let cargo = cargo(
        places,
        &["test", "--workspace", "--no-fail-fast", "--locked"],
    );
    let ended = watch::run(cargo, &log);
    let text = fs::read(&log).doing("read", &log)?;
    let mut tally = harness::read(&String::from_utf8_lossy(&text));
    if let (Err(failure), true) = (ended, tally.failed.is_empty()) {
        tally.fail("cargo test", failure.to_string());
    }
    Ok(tally)
}

/// A cargo for the host, in the repository.
pub(crate) fn cargo(places: &Places, args: &[&str]) -> Cmd {
    Cmd::new("cargo")
        .args(args)
        .env("CARGO_TERM_COLOR", "never")
        .dir(&places.repo)
}

/// Where a tier's output goes.
pub(crate) fn log(places: &Places, name: &str) -> PathBuf {
    places.lab.join(format!("test-{name}.log"))
}
