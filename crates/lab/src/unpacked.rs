//! Programs of another Debian release than the host's, unpacked into the cache with every library they need.

use crate::apt::{Index, Release};
use crate::cache::{Cache, Key};
use crate::cmd::Cmd;
use crate::debian_root::{self, Variant};
use crate::failure::Result;
use crate::places::Places;
use std::path::{Path, PathBuf};

/// Raised when the way an entry is made changes.
const RECIPE: u32 = 1;

/// Where they come from.
const RELEASE: Release = Release::Trixie;

/// A package with all that it depends on.
#[derive(Clone, Debug)]
pub(crate) struct Unpacked {
    tree: PathBuf,
}

impl Unpacked {
    /// Unpacks a package into the cache, under `kind`, if it is not there.
    ///
    /// # Errors
    /// When a package cannot be fetched or unpacked.
    pub(crate) fn ensure(places: &Places, kind: &str, what: &str, package: &str) -> Result<Self> {
        let key = Key::new(RECIPE).with(package).with(RELEASE.codename());
        let make = |dir: &Path| {
            let index = Index::open(&places.cache, RELEASE, false)?;
            let log = dir.join("mmdebstrap.log");
            debian_root::make(
                &index,
                Variant::Unpacked,
                &[package],
                &dir.join("tree"),
                &log,
            )
        };
        let dir = Cache::new(&places.cache).entry(kind, what, key, make)?;
        Ok(Self {
            tree: dir.join("tree"),
        })
    }

    /// A path inside.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        self.tree.join(path)
    }

    /// Adds one of its programs to a command. Started by its own loader, it takes nothing from the host's libraries.
    pub(crate) fn program(&self, command: Cmd, path: &str) -> Cmd {
        command
            .arg(self.inside("usr/lib64/ld-linux-x86-64.so.2"))
            .arg("--library-path")
            .arg(self.inside("usr/lib/x86_64-linux-gnu"))
            .arg(self.inside(path))
    }
}
