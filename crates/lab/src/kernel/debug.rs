//! A kernel that looks for mistakes, made from Debian's sources of the default kernel: KASAN, lockdep, kmemleak and more.
//!
//! It is laid out as Debian's packages lay out theirs, so that all else treats it as one of them.

use super::sort_out;
use crate::apt::{Index, Package, Release};
use crate::cache::{Cache, Key, remove};
use crate::cmd::Cmd;
use crate::debian_root::{self, Variant};
use crate::failure::{Doing, Failure, Result};
use crate::host::is_root;
use crate::places::Places;
use crate::say::timed;
use std::fs;
use std::path::{Path, PathBuf};

/// Raised when the way it is made changes.
const RECIPE: u32 = 1;

/// Debian's sources of the default kernel.
const SOURCE: &str = "linux-source-6.12";

/// What is on, beyond what a kernel cannot be without.
const CONFIG: &str = include_str!("debug.config");

/// What kernels are built with, beyond Debian's essential packages.
const TOOLS: [&str; 11] = [
    "bc",
    "bison",
    "cpio",
    "flex",
    "gcc",
    "kmod",
    "libc6-dev",
    "libelf-dev",
    "make",
    "rsync",
    "xz-utils",
];

/// Where the sources lie in the root that they are built in.
const INSIDE: &str = "mnt";

/// Builds it, or takes it from the cache: its release and its folder.
///
/// # Errors
/// When sources or tools cannot be fetched, or when it does not build.
pub(super) fn ensure(places: &Places, refresh: bool) -> Result<(String, PathBuf)> {
    let index = Index::open(&places.cache, Release::Bookworm, refresh)?;
    let source = index.newest(SOURCE)?;
    let key = Key::new(RECIPE).with(&source.version).with(CONFIG);
    let what = format!("the debug kernel of {} {}", source.name, source.version);
    let cache = Cache::new(&places.cache);
    let dir = cache.entry("kernels", &what, key, |dir| {
        let root = tools(&cache, &index)?;
        make(&index, &source, &root, dir)
    })?;
    let file = dir.join("release");
    let release = fs::read_to_string(&file).doing("read", &file)?;
    Ok((release, dir))
}

/// A root with what kernels are built with.
fn tools(cache: &Cache, index: &Index) -> Result<PathBuf> {
    let key = Key::new(RECIPE).with(index.codename());
    let key = TOOLS.iter().fold(key, |key, package| key.with(package));
    let what = "Debian with what builds kernels";
    let dir = cache.entry("roots", what, key, |dir| {
        let log = dir.join("mmdebstrap.log");
        debian_root::make(index, Variant::Minimal, &TOOLS, &dir.join("tree"), &log)
    })?;
    Ok(dir.join("tree"))
}

fn make(index: &Index, source: &Package, root: &Path, dir: &Path) -> Result<()> {
    let unpacked = dir.join("unpacked");
    fs::create_dir_all(&unpacked).doing("make the folder", &unpacked)?;
    index.unpack(std::slice::from_ref(source), &unpacked)?;
    let archive = unpacked.join(format!("usr/src/{SOURCE}.tar.xz"));
    Cmd::new("tar")
        .arg("-xJf")
        .arg(&archive)
        .arg("-C")
        .arg(&unpacked)
        .run()?;
    remove(&unpacked.join("usr"))?;
    let tree = unpacked.join(SOURCE);
    configure(root, &tree, dir)?;
    let log = dir.join("build.log");
    timed("compiling it, which takes half an hour", || {
        inside(root, &tree, "make -j$(nproc) bzImage modules", &log)
    })?;
    let release = install(root, &tree, &unpacked, dir)?;
    sort_out(&unpacked, &release, dir)?;
    let file = dir.join("release");
    fs::write(&file, release).doing("write", &file)?;
    remove(&unpacked)
}

/// Configures it, and sees that every line of ours counts: what another option rules out is dropped silently.
fn configure(root: &Path, tree: &Path, dir: &Path) -> Result<()> {
    let wanted = tree.join("lab.config");
    fs::write(&wanted, CONFIG).doing("write", &wanted)?;
    let log = dir.join("configure.log");
    inside(
        root,
        tree,
        "KCONFIG_ALLCONFIG=lab.config make allnoconfig",
        &log,
    )?;
    let file = tree.join(".config");
    let got = fs::read_to_string(&file).doing("read", &file)?;
    let lost = lost(CONFIG, &got);
    if lost.is_empty() {
        return Ok(());
    }
    Err(Failure::new("the debug kernel cannot be as debug.config has it").fix(lost.join("\n")))
}

/// The lines of a configuration that are not in another.
fn lost<'a>(wanted: &'a str, got: &str) -> Vec<&'a str> {
    let lines = wanted.lines().filter(|line| line.starts_with("CONFIG_"));
    lines
        .filter(|line| !got.lines().any(|had| had == *line))
        .collect()
}

/// Puts image, modules, and what modules are built with where packages have them; its release.
fn install(root: &Path, tree: &Path, to: &Path, dir: &Path) -> Result<String> {
    let log = dir.join("install.log");
    // Kept until it is taken from there, inside of the tree since that is all that both sides see.
    inside(
        root,
        tree,
        "make modules_install INSTALL_MOD_PATH=lab-installed &&
make run-command KBUILD_RUN_COMMAND='$(srctree)/scripts/package/install-extmod-build lab-headers'",
        &log,
    )?;
    let file = tree.join("include/config/kernel.release");
    let release = fs::read_to_string(&file).doing("read", &file)?;
    let release = release.trim().to_owned();
    let moved = [
        ("arch/x86/boot/bzImage", format!("boot/vmlinuz-{release}")),
        ("lab-installed/lib/modules", "lib/modules".to_owned()),
        ("lab-headers", format!("usr/src/linux-headers-{release}")),
    ];
    for (from, place) in moved {
        let (from, place) = (tree.join(from), to.join(place));
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).doing("make the folder", parent)?;
        }
        fs::rename(&from, &place).doing("move", &from)?;
    }
    // It points to the sources, which go.
    remove(&to.join(format!("lib/modules/{release}/build")))?;
    Ok(release)
}

/// Runs a shell command in the tree, as the root sees it.
fn inside(root: &Path, tree: &Path, command: &str, log: &Path) -> Result<()> {
    let script = format!(
        r#"mount --bind "$1" "$2/{INSIDE}" && mount -t proc proc "$2/proc" &&
exec chroot "$2" sh -ec "cd /{INSIDE}; $3""#
    );
    let mut unshare = Cmd::new("unshare").args(["--mount", "--pid", "--fork"]);
    if !is_root() {
        unshare = unshare.arg("--map-root-user");
    }
    unshare
        .args(["sh", "-c", &script, "sh"])
        .arg(tree)
        .arg(root)
        .arg(command)
        .log(log)
        .run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_the_kernel_does_not_take_is_told() {
        let wanted = "# why\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=y\n";
        let got = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\n";
        assert_eq!(lost(wanted, got), ["CONFIG_B=m", "CONFIG_C=y"]);
        assert!(lost(wanted, wanted).is_empty());
    }
}
