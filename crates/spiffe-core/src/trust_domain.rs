//! Trust domain names.

use core::fmt;

/// Longest trust domain name, in bytes (SPIFFE-ID §2.3).
pub const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// A trust domain name that satisfies SPIFFE-ID §2.1: `[a-z0-9._-]`, 1 to 255 bytes.
///
/// Always in lower case, so it compares byte for byte. A name that looks like an IPv4 address is an
/// ordinary name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrustDomain<'a>(&'a str);

/// Why a trust domain name was refused. `at` counts bytes from the start of the name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TrustDomainError {
    /// The name is empty.
    Empty,
    /// The name is longer than [`MAX_TRUST_DOMAIN_BYTES`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A letter in upper case, which a borrowed name cannot fold.
    UpperCase {
        /// The letter.
        byte: u8,
        /// Where it is.
        at: usize,
    },
    /// A byte that no trust domain name may hold.
    BadByte {
        /// The byte.
        byte: u8,
        /// Where it is.
        at: usize,
    },
}

impl<'a> TrustDomain<'a> {
    /// Parses a name without copying it.
    ///
    /// # Errors
    /// Names the first rule broken, reading left to right; `TooLong` is checked before any byte is
    /// read. Upper case is refused: use `TrustDomainBuf::parse` where it must be folded.
    pub fn parse(name: &'a str) -> Result<Self, TrustDomainError> {
        match name.len() {
            0 => return Err(TrustDomainError::Empty),
            len if len > MAX_TRUST_DOMAIN_BYTES => return Err(TrustDomainError::TooLong { len }),
            // Every byte in the same way, so that compilers can take many at a time; most names end here.
            _ if name.bytes().fold(true, |fine, b| fine & is_name_byte(b)) => {
                return Ok(Self(name));
            }
            _ => {}
        }
        match name
            .bytes()
            .enumerate()
            .find(|&(_, byte)| !is_name_byte(byte))
        {
            None => Ok(Self(name)),
            Some((at, byte)) if byte.is_ascii_uppercase() => {
                Err(TrustDomainError::UpperCase { byte, at })
            }
            Some((at, byte)) => Err(TrustDomainError::BadByte { byte, at }),
        }
    }

    /// Wraps a name that was checked when the value it is cut from was made.
    pub(crate) fn from_checked(name: &'a str) -> Self {
        Self(name)
    }

    /// The name, such as `example.org`.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Display for TrustDomain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for TrustDomainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("trust domain name is empty"),
            Self::TooLong { len } => write!(
                f,
                "trust domain name has {len} bytes, more than {MAX_TRUST_DOMAIN_BYTES}"
            ),
            Self::UpperCase { byte, at } => write!(
                f,
                "trust domain name has upper-case `{}` at byte {at}",
                byte.escape_ascii()
            ),
            Self::BadByte { byte, at } => write!(
                f,
                "trust domain name has forbidden byte `{}` at byte {at}",
                byte.escape_ascii()
            ),
        }
    }
}

impl core::error::Error for TrustDomainError {}

fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_')
}
