//! A Debian with a kernel's headers, and with what builds its modules: where the lab builds its own, and what a machine
//! that packages are installed on is made of.

use crate::apt::{Index, Release};
use crate::cache::{Cache, Key};
use crate::cmd::Cmd;
use crate::debian_root::{self, Variant};
use crate::failure::Result;
use crate::kernel::Kernel;
use crate::places::Places;
use std::path::{Path, PathBuf};

/// Raised when the way an entry is made changes.
const RECIPE: u32 = 1;

/// What there is beyond Debian's essential packages, whichever release it is.
const PACKAGES: [&str; 11] = [
    "curl",
    "dkms",
    "gcc",
    "iproute2",
    "kmod",
    "libc6-dev",
    "make",
    "openssl",
    "procps",
    "python3",
    "systemd",
];

/// The root of the kernel's own release, in the cache. Nobody writes to its files: they are links to each other.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn ensure(places: &Places, kernel: &Kernel) -> Result<PathBuf> {
    let cache = Cache::new(&places.cache);
    let base = base(&cache, places, kernel.line.debian())?;
    let headers = kernel.headers_usr();
    let key = Key::new(RECIPE)
        .with(base.to_string_lossy().as_bytes())
        .with(headers.to_string_lossy().as_bytes());
    let what = format!("Debian with the headers of {}", kernel.release);
    let dir = cache.entry("roots-by-kernel", &what, key, |dir| {
        let tree = dir.join("tree");
        link(&base.join("tree"), &tree)?;
        link(&headers.join("."), &tree.join("usr/"))
    })?;
    Ok(dir.join("tree"))
}

fn base(cache: &Cache, places: &Places, release: Release) -> Result<PathBuf> {
    // The kernel's compiler, and what its tools are linked with.
    let more: &[&str] = match release {
        Release::Bookworm => &["gcc-12", "libelf1"],
        Release::Trixie => &["gcc-14", "libelf1t64", "libssl3t64"],
    };
    let packages = [&PACKAGES, more].concat();
    let key = Key::new(RECIPE).with(release.codename());
    let key = packages.iter().fold(key, |key, package| key.with(package));
    let what = format!("Debian {} with what builds modules", release.codename());
    cache.entry("roots", &what, key, |dir| {
        let index = Index::open(&places.cache, release, false)?;
        let log = dir.join("mmdebstrap.log");
        debian_root::make(&index, Variant::Minimal, &packages, &dir.join("tree"), &log)
    })
}

/// Copies a tree whose files nobody writes to.
///
/// # Errors
/// When it cannot be copied.
pub(crate) fn link(from: &Path, to: &Path) -> Result<()> {
    Cmd::new("cp").arg("-al").arg(from).arg(to).run()
}
