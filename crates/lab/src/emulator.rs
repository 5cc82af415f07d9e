//! QEMU, of a Debian release that has a sound one, kept in the cache: the host's is not used.
//!
//! Emulating several CPUs, QEMU before 8.1 could translate a page of code while another CPU was writing to it. Linux
//! patches its own code all the time, so once in hundreds of boots a CPU saw a half-made patch: `Oops: int3`. Debian 12
//! has QEMU 7.2. A new one also emulates `fork()` three times as fast.

use crate::apt::{Index, Release};
use crate::cache::{Cache, Key};
use crate::cmd::Cmd;
use crate::debian_root::{self, Variant};
use crate::failure::Result;
use crate::places::Places;
use std::path::{Path, PathBuf};

/// Raised when the way the entry is made changes.
const RECIPE: u32 = 1;

/// The package that has the program, and what it needs comes with it.
const PACKAGE: &str = "qemu-system-x86";

/// An unpacked QEMU with every library it needs.
#[derive(Clone, Debug)]
pub(crate) struct Emulator {
    tree: PathBuf,
}

impl Emulator {
    /// Unpacks it into the cache if it is not there.
    ///
    /// # Errors
    /// When a package cannot be fetched or unpacked.
    pub(crate) fn ensure(places: &Places) -> Result<Self> {
        let release = Release::Trixie;
        let key = Key::new(RECIPE).with(PACKAGE).with(release.codename());
        let make = |dir: &Path| {
            let index = Index::open(&places.cache, release, false)?;
            let log = dir.join("mmdebstrap.log");
            debian_root::make(
                &index,
                Variant::Unpacked,
                &[PACKAGE],
                &dir.join("tree"),
                &log,
            )
        };
        let dir = Cache::new(&places.cache).entry("emulators", "the emulator", key, make)?;
        Ok(Self {
            tree: dir.join("tree"),
        })
    }

    /// QEMU, without its arguments. It ends with us, whatever ends us: a signal too.
    ///
    /// Started by its own loader, it takes nothing from the host's libraries.
    pub(crate) fn command(&self) -> Cmd {
        let inside = |path: &str| self.tree.join(path);
        Cmd::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(inside("usr/lib64/ld-linux-x86-64.so.2"))
            .arg("--library-path")
            .arg(inside("usr/lib/x86_64-linux-gnu"))
            .arg(inside("usr/bin/qemu-system-x86_64"))
            .arg("-L")
            .arg(inside("usr/share/qemu"))
            .arg("-L")
            .arg(inside("usr/share/seabios"))
    }
}
