//! Path prefixes, by which SPIFFE IDs are shared out among operators.

use std::fmt;

use tidelock_ca::RESERVED_SEGMENT;
use tidelock_spiffe_core::SpiffeIdBuf;

/// What stands for every path.
const EVERYTHING: &str = "/";

/// A prefix of the paths of SPIFFE IDs, by whole segments: `/pay` holds `/pay` and `/pay/web`, not `/payments`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PathPrefix(
    /// `/`, or segments each after a slash, with none at the end.
    Box<str>,
);

/// Why a prefix was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// No path at all.
    #[error("has to begin with `/`")]
    NotAbsolute,
    /// No SPIFFE ID has such a path.
    #[error(
        "is the beginning of no SPIFFE ID's path: that has one slash before each segment, and segments of letters, digits, `.`, `-` \
         and `_` which are not `.` or `..`"
    )]
    NoPath,
    /// Tidelock's own.
    #[error(
        "is Tidelock's own; what lies below `/{RESERVED_SEGMENT}` is shared out to nobody but with `/`"
    )]
    Reserved,
}

impl PathPrefix {
    /// The prefix of everything.
    #[must_use]
    pub fn everything() -> Self {
        Self(EVERYTHING.into())
    }

    /// Parses a prefix. `/payments` and `/payments/` are the same.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        if text == EVERYTHING {
            return Ok(Self::everything());
        }
        if !text.starts_with('/') {
            return Err(PrefixError::NotAbsolute);
        }
        let path = text.strip_suffix('/').unwrap_or(text);
        // Whatever the trust domain is: a path is a path.
        let id = SpiffeIdBuf::parse(&format!("spiffe://td{path}"));
        let id = id.map_err(|_| PrefixError::NoPath)?;
        let first = id.path().split('/').nth(1).unwrap_or_default();
        if first.eq_ignore_ascii_case(RESERVED_SEGMENT) {
            return Err(PrefixError::Reserved);
        }
        Ok(Self(path.into()))
    }

    /// Is it the prefix of everything?
    #[must_use]
    pub fn is_everything(&self) -> bool {
        &*self.0 == EVERYTHING
    }

    /// Does this path, of a SPIFFE ID or of a template of such, lie at or below it? Of a template, what it is filled in with is
    /// part of a segment and never a segment of a prefix, so that all that comes of it lies there or nothing is said to.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        self.is_everything() || path.strip_prefix(&*self.0).is_some_and(below)
    }

    /// As documents write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> PathPrefix {
        PathPrefix::parse(text).expect(text)
    }

    #[test]
    fn a_prefix_holds_whole_segments_and_itself() {
        let pay = prefix("/pay");
        for inside in ["/pay", "/pay/web", "/pay/web/1", "/pay/{{node.name}}"] {
            assert!(pay.contains(inside), "{inside}");
        }
        for outside in [
            "",
            "/",
            "/payments",
            "/payments/pay",
            "/a/pay",
            "/Pay/web",
            "/pay{{unix.uid}}",
            "/{{node.name}}/pay",
            "/pa",
        ] {
            assert!(!pay.contains(outside), "{outside}");
        }
        assert_eq!(prefix("/pay/"), pay);
        assert!(
            ["", "/pay", "/tidelock/agent/n"].map(|path| prefix("/").contains(path)) == [true; 3]
        );
    }

    #[test]
    fn what_begins_no_path_of_a_workload_is_no_prefix() {
        for text in [
            "",
            "pay",
            "//",
            "/pay//",
            "/a//b",
            "/..",
            "/a/.",
            "/a b",
            "/é",
            "/{{node.name}}",
        ] {
            assert!(PathPrefix::parse(text).is_err(), "{text}");
        }
        for text in ["/tidelock", "/Tidelock/agent", "/tidelock/operator/alice"] {
            assert_eq!(
                PathPrefix::parse(text),
                Err(PrefixError::Reserved),
                "{text}"
            );
        }
        assert!(PathPrefix::parse("/tidelocks").is_ok());
    }
}
