//! Hashing one file object, and knowing that it is the one that was executed.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// Largest executable that is hashed, in bytes: 1 GiB takes seconds, and the grant deadline is of that order.
pub const MAX_EXE_BYTES: u64 = 1 << 30;

/// How coarse file times are, at worst: Linux stamps them with the clock of the last timer tick, and
/// the slowest tick it can be built with is that of `CONFIG_HZ=100`, 10 ms.
///
/// A change of a file whose ctime is older than this at the time of looking gets another ctime. A
/// younger one could change again unseen, within the same tick: its digest proves nothing yet.
pub const CTIME_TICK: Duration = Duration::from_millis(10);

/// Bytes read at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// Which content a file object has: the kernel changes one of these with every change of the content.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FileId {
    /// The device, as `stat(2)` gives it; the module encodes its evidence the same way.
    pub dev: u64,
    /// The inode.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Change time: nanoseconds since 1970.
    pub ctime_ns: i64,
}

/// Why an executed file has no digest. The process then matches no hash selector.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The process, or its pid, is gone.
    #[error("the process has ended")]
    Gone,
    /// The file cannot be opened, stat'ed or read.
    #[error("cannot read the executed file: {0}")]
    Io(ErrorKind),
    /// Not the file that was executed, or it changed since.
    #[error("the file is {found:?}, executed was {executed:?}")]
    Changed {
        /// What the kernel saw at exec.
        executed: FileId,
        /// What is there now.
        found: FileId,
    },
    /// Larger than [`MAX_EXE_BYTES`].
    #[error("the executed file has {size} bytes, at most {MAX_EXE_BYTES} are hashed")]
    TooLarge {
        /// Its size.
        size: u64,
    },
    /// Its ctime lies in the future: whether it changed cannot be told.
    #[error("the executed file's ctime lies {ahead_ms} ms in the future")]
    Future {
        /// How far.
        ahead_ms: u64,
    },
}

impl FileId {
    /// What an open file has now.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.len(),
            ctime_ns: metadata
                .ctime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.ctime_nsec()),
        }
    }
}

/// Hashes the file that a process executes. Blocks.
///
/// `link` is `/proc/PID/exe`: opening it opens the very file object, whatever its path leads to now.
/// The pid may have been reused, so it only says where to look: what is hashed has to be `executed`,
/// before and after.
///
/// # Errors
/// Why there is no digest. Every doubt is an error.
pub fn digest_of(link: &Path, executed: FileId) -> Result<Digest, HashError> {
    if executed.size > MAX_EXE_BYTES {
        return Err(HashError::TooLarge {
            size: executed.size,
        });
    }
    settle(executed.ctime_ns)?;
    let mut file = File::open(link).map_err(io)?;
    same(&file, executed)?;
    let digest = read_all(&mut file, executed)?;
    same(&file, executed)?;
    Ok(digest)
}

/// Waits until a change of the file would show in its ctime. That is nearly always long past.
fn settle(ctime_ns: i64) -> Result<(), HashError> {
    let ctime = Duration::from_nanos(u64::try_from(ctime_ns).unwrap_or(0));
    let settled = ctime + CTIME_TICK;
    let now = now();
    if settled < now {
        return Ok(());
    }
    let wait = settled - now;
    if wait > CTIME_TICK * 2 {
        let ahead_ms = u64::try_from((ctime.saturating_sub(now)).as_millis()).unwrap_or(u64::MAX);
        return Err(HashError::Future { ahead_ms });
    }
    // One nanosecond more: older than a tick, not as old.
    std::thread::sleep(wait + Duration::from_nanos(1));
    Ok(())
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn same(file: &File, executed: FileId) -> Result<(), HashError> {
    let found = FileId::of(&file.metadata().map_err(io)?);
    if found == executed {
        Ok(())
    } else {
        Err(HashError::Changed { executed, found })
    }
}

fn read_all(file: &mut File, executed: FileId) -> Result<Digest, HashError> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = executed.size;
    loop {
        let count = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(io(error)),
        };
        let bytes = u64::try_from(count).unwrap_or(u64::MAX);
        let Some(rest) = left.checked_sub(bytes) else {
            let found = FileId::of(&file.metadata().map_err(io)?);
            return Err(HashError::Changed { executed, found });
        };
        left = rest;
        hasher.update(chunk.get(..count).unwrap_or_default());
    }
    if left > 0 {
        return Err(HashError::Io(ErrorKind::UnexpectedEof));
    }
    Ok(hasher.finalize().into())
}

fn io(error: std::io::Error) -> HashError {
    /// `ESRCH`: the process ended between opening and reading.
    const ESRCH: i32 = 3;
    match error.kind() {
        ErrorKind::NotFound => HashError::Gone,
        _ if error.raw_os_error() == Some(ESRCH) => HashError::Gone,
        kind => HashError::Io(kind),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn id_of(path: &Path) -> FileId {
        FileId::of(&std::fs::metadata(path).unwrap())
    }

    fn expected(content: &[u8]) -> Digest {
        Sha256::digest(content).into()
    }

    #[test]
    fn a_file_that_is_what_was_executed_has_its_digest() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let content = vec![7; CHUNK_BYTES * 2 + 5];
        file.write_all(&content).unwrap();
        assert_eq!(
            digest_of(file.path(), id_of(file.path())),
            Ok(expected(&content))
        );
    }

    #[test]
    fn a_young_file_is_hashed_only_once_a_change_would_show() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"x").unwrap();
        let id = id_of(file.path());
        digest_of(file.path(), id).unwrap();
        let age = now().as_nanos() as i64 - id.ctime_ns;
        assert!(age > CTIME_TICK.as_nanos() as i64, "{age}");
    }

    #[test]
    fn another_file_in_its_place_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"permitted").unwrap();
        let executed = id_of(file.path());
        let mut other = tempfile::NamedTempFile::new().unwrap();
        other.write_all(b"permittee").unwrap();
        let refused = digest_of(other.path(), executed);
        assert!(
            matches!(refused, Err(HashError::Changed { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn a_file_written_since_is_refused_though_its_length_is_the_same() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"permitted").unwrap();
        let executed = id_of(file.path());
        std::thread::sleep(CTIME_TICK * 2);
        std::fs::write(file.path(), b"permittee").unwrap();
        let refused = digest_of(file.path(), executed);
        assert!(
            matches!(refused, Err(HashError::Changed { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn a_running_process_is_hashed_through_proc_even_when_its_path_leads_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sleeper");
        std::fs::copy("/bin/sleep", &path).unwrap();
        let mut child = Command::new(&path)
            .arg("30")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let link = format!("/proc/{}/exe", child.id());
        let executed = id_of(Path::new(&link));
        std::fs::rename(&path, dir.path().join("moved")).unwrap();
        std::fs::write(&path, b"something else").unwrap();
        let executed = FileId {
            ctime_ns: id_of(Path::new(&link)).ctime_ns,
            ..executed
        };
        let digest = digest_of(Path::new(&link), executed);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(digest, Ok(expected(&std::fs::read("/bin/sleep").unwrap())));
    }

    #[test]
    fn a_pid_that_is_gone_is_said_to_be() {
        let executed = FileId {
            dev: 1,
            ino: 1,
            size: 1,
            ctime_ns: 1,
        };
        assert_eq!(
            digest_of(Path::new("/proc/4194305/exe"), executed),
            Err(HashError::Gone)
        );
    }

    #[test]
    fn what_cannot_be_hashed_in_time_or_lies_in_the_future_is_refused() {
        let huge = FileId {
            dev: 1,
            ino: 1,
            size: MAX_EXE_BYTES + 1,
            ctime_ns: 1,
        };
        let refused = digest_of(Path::new("/bin/sh"), huge);
        assert_eq!(refused, Err(HashError::TooLarge { size: huge.size }));
        let ahead = now().as_nanos() as i64 + 3_600_000_000_000;
        let refused = digest_of(
            Path::new("/bin/sh"),
            FileId {
                size: 1,
                ctime_ns: ahead,
                ..huge
            },
        );
        assert!(
            matches!(refused, Err(HashError::Future { .. })),
            "{refused:?}"
        );
    }
}
