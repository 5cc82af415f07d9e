//! Names of documents and nodes.

use std::fmt;

use tidelock_spiffe_core::{TrustDomain, TrustDomainError};

/// Longest name, in bytes: a DNS label's length (RFC 1035 §2.3.4), so that a node's name fits wherever a host's does.
pub const MAX_NAME_BYTES: usize = 63;

/// The name of a document or node: `[a-z0-9]([a-z0-9._-]*[a-z0-9])?`, at most [`MAX_NAME_BYTES`]. Always a valid SPIFFE path segment,
/// but for that of a TrustDomain document, which is any trust domain's.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(Box<str>);

/// Why a name was refused. `at` counts bytes from the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No name at all.
    #[error("is empty")]
    Empty,
    /// Longer than [`MAX_NAME_BYTES`].
    #[error("is {len} bytes long; at most {MAX_NAME_BYTES} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A byte that no name may hold.
    #[error(
        "has {found:?} at byte {at}; only `a` to `z`, `0` to `9`, `.`, `_` and `-` are allowed"
    )]
    BadCharacter {
        /// The character.
        found: char,
        /// Where it starts.
        at: usize,
    },
    /// Begins or ends with punctuation.
    #[error("has to begin and end with a letter or digit")]
    BadEnd,
    /// Not the name of a trust domain.
    #[error("is not the name of a trust domain: {0}")]
    TrustDomain(TrustDomainError),
}

impl Name {
    /// Parses a name.
    ///
    /// # Errors
    /// Names the first rule broken; the length is checked before any byte is read.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if text.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong { len: text.len() });
        }
        if let Some((at, found)) = text
            .char_indices()
            .find(|&(_, c)| !alphanumeric(c) && !matches!(c, '.' | '_' | '-'))
        {
            return Err(NameError::BadCharacter { found, at });
        }
        match (text.chars().next(), text.chars().next_back()) {
            (Some(first), Some(last)) if alphanumeric(first) && alphanumeric(last) => {
                Ok(Self(text.into()))
            }
            (Some(_), Some(_)) => Err(NameError::BadEnd),
            _ => Err(NameError::Empty),
        }
    }

    /// Parses the name of a document about a trust domain, which is the trust domain's: at most 255 bytes (SPIFFE-ID §2.3).
    ///
    /// # Errors
    /// If no trust domain can have this name.
    pub(crate) fn of_trust_domain(text: &str) -> Result<Self, NameError> {
        match TrustDomain::parse(text) {
            Ok(name) => Ok(Self(name.as_str().into())),
            Err(error) => Err(NameError::TrustDomain(error)),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_labels() {
        for good in [
            "a",
            "0",
            "web",
            "node-1.example.org",
            "a_b",
            &"a".repeat(63),
        ] {
            assert_eq!(Name::parse(good).expect(good).as_str(), good);
        }
        let refused = [
            ("", NameError::Empty),
            ("Web", NameError::BadCharacter { found: 'W', at: 0 }),
            ("a/b", NameError::BadCharacter { found: '/', at: 1 }),
            ("a\n", NameError::BadCharacter { found: '\n', at: 1 }),
            ("é", NameError::BadCharacter { found: 'é', at: 0 }),
            ("-a", NameError::BadEnd),
            ("a.", NameError::BadEnd),
            (".", NameError::BadEnd),
            ("..", NameError::BadEnd),
        ];
        for (text, why) in refused {
            assert_eq!(Name::parse(text), Err(why), "{text:?}");
        }
        assert_eq!(
            Name::parse(&"a".repeat(64)),
            Err(NameError::TooLong { len: 64 })
        );
    }
}
