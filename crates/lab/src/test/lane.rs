//! Tiers about the Rust that a kernel runs.

use super::host::log;
use super::tally::Tally;
use crate::build;
use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use crate::places::Places;
use crate::rustc::{TARGET, kernel_cargo, sysroot};
use crate::watch;
use std::fs;

/// Crates of the kernel lane, without and with what they may take from `alloc`.
const WITHOUT_STD: [(&str, &str); 9] = [
    ("spiffe-core", ""),
    ("spiffe-core", "alloc"),
    ("policy", ""),
    ("policy", "alloc"),
    ("attest", ""),
    ("attest", "alloc"),
    ("kabi", ""),
    ("kabi", "alloc"),
    ("datapath", ""),
];

/// The crates of the kernel lane compile, without a warning, where there is no `std` at all: the lab's sysroot has
/// `core` and `alloc`. Types are enough here; the module's own build turns the same sources into code.
///
/// # Errors
/// When there is no such sysroot.
pub(crate) fn without_std(places: &Places) -> Result<Tally> {
    let sysroot = sysroot(places)?;
    let mut tally = Tally::default();
    for (name, features) in WITHOUT_STD {
        let log = log(places, "no-std");
        let cargo = kernel_cargo(places, &sysroot)
            .args(["check", "--locked", "--lib", "--no-default-features"])
            .args([
                "--package",
                &format!("tidelock-{name}"),
                "--features",
                features,
            ])
            .args(["--target", TARGET, "--profile", "kernel"]);
        let checked = watch::run(cargo, &log).and_then(|()| {
            let text = fs::read_to_string(&log).doing("read", &log)?;
            match text.find("warning:") {
                Some(at) => Err(Failure::new(text[at..].to_owned())),
                None => Ok(()),
            }
        });
        tally.result(&format!("{name} {features}"), checked);
    }
    Ok(tally)
}

/// The Rust half of the module, as it ships, keeps its promises: `kmod/check-rust.sh` says which.
///
/// # Errors
/// When the Rust half does not build.
pub(crate) fn shipped(places: &Places) -> Result<Tally> {
    let mut tally = Tally::default();
    let library = build::rust_library(places)?;
    let checked = Cmd::new("bash")
        .arg(places.repo.join("kmod/check-rust.sh"))
        .arg(&library)
        .output();
    match checked {
        Ok(said) => {
            tally.passed += 1;
            tally.notes.push(said.trim().to_owned());
        }
        Err(failure) => tally.fail("kmod/check-rust.sh", failure.to_string()),
    }
    Ok(tally)
}
