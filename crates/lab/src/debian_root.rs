//! Root file systems made by mmdebstrap.

use crate::apt::Index;
use crate::cmd::Cmd;
use crate::failure::{Doing, Result};
use crate::host::is_root;
use std::fs;
use std::path::Path;

/// What is left out of every root: nobody reads it there.
const LEFT_OUT: [&str; 5] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
];

/// How much of a root is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Variant {
    /// Debian's essential packages, and those asked for, installed.
    Minimal,
    /// Those asked for and what they depend on, unpacked: no script of theirs runs.
    Unpacked,
}

/// Makes a root of a release with these packages in the folder `tree`.
///
/// # Errors
/// When a package cannot be fetched or installed.
pub(crate) fn make(
    index: &Index,
    variant: Variant,
    packages: &[&str],
    tree: &Path,
    log: &Path,
) -> Result<()> {
    let variant = match variant {
        Variant::Minimal => "essential",
        Variant::Unpacked => "extract",
    };
    let sources = log.with_extension("list");
    let text: String = index
        .sources()
        .iter()
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&sources, text).doing("write", &sources)?;
    let mut cmd = Cmd::new("mmdebstrap")
        .args(["--architectures=amd64", "--skip=check/empty"])
        .arg(format!("--variant={variant}"))
        .arg(format!("--include={}", packages.join(",")))
        .args([
            "--aptopt=APT::Install-Recommends \"false\"",
            "--aptopt=Acquire::Languages \"none\"",
        ]);
    for path in LEFT_OUT {
        cmd = cmd.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    // Device nodes need privileges, and the guest's kernel makes its own.
    let mode = if is_root() {
        "--mode=root"
    } else {
        "--mode=unshare"
    };
    cmd = cmd
        .arg(mode)
        .args(["--skip=output/dev", "--format=directory"]);
    let release = index.codename();
    cmd.arg(release).arg(tree).arg(&sources).log(log).run()
}
