//! What is slow to make is kept, keyed by what it was made from.
//!
//! An entry is a folder `KIND/KEY`. It is made under another name and then renamed, so an entry that exists is
//! whole; a lock file per entry lets parallel runs wait for one another instead of making it twice.

use crate::failure::{Doing, Result};
use crate::say::{say, timed};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// How many bytes of the digest name an entry: 64 bits are plenty for a folder of a few dozen.
const KEY_BYTES: usize = 8;

/// A key: the hash of everything that an entry is made from.
#[derive(Clone)]
pub(crate) struct Key(Sha256);

impl Key {
    /// Starts a key. Raise `recipe` when the code that makes the entry changes.
    pub(crate) fn new(recipe: u32) -> Self {
        Self(Sha256::new()).with(recipe.to_string())
    }

    /// Adds one ingredient.
    pub(crate) fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.update(part.len().to_le_bytes());
        self.0.update(part);
        self
    }

    fn name(self) -> String {
        self.0
            .finalize()
            .iter()
            .take(KEY_BYTES)
            .fold(String::new(), |mut name, byte| {
                // Writing to a `String` cannot fail.
                let _ = write!(name, "{byte:02x}");
                name
            })
    }
}

/// The cache folder.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// A cache in this folder.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The entry `kind/key`; `make` fills an empty folder with it if it does not exist yet.
    ///
    /// # Errors
    /// What `make` says, or when the folder cannot be written.
    pub(crate) fn entry(
        &self,
        kind: &str,
        what: &str,
        key: Key,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let name = key.name();
        let entry = self.root.join(kind).join(&name);
        if entry.is_dir() {
            return Ok(entry);
        }
        let _lock = self.lock(&format!("{kind}-{name}"), what)?;
        if entry.is_dir() {
            return Ok(entry);
        }
        let fresh = self.root.join("tmp").join(format!("{kind}-{name}"));
        remove(&fresh)?;
        fs::create_dir_all(&fresh).doing("make the folder", &fresh)?;
        timed(&format!("making {what}"), || make(&fresh))?;
        let parent = self.root.join(kind);
        fs::create_dir_all(&parent).doing("make the folder", &parent)?;
        fs::rename(&fresh, &entry).doing("put in place", &entry)?;
        Ok(entry)
    }

    /// Holds the lock `name` until the returned file is dropped.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub(crate) fn lock(&self, name: &str, what: &str) -> Result<File> {
        let dir = self.root.join("locks");
        fs::create_dir_all(&dir).doing("make the folder", &dir)?;
        let path = dir.join(name);
        let file = File::create(&path).doing("create", &path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                say(format!("waiting for another run that works on {what}"));
                file.lock().doing("lock", &path)?;
            }
            Err(TryLockError::Error(error)) => return Err(error).doing("lock", &path),
        }
        Ok(file)
    }
}

/// Removes a file or a folder, if there is one.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing("remove", path)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("tidelock-lab-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("the temporary folder is writable");
        dir
    }

    #[test]
    fn parts_of_a_key_do_not_run_into_one_another() {
        assert_ne!(
            Key::new(1).with("ab").with("c").name(),
            Key::new(1).with("a").with("bc").name()
        );
    }

    #[test]
    fn an_entry_is_made_once() {
        let dir = scratch("once");
        let cache = Cache::new(&dir);
        let mut made = 0;
        for _ in 0..2 {
            let entry = cache
                .entry("thing", "a thing", Key::new(1), |path| {
                    made += 1;
                    fs::write(path.join("file"), "x").doing("write", path)
                })
                .expect("it can be made");
            assert!(entry.join("file").is_file());
        }
        assert_eq!(made, 1);
        fs::remove_dir_all(dir).expect("it exists");
    }

    #[test]
    fn a_failed_entry_is_not_kept() {
        let dir = scratch("failed");
        let cache = Cache::new(&dir);
        let result = cache.entry("thing", "a thing", Key::new(1), |_| Err(Failure::new("no")));
        assert!(result.is_err());
        assert!(
            cache
                .entry("thing", "a thing", Key::new(1), |_| Ok(()))
                .is_ok()
        );
        fs::remove_dir_all(dir).expect("it exists");
    }
}
