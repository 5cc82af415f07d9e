//! A machine as people have it: a Debian with systemd, dkms and a kernel's headers, where packages are installed by dpkg.
//!
//! It is installed here and then booted: an emulated machine would take minutes over what dkms compiles.

use crate::cache::{Cache, Key, remove};
use crate::cmd::Cmd;
use crate::disk::ext4;
use crate::failure::{Doing, Result};
use crate::headers_root;
use crate::host::is_root;
use crate::kernel::Kernel;
use crate::places::Places;
use crate::say::timed;
use std::fs;
use std::path::{Path, PathBuf};

/// Raised when the way an entry is made changes.
const RECIPE: u32 = 1;

/// The size of its disk. It is sparse, and writes to it are thrown away.
const DISK_MIB: u64 = 3 * 1024;

/// Installs packages, the module's among them, on a machine with this kernel; its disk. Boot it with `snapshot=on`.
///
/// # Errors
/// When the machine cannot be made, or a package not be installed.
pub(crate) fn disk(places: &Places, kernel: &Kernel, debs: &[PathBuf]) -> Result<PathBuf> {
    let plain = plain(places, kernel)?;
    let dir = places.for_kernel(kernel.line.label())?.join("installed");
    let _lock = Cache::new(&places.lab).lock(
        &format!("installed-{}", kernel.line.label()),
        "a machine with packages",
    )?;
    remove(&dir)?;
    fs::create_dir_all(&dir).doing("make the folder", &dir)?;
    let tree = dir.join("tree");
    // Copies, not links: what is installed writes to files that are there.
    Cmd::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(plain.join("tree"))
        .arg(&tree)
        .run()?;
    let packages = tree.join("lab-packages");
    fs::create_dir_all(&packages).doing("make the folder", &packages)?;
    for deb in debs {
        let copy = packages.join(deb.file_name().unwrap_or_default());
        fs::copy(deb, &copy).doing("copy", deb)?;
    }
    timed(&format!("dpkg and dkms for {}", kernel.release), || {
        install(places, kernel, &tree, &dir.join("install.log"))
    })?;
    let disk = dir.join("root.ext4");
    ext4(&tree, &disk, Some(DISK_MIB))?;
    remove(&tree)?;
    Ok(disk)
}

fn install(places: &Places, kernel: &Kernel, tree: &Path, log: &Path) -> Result<()> {
    let mut unshare = Cmd::new("unshare").args(["--mount", "--pid", "--fork"]);
    if !is_root() {
        unshare = unshare.arg("--map-root-user");
    }
    unshare
        .arg("sh")
        .arg(places.repo.join("crates/lab/guest/install.sh"))
        .arg(tree)
        .arg(&kernel.release)
        .log(log)
        .run()
}

/// The machine before anything is installed.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn plain(places: &Places, kernel: &Kernel) -> Result<PathBuf> {
    let base = headers_root::ensure(places, kernel)?;
    let modules_disk = kernel.modules_disk();
    let key = Key::new(RECIPE)
        .with(base.to_string_lossy().as_bytes())
        .with(modules_disk.to_string_lossy().as_bytes());
    let what = format!("a machine with {}", kernel.release);
    Cache::new(&places.cache).entry("machines", &what, key, |dir| {
        let tree = dir.join("tree");
        headers_root::link(&base, &tree)?;
        modules(kernel, &tree)
    })
}

/// Puts a kernel's modules where its package has them.
fn modules(kernel: &Kernel, tree: &Path) -> Result<()> {
    let to = tree.join("usr/lib/modules");
    fs::create_dir_all(&to).doing("make the folder", &to)?;
    let request = format!("rdump /{} {}", kernel.release, to.display());
    let ours = to.join(&kernel.release);
    remove(&ours)?;
    Cmd::new("debugfs")
        .args(["-R", &request])
        .arg(kernel.modules_disk())
        .output()?;
    // It ends with success whatever it found.
    fs::metadata(ours.join("modules.dep"))
        .map(drop)
        .doing("find", &ours.join("modules.dep"))
}
