//! Absolute paths, as selectors write them and as evidence has them.

use core::fmt;

/// Longest path that evidence can hold (`TL_PATH_MAX` in `kmod/shim.h`).
pub const MAX_PATH_BYTES: usize = 1024;

/// Why a path was refused. `at` counts bytes from the start of the path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PathError {
    /// It does not begin with a slash.
    NotAbsolute,
    /// It is longer than [`MAX_PATH_BYTES`], so no evidence can match.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A segment is empty, `.` or `..`: the kernel never reports such a path.
    Segment {
        /// Where the segment begins.
        at: usize,
    },
    /// A control character.
    Control {
        /// Where it is.
        at: usize,
    },
}

impl PathError {
    /// Where the path is wrong.
    #[must_use]
    pub const fn at(&self) -> usize {
        match *self {
            Self::NotAbsolute => 0,
            Self::TooLong { .. } => MAX_PATH_BYTES,
            Self::Segment { at } | Self::Control { at } => at,
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAbsolute => f.write_str("the path does not begin with `/`"),
            Self::TooLong { len } => {
                write!(f, "the path has {len} bytes, more than {MAX_PATH_BYTES}")
            }
            Self::Segment { .. } => {
                f.write_str("the path has an empty, `.` or `..` segment, which no process has")
            }
            Self::Control { .. } => f.write_str("the path has a control character"),
        }
    }
}

/// Checks that a path is one that the kernel could report.
pub(crate) fn check(path: &str) -> Result<(), PathError> {
    let Some(names) = path.strip_prefix('/') else {
        return Err(PathError::NotAbsolute);
    };
    if path.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong { len: path.len() });
    }
    if let Some((at, _)) = path.char_indices().find(|(_, c)| c.is_control()) {
        return Err(PathError::Control { at });
    }
    let mut at = 1_usize;
    for name in names.split('/') {
        if matches!(name, "" | "." | "..") {
            return Err(PathError::Segment { at });
        }
        at = at.saturating_add(name.len()).saturating_add(1);
    }
    Ok(())
}

/// Writes the absolute path of `path`, seen from `cwd`, without `.` and empty segments.
///
/// `None` if it does not fit, or `cwd` is needed and not absolute, or a segment is `..`: behind a
/// symbolic link only the file system knows where that leads.
pub(crate) fn absolute<'b>(cwd: &[u8], path: &[u8], buf: &'b mut [u8]) -> Option<&'b [u8]> {
    let base = if path.first() == Some(&b'/') {
        &[][..]
    } else {
        cwd
    };
    if path.is_empty() || (base.first() != Some(&b'/') && path.first() != Some(&b'/')) {
        return None;
    }
    let mut len = 0_usize;
    let segments = base
        .split(|&byte| byte == b'/')
        .chain(path.split(|&byte| byte == b'/'));
    for segment in segments.filter(|segment| !matches!(*segment, b"" | b".")) {
        if segment == b".." {
            return None;
        }
        let end = len.checked_add(segment.len())?.checked_add(1)?;
        let (slash, name) = buf.get_mut(len..end)?.split_first_mut()?;
        *slash = b'/';
        name.iter_mut()
            .zip(segment)
            .for_each(|(to, from)| *to = *from);
        len = end;
    }
    buf.get(..len).filter(|path| !path.is_empty())
}
