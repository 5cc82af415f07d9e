//! The programs that run beside the module.

use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use crate::places::Places;
use crate::say::timed;
use std::fs;
use std::path::{Path, PathBuf};

/// What runs in the guest.
const PROGRAMS: [&str; 3] = ["tidelock-agent", "tidelock-ca", "tidelock"];

/// The C library of the guest: Debian 12's.
const GUEST_GLIBC: (u32, u32) = (2, 36);

/// Builds the programs; their paths. As the tests build them, so that nothing is compiled twice: in their profile, and
/// with the features of the whole workspace, tests included, which takes an example. Stripped, because they are copied
/// into every guest.
///
/// # Errors
/// When one does not build.
pub(crate) fn programs(places: &Places) -> Result<Vec<PathBuf>> {
    let bins = PROGRAMS.iter().flat_map(|name| ["--bin", name]);
    let cargo = Cmd::new("cargo")
        .args(["build", "--quiet", "--workspace"])
        .args(bins)
        .args(["--example", "device_fuzz"])
        .dir(&places.repo);
    if !timed("control plane, agent and command line", || cargo.succeeds())? {
        return Err(Failure::new("the programs do not build (see above)"));
    }
    let folder = places.target.join("lab").join("programs");
    fs::create_dir_all(&folder).doing("make the folder", &folder)?;
    PROGRAMS
        .iter()
        .map(|name| stripped(&places.target.join("debug").join(name), &folder))
        .collect()
}

/// A program without what only a debugger reads, in another folder; its path.
///
/// # Errors
/// When there is no such program.
pub(crate) fn stripped(program: &Path, folder: &Path) -> Result<PathBuf> {
    let stripped = folder.join(program.file_name().unwrap_or_default());
    let strip = Cmd::new("strip").arg("-o").arg(&stripped).arg(program);
    strip.run()?;
    Ok(stripped)
}

/// Programs built here run in the guest only if its C library is not older than ours.
///
/// # Errors
/// When it is.
pub(crate) fn check_guest_can_run() -> Result<()> {
    let version = Cmd::new("ldd").arg("--version").output()?;
    match glibc(&version) {
        Some(ours) if ours > GUEST_GLIBC => Err(Failure::new(format!(
            "this machine's C library ({}.{}) is newer than the guest's ({}.{}): programs built here do not run there",
            ours.0, ours.1, GUEST_GLIBC.0, GUEST_GLIBC.1
        ))
        .fix("run the lab on Debian 12, or in a Debian 12 container")),
        _ => Ok(()),
    }
}

/// The version that ends the first line of `ldd --version`.
fn glibc(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text
        .lines()
        .next()?
        .split_whitespace()
        .last()?
        .split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_c_library_is_found() {
        assert_eq!(
            glibc("ldd (Debian GLIBC 2.36-9+deb12u14) 2.36\nmore"),
            Some((2, 36))
        );
        assert_eq!(glibc("no version"), None);
    }
}
