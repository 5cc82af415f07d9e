//! What `/proc/PID/status` and `/proc/PID/stat` tell of a process.

use core::fmt;

/// Most supplementary groups (`NGROUPS_MAX` in Linux).
pub const MAX_GROUPS: usize = 65_536;

/// Longest `/proc/PID/status` that is read: that many groups of ten digits and a space, and 64 KiB of other lines.
pub const MAX_STATUS_BYTES: usize = MAX_GROUPS * 11 + 64 * 1024;

/// The credentials in `/proc/PID/status`, in the user namespace of whoever reads it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status<'a> {
    /// Effective uid.
    pub uid: u32,
    /// Effective gid.
    pub gid: u32,
    groups: &'a [u8],
}

/// Why `/proc/PID/status` or `/proc/PID/stat` was refused. Nothing is known of the process then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StatusError {
    /// Longer than [`MAX_STATUS_BYTES`], or more groups than [`MAX_GROUPS`].
    TooLong,
    /// A line that is needed is not there, or is there twice.
    Missing,
    /// Something else than a number where one is needed.
    BadNumber,
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the status of the process is too long",
            Self::Missing => "the status of the process lacks a line",
            Self::BadNumber => "the status of the process has a malformed number",
        })
    }
}

impl core::error::Error for StatusError {}

impl<'a> Status<'a> {
    /// Reads `/proc/PID/status` (proc_pid_status(5)).
    ///
    /// The name of the process, which it chooses, is escaped by the kernel: it cannot pretend to be another line.
    ///
    /// # Errors
    /// Why nothing can be said. Every doubt is an error.
    pub fn parse(file: &'a [u8]) -> Result<Self, StatusError> {
        if file.len() > MAX_STATUS_BYTES {
            return Err(StatusError::TooLong);
        }
        let status = Self {
            uid: effective(field(file, b"Uid:")?)?,
            gid: effective(field(file, b"Gid:")?)?,
            groups: field(file, b"Groups:")?,
        };
        for (count, group) in words(status.groups).enumerate() {
            if count >= MAX_GROUPS {
                return Err(StatusError::TooLong);
            }
            number::<u32>(group)?;
        }
        Ok(status)
    }

    /// The supplementary groups.
    pub fn groups(&self) -> impl Iterator<Item = u32> + use<'a> {
        // All of them were numbers when it was parsed.
        words(self.groups).filter_map(|group| number(group).ok())
    }
}

/// When a process began, in clock ticks since boot: the 22nd field of `/proc/PID/stat` (proc_pid_stat(5)).
///
/// # Errors
/// Why that cannot be said.
pub fn start_ticks(stat: &[u8]) -> Result<u64, StatusError> {
    /// Fields between the name, which is the 2nd, and the one that is wanted.
    const BETWEEN: usize = 19;
    if stat.len() > MAX_STATUS_BYTES {
        return Err(StatusError::TooLong);
    }
    // The name may hold anything, parentheses too: the last one ends it.
    let (_, rest) = stat
        .iter()
        .rposition(|&byte| byte == b')')
        .and_then(|at| stat.split_at_checked(at.saturating_add(1)))
        .ok_or(StatusError::Missing)?;
    let ticks = words(rest).nth(BETWEEN).ok_or(StatusError::Missing)?;
    number(ticks)
}

/// The line that begins so; there is just one.
fn field<'a>(file: &'a [u8], name: &[u8]) -> Result<&'a [u8], StatusError> {
    let mut lines = file.split(|&byte| byte == b'\n');
    let found = lines.by_ref().find_map(|line| line.strip_prefix(name));
    match (found, lines.any(|line| line.starts_with(name))) {
        (Some(value), false) => Ok(value),
        _ => Err(StatusError::Missing),
    }
}

/// The second of the four numbers: real, effective, saved, file system.
fn effective(line: &[u8]) -> Result<u32, StatusError> {
    let mut numbers = words(line);
    let (Some(_), Some(effective), Some(_), Some(_), None) = (
        numbers.next(),
        numbers.next(),
        numbers.next(),
        numbers.next(),
        numbers.next(),
    ) else {
        return Err(StatusError::BadNumber);
    };
    number(effective)
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = line.split(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
    words.filter(|word| !word.is_empty())
}

fn number<N: core::str::FromStr>(word: &[u8]) -> Result<N, StatusError> {
    let text = core::str::from_utf8(word).map_err(|_| StatusError::BadNumber)?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(StatusError::BadNumber);
    }
    text.parse().map_err(|_| StatusError::BadNumber)
}
