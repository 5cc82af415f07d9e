//! Owned names, folded to lower case where SPIFFE ignores case.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::id::PREFIX;
use crate::{SpiffeId, SpiffeIdError, TrustDomain, TrustDomainError};

/// A [`TrustDomain`] that owns its text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrustDomainBuf(Box<str>);

impl TrustDomainBuf {
    /// Parses a name, folding it to lower case.
    ///
    /// # Errors
    /// As [`TrustDomain::parse`], except that upper case is not one.
    pub fn parse(name: &str) -> Result<Self, TrustDomainError> {
        match TrustDomain::parse(name) {
            Ok(name) => Ok(name.to_buf()),
            // One letter is in upper case and the length is right; the copy decides the rest.
            Err(TrustDomainError::UpperCase { .. }) => {
                TrustDomain::parse(&name.to_ascii_lowercase()).map(TrustDomain::to_buf)
            }
            Err(error) => Err(error),
        }
    }

    /// Borrows the name.
    pub fn as_trust_domain(&self) -> TrustDomain<'_> {
        TrustDomain::from_checked(&self.0)
    }

    /// The name, such as `example.org`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ID of the trust domain itself, such as `spiffe://example.org`.
    pub fn id(&self) -> SpiffeIdBuf {
        let text = [PREFIX, self.as_str()].concat();
        SpiffeIdBuf {
            path_at: text.len(),
            text: text.into(),
        }
    }
}

impl TrustDomain<'_> {
    /// Copies the name.
    pub fn to_buf(self) -> TrustDomainBuf {
        TrustDomainBuf(self.as_str().into())
    }
}

/// A [`SpiffeId`] that owns its text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpiffeIdBuf {
    text: Box<str>,
    path_at: usize,
}

impl SpiffeIdBuf {
    /// Parses an ID, folding scheme and trust domain to lower case; the path keeps its case.
    ///
    /// # Errors
    /// As [`SpiffeId::parse`], except that upper case is not one.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        match SpiffeId::parse(text) {
            Ok(id) => Ok(id.to_buf()),
            Err(
                SpiffeIdError::UpperCaseScheme
                | SpiffeIdError::TrustDomain(TrustDomainError::UpperCase { .. }),
            ) => {
                let folded = fold(text);
                let path_at = SpiffeId::parse(&folded)?.path_at();
                let text = folded.into();
                Ok(Self { text, path_at })
            }
            Err(error) => Err(error),
        }
    }

    /// Builds an ID from a trust domain and path segments; no segments give the domain's own ID.
    ///
    /// # Errors
    /// A segment that is empty, is `.` or `..`, or holds a byte other than `[A-Za-z0-9._-]`
    /// (a slash too), and an ID longer than 2048 bytes. Positions count from the start of the ID.
    pub fn from_segments(
        trust_domain: TrustDomain<'_>,
        segments: &[&str],
    ) -> Result<Self, SpiffeIdError> {
        let mut text = [PREFIX, trust_domain.as_str()].concat();
        for segment in segments {
            text.push('/');
            if let Some(n) = segment.bytes().position(|b| b == b'/') {
                let at = text.len().saturating_add(n);
                return Err(SpiffeIdError::BadByte { byte: b'/', at });
            }
            text.push_str(segment);
        }
        SpiffeId::parse(&text).map(SpiffeId::to_buf)
    }

    /// Borrows the ID.
    pub fn as_id(&self) -> SpiffeId<'_> {
        SpiffeId::from_checked(&self.text, self.path_at)
    }

    /// The whole ID.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain that the ID belongs to.
    pub fn trust_domain(&self) -> TrustDomain<'_> {
        self.as_id().trust_domain()
    }

    /// The path with its leading slash, or `""` for the ID of the trust domain itself.
    pub fn path(&self) -> &str {
        self.as_id().path()
    }
}

impl SpiffeId<'_> {
    /// Copies the ID.
    pub fn to_buf(self) -> SpiffeIdBuf {
        SpiffeIdBuf {
            text: self.as_str().into(),
            path_at: self.path_at(),
        }
    }
}

impl fmt::Display for TrustDomainBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SpiffeIdBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for TrustDomainBuf {
    type Err = TrustDomainError;
    fn from_str(name: &str) -> Result<Self, TrustDomainError> {
        Self::parse(name)
    }
}

impl FromStr for SpiffeIdBuf {
    type Err = SpiffeIdError;
    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        Self::parse(text)
    }
}

impl AsRef<str> for TrustDomainBuf {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for SpiffeIdBuf {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// Puts all before the path in lower case. `text` is at most 2048 bytes long.
fn fold(text: &str) -> String {
    let slashes = text.bytes().enumerate().filter(|&(_, b)| b == b'/');
    let slash = slashes.map(|(at, _)| at).nth(2);
    let path_at = slash.unwrap_or(text.len());
    let mut folded = text.to_owned();
    if let Some(head) = folded.get_mut(..path_at) {
        head.make_ascii_lowercase();
    }
    folded
}
