//! Debian's own kernels: found by apt, unpacked, and made ready to boot and to build a module for. And one that looks for
//! mistakes, made from Debian's sources.

mod debug;

use crate::apt::{Index, Package, Release};
use crate::cache::{Cache, Key, remove};
use crate::cmd::Cmd;
use crate::disk::ext4;
use crate::failure::{Doing, Failure, Result};
use crate::places::Places;
use std::fs;
use std::path::{Path, PathBuf};

/// Raised when the way an entry is made changes.
const RECIPE: u32 = 1;

/// What the initramfs must load before the root disk can be read, in this order.
const BOOT_MODULES: [&str; 5] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_console",
    "crc32c_generic",
    "ext4",
];

/// A kernel that the lab knows how to get. Point releases are found by apt, never named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Line {
    /// Debian 12's kernel.
    V6_1,
    /// The kernel of Debian 13, as packaged for Debian 12.
    V6_12,
    /// The newest kernel that is packaged for Debian 13.
    Newest,
    /// The default kernel's sources, built to look for mistakes. Nobody runs it but the lab.
    Debug,
}

impl Line {
    /// Those that are supported, oldest first.
    pub(crate) const ALL: [Self; 3] = [Self::V6_1, Self::V6_12, Self::Newest];

    /// Reads `6.1`, `6.12`, `newest` (also `7`, `7.x`, `7.3`) or `debug`.
    ///
    /// # Errors
    /// For any other word.
    pub(crate) fn parse(word: &str) -> Result<Self> {
        match word {
            "6.1" => Ok(Self::V6_1),
            "6.12" => Ok(Self::V6_12),
            "newest" => Ok(Self::Newest),
            "debug" => Ok(Self::Debug),
            _ if word == "7" || word.starts_with("7.") => Ok(Self::Newest),
            _ => Err(Failure::new(format!("no kernel `{word}`"))
                .fix("there are 6.1, 6.12, newest and debug")),
        }
    }

    /// Its short name, which is also its folder under `target/lab`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::Newest => "newest",
            Self::Debug => "debug",
        }
    }

    /// The Debian release that packages it, which is also where modules for it are built.
    pub(crate) fn debian(self) -> Release {
        match self {
            Self::V6_1 | Self::V6_12 | Self::Debug => Release::Bookworm,
            Self::Newest => Release::Trixie,
        }
    }

    /// How many times as long as on the others things may take on it.
    pub(crate) fn slower(self) -> u32 {
        match self {
            Self::V6_1 | Self::V6_12 | Self::Newest => 1,
            Self::Debug => 6,
        }
    }

    /// How many times as much memory it needs: KASAN keeps account of every byte, and what is freed back for a while.
    pub(crate) fn larger(self) -> u32 {
        match self {
            Self::V6_1 | Self::V6_12 | Self::Newest => 1,
            Self::Debug => 2,
        }
    }

    /// The package that depends on its newest image, if it is packaged.
    fn meta_package(self) -> Option<&'static str> {
        match self {
            Self::V6_1 | Self::Newest => Some("linux-image-cloud-amd64"),
            Self::V6_12 => Some("linux-image-6.12-cloud-amd64"),
            Self::Debug => None,
        }
    }
}

/// A kernel on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// Which one.
    pub line: Line,
    /// What `uname -r` says in it.
    pub release: String,
    dir: PathBuf,
}

impl Kernel {
    /// Finds, downloads and unpacks a kernel, or builds it, or takes it from the cache.
    ///
    /// # Errors
    /// When it cannot be downloaded, unpacked or built.
    pub(crate) fn ensure(places: &Places, line: Line, refresh: bool) -> Result<Self> {
        let Some(meta) = line.meta_package() else {
            let (release, dir) = debug::ensure(places, refresh)?;
            return Ok(Self { line, release, dir });
        };
        let index = Index::open(&places.cache, line.debian(), refresh)?;
        let image = image_package(&index, meta)?;
        let release = image.name.trim_start_matches("linux-image-").to_owned();
        let key = Key::new(RECIPE).with(&image.name).with(&image.version);
        let what = format!("kernel {release}");
        let dir = Cache::new(&places.cache).entry("kernels", &what, key, |dir| {
            make(&index, &image, &release, dir)
        })?;
        Ok(Self { line, release, dir })
    }

    /// The kernel that QEMU boots.
    pub(crate) fn image(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    /// An ext4 image of `/lib/modules`.
    pub(crate) fn modules_disk(&self) -> PathBuf {
        self.dir.join("modules.ext4")
    }

    /// The modules that the initramfs loads, named so that they sort in loading order.
    pub(crate) fn boot_modules(&self) -> PathBuf {
        self.dir.join("boot-modules")
    }

    /// `usr` of the headers: `src/linux-headers-*` and `lib/linux-kbuild-*`.
    pub(crate) fn headers_usr(&self) -> PathBuf {
        self.dir.join("headers")
    }
}

fn image_package(index: &Index, meta: &str) -> Result<Package> {
    let meta = index.newest(meta)?;
    let name = meta
        .depends
        .iter()
        .find(|name| name.starts_with("linux-image-"));
    let name = name.ok_or_else(|| Failure::new(format!("`{}` names no kernel", meta.name)))?;
    index.newest(name)
}

fn make(index: &Index, image: &Package, release: &str, dir: &Path) -> Result<()> {
    let unpacked = dir.join("unpacked");
    fs::create_dir_all(&unpacked).doing("make the folder", &unpacked)?;
    // Newer packages split the image into parts whose names end in the release.
    let headers = index.newest(&format!("linux-headers-{release}"))?;
    let part = |name: &&String| {
        let ours = ["linux-binary-", "linux-modules-", "linux-base-"]
            .map(|prefix| format!("{prefix}{release}"));
        ours.contains(name)
            || name.starts_with("linux-kbuild-")
            || name.starts_with("linux-headers-")
    };
    let mut names: Vec<&String> = image
        .depends
        .iter()
        .chain(&headers.depends)
        .filter(part)
        .collect();
    names.sort();
    names.dedup();
    let mut packages = vec![image.clone(), headers.clone()];
    for name in names {
        packages.push(index.newest(name)?);
    }
    index.unpack(&packages, &unpacked)?;
    sort_out(&unpacked, release, dir)?;
    remove(&unpacked)
}

/// Takes what we need out of the unpacked packages.
fn sort_out(unpacked: &Path, release: &str, dir: &Path) -> Result<()> {
    // Tools differ in where they look, `/lib` or `/usr/lib`: give them both, as a merged system has.
    let root = dir.join("modules");
    let modules = root.join("usr/lib/modules");
    fs::create_dir_all(&modules).doing("make the folder", &modules)?;
    std::os::unix::fs::symlink("usr/lib", root.join("lib")).doing("link", &root)?;
    let ours = modules.join(release);
    take(
        unpacked,
        &["lib/modules", "usr/lib/modules"].map(|path| format!("{path}/{release}")),
        &ours,
    )?;
    let image = [
        format!("boot/vmlinuz-{release}"),
        format!("modules/usr/lib/modules/{release}/vmlinuz"),
    ];
    take(unpacked, &image[..1], &dir.join("vmlinuz"))
        .or_else(|_| take(dir, &image[1..], &dir.join("vmlinuz")))?;
    take(unpacked, &["usr".to_owned()], &dir.join("headers"))?;

    // Decompressing under emulation is slow; do it here, once.
    Cmd::new("find")
        .arg(&modules)
        .args(["-name", "*.ko.xz", "-exec", "xz", "-d", "-T0", "{}", "+"])
        .run()?;
    Cmd::new("depmod").arg("-b").arg(&root).arg(release).run()?;
    collect_boot_modules(&root, release, &dir.join("boot-modules"))?;
    ext4(&modules, &dir.join("modules.ext4"), None)?;
    remove(&root)
}

/// Moves the first of these that exists.
fn take(from: &Path, any_of: &[String], to: &Path) -> Result<()> {
    let found = any_of
        .iter()
        .map(|path| from.join(path))
        .find(|path| path.exists());
    let found = found
        .ok_or_else(|| Failure::new(format!("the packages hold no {}", any_of.join(" or "))))?;
    fs::rename(&found, to).doing("move", &found)
}

/// Copies the modules that the initramfs loads, and what they need, in loading order.
fn collect_boot_modules(root: &Path, release: &str, to: &Path) -> Result<()> {
    fs::create_dir_all(to).doing("make the folder", to)?;
    let mut seen: Vec<PathBuf> = Vec::new();
    for name in BOOT_MODULES {
        let list = Cmd::new("modprobe")
            .arg("-d")
            .arg(root)
            .args(["-S", release, "--show-depends", name])
            .output();
        // Not every kernel has every one of them as a module, or at all: what is missing shows when it boots.
        let list = list.unwrap_or_default();
        for path in list.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let path = PathBuf::from(path.trim());
            if seen.contains(&path) {
                continue;
            }
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let copy = to.join(format!("{:02}-{file}", seen.len()));
            fs::copy(&path, &copy).doing("copy", &path)?;
            seen.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_go_by_short_names() {
        for line in Line::ALL.into_iter().chain([Line::Debug]) {
            assert_eq!(Line::parse(line.label()).expect("its own label"), line);
        }
        assert_eq!(Line::parse("7.x").expect("an alias"), Line::Newest);
        assert!(Line::parse("5.10").is_err());
    }
}
