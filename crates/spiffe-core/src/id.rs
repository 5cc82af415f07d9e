//! Borrowed SPIFFE IDs.

use core::fmt;

use crate::{TrustDomain, TrustDomainError};

/// Longest SPIFFE ID accepted or generated, in bytes (SPIFFE-ID §2.3).
pub const MAX_SPIFFE_ID_BYTES: usize = 2048;

/// Most segments that a path can have: what fits in [`MAX_SPIFFE_ID_BYTES`] after `spiffe://x` when
/// every segment is one byte long. Also the most [`Ancestors`] an ID has.
pub const MAX_PATH_SEGMENTS: usize = 1019;

/// What every SPIFFE ID begins with (SPIFFE-ID §2).
pub(crate) const PREFIX: &str = "spiffe://";

/// A SPIFFE ID that satisfies SPIFFE-ID §2, borrowed from its text.
///
/// Scheme and trust domain are in lower case, so it compares byte for byte.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpiffeId<'a> {
    text: &'a str,
    /// Where the trust domain name ends and the path begins.
    path_at: usize,
}

/// Why a SPIFFE ID was refused. `at` counts bytes from the start of the ID.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SpiffeIdError {
    /// The ID is longer than [`MAX_SPIFFE_ID_BYTES`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The ID does not begin with `spiffe://`.
    Scheme,
    /// The scheme is right but not in lower case, which a borrowed ID cannot fold.
    UpperCaseScheme,
    /// The trust domain name is wrong; positions in it count from the start of the name. A port,
    /// user information, query or fragment shows up here or as `BadByte`.
    TrustDomain(TrustDomainError),
    /// Two slashes in a row.
    EmptySegment {
        /// Where the segment should be.
        at: usize,
    },
    /// A path segment that is `.` or `..`.
    DotSegment {
        /// Where the segment begins.
        at: usize,
    },
    /// The path ends with a slash.
    TrailingSlash {
        /// Where the slash is.
        at: usize,
    },
    /// A byte that no path segment may hold.
    BadByte {
        /// The byte.
        byte: u8,
        /// Where it is.
        at: usize,
    },
}

impl<'a> SpiffeId<'a> {
    /// Parses an ID without copying it.
    ///
    /// # Errors
    /// Names the first rule broken, reading left to right; `TooLong` is checked before any byte is
    /// read. Upper case in scheme or trust domain is refused, since folding needs a copy:
    /// `SpiffeIdBuf::parse` folds.
    pub fn parse(text: &'a str) -> Result<Self, SpiffeIdError> {
        if text.len() > MAX_SPIFFE_ID_BYTES {
            return Err(SpiffeIdError::TooLong { len: text.len() });
        }
        let Some(rest) = text.strip_prefix(PREFIX) else {
            return Err(match text.get(..PREFIX.len()) {
                Some(head) if head.eq_ignore_ascii_case(PREFIX) => SpiffeIdError::UpperCaseScheme,
                _ => SpiffeIdError::Scheme,
            });
        };
        let name_bytes = rest.bytes().position(|b| b == b'/').unwrap_or(rest.len());
        let name = rest.get(..name_bytes).unwrap_or(rest);
        TrustDomain::parse(name).map_err(SpiffeIdError::TrustDomain)?;
        let path_at = PREFIX.len().saturating_add(name_bytes);
        let path = text.as_bytes().get(path_at..).unwrap_or_default();
        if !is_plain(path) {
            check_path(path, path_at)?;
        }
        Ok(Self { text, path_at })
    }

    /// Rebuilds an ID from the parts of one that was parsed before.
    #[cfg(feature = "alloc")]
    pub(crate) fn from_checked(text: &'a str, path_at: usize) -> Self {
        Self { text, path_at }
    }

    /// Where the path begins.
    #[cfg(feature = "alloc")]
    pub(crate) fn path_at(self) -> usize {
        self.path_at
    }

    /// The whole ID.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// The trust domain that the ID belongs to.
    pub fn trust_domain(self) -> TrustDomain<'a> {
        let name = self.text.get(PREFIX.len()..self.path_at);
        TrustDomain::from_checked(name.unwrap_or_default())
    }

    /// The path with its leading slash, or `""` for the ID of the trust domain itself.
    pub fn path(self) -> &'a str {
        self.text.get(self.path_at..).unwrap_or_default()
    }

    /// True for the ID of the trust domain itself, which no workload may have (X509-SVID §3.1).
    pub fn is_pathless(self) -> bool {
        self.path().is_empty()
    }

    /// Every shorter ID that this one is under, the trust domain's first, without the ID itself.
    pub fn ancestors(self) -> Ancestors<'a> {
        let end = if self.is_pathless() {
            None
        } else {
            Some(self.path_at)
        };
        Ancestors {
            text: self.text,
            end,
        }
    }
}

/// The IDs above a [`SpiffeId`], shortest first; at most [`MAX_PATH_SEGMENTS`].
#[derive(Clone, Debug)]
pub struct Ancestors<'a> {
    text: &'a str,
    /// Where the next ancestor ends: always at a slash.
    end: Option<usize>,
}

impl<'a> Iterator for Ancestors<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let end = self.end?;
        let after = end.saturating_add(1);
        let rest = self.text.as_bytes().get(after..).unwrap_or_default();
        self.end = rest
            .iter()
            .position(|&b| b == b'/')
            .map(|n| after.saturating_add(n));
        self.text.get(..end)
    }
}

impl core::iter::FusedIterator for Ancestors<'_> {}

impl fmt::Display for SpiffeId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl AsRef<str> for SpiffeId<'_> {
    fn as_ref(&self) -> &str {
        self.text
    }
}

impl fmt::Display for SpiffeIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLong { len } => {
                write!(
                    f,
                    "SPIFFE ID has {len} bytes, more than {MAX_SPIFFE_ID_BYTES}"
                )
            }
            Self::Scheme => write!(f, "SPIFFE ID does not begin with `{PREFIX}`"),
            Self::UpperCaseScheme => f.write_str("SPIFFE ID has its scheme in upper case"),
            Self::TrustDomain(error) => write!(f, "SPIFFE ID: {error}"),
            Self::EmptySegment { at } => {
                write!(f, "SPIFFE ID has an empty path segment at byte {at}")
            }
            Self::DotSegment { at } => {
                write!(f, "SPIFFE ID has path segment `.` or `..` at byte {at}")
            }
            Self::TrailingSlash { at } => {
                write!(f, "SPIFFE ID ends with a slash at byte {at}")
            }
            Self::BadByte { byte, at } => write!(
                f,
                "SPIFFE ID has forbidden byte `{}` at byte {at}",
                byte.escape_ascii()
            ),
        }
    }
}

impl core::error::Error for SpiffeIdError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::TrustDomain(error) => Some(error),
            _ => None,
        }
    }
}

/// True for paths that hold nothing to look at twice: most of them. Every byte is looked at in the same way, with no way
/// out before the end, so that compilers can take many at a time.
fn is_plain(path: &[u8]) -> bool {
    let Some((last, after_first)) = path.last().zip(path.get(1..)) else {
        return true;
    };
    let strange = path.iter().fold(false, |strange, &b| {
        strange | !(is_segment_byte(b) | (b == b'/'))
    });
    let special = path
        .iter()
        .zip(after_first)
        .fold(false, |special, (&a, &b)| {
            special | ((a == b'/') & ((b == b'/') | (b == b'.')))
        });
    !strange & !special & (*last != b'/')
}

/// Checks a path that is empty or begins with a slash at `path_at` of the ID (SPIFFE-ID §2.2).
fn check_path(path: &[u8], path_at: usize) -> Result<(), SpiffeIdError> {
    let Some((_, mut rest)) = path.split_first() else {
        return Ok(());
    };
    let mut at = path_at.saturating_add(1);
    loop {
        let len = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
        let Some((segment, tail)) = rest.split_at_checked(len) else {
            return Ok(());
        };
        check_segment(segment, at, tail.is_empty())?;
        let Some((_, next)) = tail.split_first() else {
            return Ok(());
        };
        at = at.saturating_add(len).saturating_add(1);
        rest = next;
    }
}

fn check_segment(segment: &[u8], at: usize, last: bool) -> Result<(), SpiffeIdError> {
    match segment {
        [] if last => {
            return Err(SpiffeIdError::TrailingSlash {
                at: at.saturating_sub(1),
            });
        }
        [] => return Err(SpiffeIdError::EmptySegment { at }),
        b"." | b".." => return Err(SpiffeIdError::DotSegment { at }),
        _ => {}
    }
    let bad = segment
        .iter()
        .enumerate()
        .find(|&(_, &b)| !is_segment_byte(b));
    bad.map_or(Ok(()), |(n, &byte)| {
        Err(SpiffeIdError::BadByte {
            byte,
            at: at.saturating_add(n),
        })
    })
}

fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}
