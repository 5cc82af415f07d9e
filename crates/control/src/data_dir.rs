//! The data directory: who may use it, and files in it that are whole or absent.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Anyone may look in: the bundle is for everyone, and what is not has its own mode.
const DIRECTORY_MODE: u32 = 0o755;

/// The mode of private keys.
const SECRET_MODE: u32 = 0o600;

/// The mode of what everyone may read.
const PUBLIC_MODE: u32 = 0o644;

const LOCK_FILE: &str = "lock";

/// What a file's name ends with while it is written, until it takes the place of the one without.
const UNFINISHED: &str = ".new";

/// The rights that others than its owner may not have on a secret.
pub(crate) const OTHERS: u32 = 0o077;

/// Most that is read of a secret, in bytes: more than a sealed key takes.
const MAX_SECRET_BYTES: usize = tidelock_ca::sealed::MAX_SEALED_BYTES + 1;

/// A data directory that no other process uses while this value lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    lock: File,
}

/// Why the data directory, or a file in it, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// Another process uses it.
    #[error("another control plane is using the data directory `{}`", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Others could read a private key.
    #[error("`{}` can be read or written by others (mode {mode:04o}); make it `chmod 600`", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Drop for DataDir {
    /// Lets go of the lock itself: a process that this one has forked keeps a copy of the descriptor, and the lock with it, until
    /// it executes a program.
    fn drop(&mut self) {
        // Closing it is left.
        let _ = self.lock.unlock();
    }
}

impl DataDir {
    /// Opens the directory, creating it if need be, and keeps others out.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(DIRECTORY_MODE);
        builder
            .create(path)
            .map_err(failed("create the directory", path))?;
        let lock_path = path.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(false)
            .mode(SECRET_MODE);
        let lock = options
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {
                forget_unfinished(path).map_err(failed("tidy up", path))?;
                Ok(Self {
                    path: path.to_owned(),
                    lock,
                })
            }
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failed("lock", &lock_path)(source)),
        }
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a secret that nobody but its owner can read.
    pub(crate) fn read_secret(&self, name: &str) -> Result<Zeroizing<String>, DataDirError> {
        read_secret(&self.file(name), OTHERS)
    }

    /// Whether there is a file of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    /// The first file by name that is wanted.
    pub(crate) fn find(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Option<String>, DataDirError> {
        let list = || -> io::Result<Option<String>> {
            let mut first = None;
            for entry in std::fs::read_dir(&self.path)? {
                let name = entry?.file_name().into_string().ok();
                let name = name.filter(|name| wanted(name));
                first = [first, name].into_iter().flatten().min();
            }
            Ok(first)
        };
        list().map_err(failed("list", &self.path))
    }

    /// Removes a file, durably; one that is not there is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DataDirError> {
        let path = self.file(name);
        let remove = || match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                crash_point!(KeyUnlinked);
                File::open(&self.path)?.sync_all()
            }
        };
        remove().map_err(failed("remove", &path))
    }

    /// Writes a private key that only its owner can read, durably.
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> Result<(), DataDirError> {
        self.write(name, text, SECRET_MODE)
    }

    /// Writes what everyone may read, durably, unless it says so already.
    pub(crate) fn write_public(&self, name: &str, text: &str) -> Result<(), DataDirError> {
        if std::fs::read(self.file(name)).is_ok_and(|found| found == text.as_bytes()) {
            return Ok(());
        }
        self.write(name, text, PUBLIC_MODE)
    }

    /// Writes beside the file, then takes its place.
    fn write(&self, name: &str, text: &str, mode: u32) -> Result<(), DataDirError> {
        let (path, new) = (self.file(name), self.file(&format!("{name}{UNFINISHED}")));
        let write = || -> io::Result<()> {
            match std::fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(mode).open(&new)?;
            // Whatever the umask says.
            file.set_permissions(std::fs::Permissions::from_mode(mode))?;
            crash_point!(if mode == SECRET_MODE, KeyCreated, else BundleCreated);
            file.write_all(text.as_bytes())?;
            crash_point!(if mode == SECRET_MODE, KeyWritten, else BundleWritten);
            file.sync_all()?;
            crash_point!(if mode == SECRET_MODE, KeySynced, else BundleSynced);
            std::fs::rename(&new, &path)?;
            crash_point!(if mode == SECRET_MODE, KeyRenamed, else BundleRenamed);
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|error| {
            // A key, perhaps, and perhaps room that is needed. The next start would remove it.
            let _ = std::fs::remove_file(&new);
            failed("write", &path)(error)
        })
    }
}

/// Removes what was being written when a control plane ended: a key, perhaps, that nobody asks for any more.
fn forget_unfinished(path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .ends_with(UNFINISHED.as_bytes())
        {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Reads a file that nobody has the rights `refused` on, which are bits of its mode.
pub(crate) fn read_secret(path: &Path, refused: u32) -> Result<Zeroizing<String>, DataDirError> {
    let file = File::open(path).map_err(failed("read", path))?;
    let metadata = file.metadata().map_err(failed("read", path))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & refused != 0 {
        let path = path.to_owned();
        return Err(DataDirError::Exposed { path, mode });
    }
    // All at once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_SECRET_BYTES));
    file.take(MAX_SECRET_BYTES as u64)
        .read_to_string(&mut text)
        .map_err(failed("read", path))?;
    Ok(text)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> (tempfile::TempDir, DataDir) {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = DataDir::open(&temp.path().join("a/b")).expect("open");
        (temp, dir)
    }

    #[test]
    fn a_data_directory_has_one_user() {
        let (temp, dir) = dir();
        let again = DataDir::open(&temp.path().join("a/b"));
        assert!(matches!(again, Err(DataDirError::InUse { .. })));
        drop(dir);
        assert!(DataDir::open(&temp.path().join("a/b")).is_ok());
    }

    #[test]
    fn a_forked_process_keeps_no_directory() {
        let (temp, dir) = dir();
        let inherited = dir.lock.try_clone().expect("clone");
        drop(dir);
        assert!(DataDir::open(&temp.path().join("a/b")).is_ok());
        drop(inherited);
    }

    #[test]
    fn secrets_are_for_their_owner_alone() {
        let (_temp, dir) = dir();
        dir.write_secret("k", "secret").expect("write");
        let mode = |name: &str| {
            std::fs::metadata(dir.file(name))
                .expect("metadata")
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(
            (dir.read_secret("k").expect("read").as_str(), mode("k")),
            ("secret", 0o600)
        );
        dir.write_public("p", "public").expect("write");
        assert_eq!(mode("p"), 0o644);
        let open = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(dir.file("k"), open).expect("chmod");
        let refused = dir.read_secret("k");
        assert!(matches!(
            refused,
            Err(DataDirError::Exposed { mode: 0o640, .. })
        ));
    }

    #[test]
    fn a_left_over_does_not_keep_a_file_from_being_written() {
        let (_temp, dir) = dir();
        std::fs::write(dir.file("k.new"), "half").expect("write");
        dir.write_secret("k", "whole").expect("write");
        assert_eq!(dir.read_secret("k").expect("read").as_str(), "whole");
        assert!(!dir.file("k.new").exists());
    }

    #[test]
    fn what_was_being_written_is_not_kept() {
        let (temp, dir) = dir();
        dir.write_secret("k", "whole").expect("write");
        std::fs::write(dir.file("l.new"), "half").expect("write");
        drop(dir);
        let dir = DataDir::open(&temp.path().join("a/b")).expect("open");
        assert!(dir.has("k") && !dir.has("l.new"));
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let (_temp, dir) = dir();
        std::fs::create_dir(dir.file("a.key")).expect("in its place");
        dir.write_secret("a.key", "secret").expect_err("in the way");
        assert!(!dir.has("a.key.new"));
    }

    #[test]
    fn a_directory_that_cannot_be_is_named() {
        let temp = tempfile::tempdir().expect("temp dir");
        let file = temp.path().join("file");
        std::fs::write(&file, "").expect("write");
        let error = DataDir::open(&file.join("dir"))
            .expect_err("refused")
            .to_string();
        assert!(
            error.starts_with("cannot create the directory `"),
            "{error}"
        );
    }
}
