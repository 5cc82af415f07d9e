//! Disk images, made without mounting anything.

use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use std::fs::File;
use std::path::Path;

/// What an ext4 image is given beyond the size of its files, in percent and in MiB.
const SLACK_PERCENT: u64 = 15;
const SLACK_MIB: u64 = 16;

/// Makes an ext4 image of a folder. `mib` is its size, by default just enough for the files.
///
/// # Errors
/// When the image cannot be made.
pub(crate) fn ext4(folder: &Path, image: &Path, mib: Option<u64>) -> Result<()> {
    let mib = match mib {
        Some(mib) => mib,
        None => {
            let used = folder_mib(folder)?;
            used + used * SLACK_PERCENT / 100 + SLACK_MIB
        }
    };
    // Neither journal nor checksums: an image is thrown away after use, and its kernel needs fewer modules.
    Cmd::new("mke2fs")
        .args([
            "-q",
            "-F",
            "-t",
            "ext4",
            "-m",
            "0",
            "-O",
            "^has_journal,^metadata_csum",
        ])
        .args(["-E", "root_owner=0:0,lazy_itable_init=1", "-d"])
        .arg(folder)
        .arg(image)
        .arg(format!("{mib}M"))
        .output()
        .map(drop)
}

/// Makes a file of this size that takes no room yet.
///
/// # Errors
/// When the file cannot be made.
pub(crate) fn sparse(path: &Path, bytes: u64) -> Result<()> {
    File::create(path)
        .and_then(|file| file.set_len(bytes))
        .doing("create", path)
}

fn folder_mib(folder: &Path) -> Result<u64> {
    let text = Cmd::new("du").args(["-sm"]).arg(folder).output()?;
    let number = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    number.ok_or_else(|| Failure::new(format!("`du` said `{}`", text.trim())))
}
