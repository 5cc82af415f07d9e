//! The guest's root disk and its initramfs.

use crate::apt::{Index, Release};
use crate::cache::{Cache, Key, remove};
use crate::cmd::{Cmd, installed};
use crate::debian_root::{self, Variant};
use crate::disk::ext4;
use crate::failure::{Doing, Failure, Result};
use crate::kernel::Kernel;
use crate::places::Places;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Raised when the way an entry is made changes.
const RECIPE: u32 = 1;

/// The size of the root disk. It is sparse, and writes to it are thrown away.
const ROOT_MIB: u64 = 6 * 1024;

/// What the guest has beyond Debian's essential packages.
const PACKAGES: &[&str] = &[
    "bash",
    "bsdextrautils",
    "ca-certificates",
    "coreutils",
    "curl",
    "file",
    "gawk",
    "gcc",
    "iperf3",
    "iproute2",
    "iputils-ping",
    "kmod",
    "libc6-dev",
    "libcap2-bin",
    "mount",
    "netcat-openbsd",
    "nginx-light",
    "nodejs",
    "openssh-client",
    "openssh-server",
    "openssl",
    "postgresql",
    "procps",
    "psmisc",
    "python3",
    "redis-server",
    "redis-tools",
    "socat",
    "strace",
    "tcpdump",
    "util-linux",
    "wget",
    "wrk",
    "xxd",
];

/// The first program of the initramfs.
const INITRAMFS_INIT: &str = include_str!("../guest/initramfs-init.sh");

/// The guest's root disk, made if need be. Boot it with `snapshot=on`.
///
/// # Errors
/// When a package cannot be fetched or the image cannot be made.
pub(crate) fn root_disk(places: &Places) -> Result<PathBuf> {
    let key = PACKAGES
        .iter()
        .fold(Key::new(RECIPE), |key, package| key.with(package));
    let make = |dir: &Path| {
        let index = Index::open(&places.cache, Release::Bookworm, false)?;
        let tree = dir.join("tree");
        debian_root::make(
            &index,
            Variant::Minimal,
            PACKAGES,
            &tree,
            &dir.join("mmdebstrap.log"),
        )?;
        trim(&tree)?;
        ext4(&tree, &dir.join("root.ext4"), Some(ROOT_MIB))?;
        remove(&tree)
    };
    let dir = Cache::new(&places.cache).entry("guests", "the guest's root image", key, make)?;
    Ok(dir.join("root.ext4"))
}

/// Takes the host's traces out of the tree.
fn trim(tree: &Path) -> Result<()> {
    let write = |path: &str, text: &str| {
        let path = tree.join(path);
        remove(&path)?;
        fs::write(&path, text).doing("write", &path)
    };
    write("etc/resolv.conf", "")?;
    write("etc/hostname", "node-a\n")?;
    write("etc/machine-id", "")
}

/// The initramfs of a kernel: busybox, a few modules, and a script.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn initramfs(places: &Places, kernel: &Kernel) -> Result<PathBuf> {
    let modules = kernel.boot_modules();
    let key = Key::new(RECIPE)
        .with(modules.to_string_lossy().as_bytes())
        .with(INITRAMFS_INIT);
    let make = |dir: &Path| {
        let tree = dir.join("tree");
        for part in ["bin", "dev", "proc", "sys", "new"] {
            let path = tree.join(part);
            fs::create_dir_all(&path).doing("make the folder", &path)?;
        }
        fs::copy(busybox()?, tree.join("bin/busybox")).doing("copy busybox to", &tree)?;
        Cmd::new("cp")
            .arg("-r")
            .arg(&modules)
            .arg(tree.join("modules"))
            .run()?;
        let init = tree.join("init");
        fs::write(&init, INITRAMFS_INIT).doing("write", &init)?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755))
            .doing("make executable", &init)?;
        // Not compressed: an emulated CPU unpacks slower than it reads.
        let script = "find . | cpio --quiet -o -H newc -R 0:0 > ../initramfs.cpio";
        Cmd::new("sh").args(["-c", script]).dir(&tree).run()?;
        remove(&tree)
    };
    let what = format!("the initramfs of {}", kernel.release);
    let dir = Cache::new(&places.cache).entry("initramfs", &what, key, make)?;
    Ok(dir.join("initramfs.cpio"))
}

fn busybox() -> Result<PathBuf> {
    let found = ["/bin/busybox", "/usr/bin/busybox"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file());
    debug_assert_eq!(found.is_some(), installed("busybox"));
    found.ok_or_else(|| {
        Failure::new("`busybox` is not installed").fix("apt-get install busybox-static")
    })
}
