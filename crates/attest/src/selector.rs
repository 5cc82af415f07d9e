//! Selectors: one thing that a workload must be.

use core::fmt;

use crate::evidence::Sha256;
use crate::path;
use crate::selector_error::SelectorError;

/// One thing that a workload must be, borrowed from its text.
///
/// In text: `unix:`, the name, `:`, the value. [`Selector::parse`] reads what [`Display`](fmt::Display)
/// writes. The environment is no evidence: whoever chooses a program's environment (`LD_PRELOAD`,
/// `PYTHONPATH`, `BASH_ENV`) or may trace it (same uid) chooses what it does, under any selector.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Selector<'a> {
    /// `unix:uid:1000`: the effective uid in the initial user namespace.
    ///
    /// Forged by: host root; whoever may run code under this uid, a setuid program included. Not by root
    /// of a container or user namespace, unless this very uid is mapped into it.
    Uid(u32),
    /// `unix:gid:33`: the effective gid in the initial user namespace.
    ///
    /// Forged by: host root; every member of the group (`newgrp`, setgid programs).
    Gid(u32),
    /// `unix:path:/usr/bin/curl`: the path of the executed file, symbolic links resolved. So write
    /// `/usr/bin/python3.11` where `/usr/bin/python3` is a link to it.
    ///
    /// Matches only where paths are the host's. Forged by: host root; whoever may write the file or
    /// replace a directory above it, or mount over it in the initial mount namespace. It does not fix the
    /// content: [`Selector::Sha256`] does.
    Path(&'a str),
    /// `unix:sha256:<64 hexadecimal digits>`: the content of the executed file.
    ///
    /// Matches no file whose content can change unseen. Forged by nobody who cannot find a second
    /// preimage; but anybody may run a program that they can read, so pair it with a uid. It does not
    /// cover shared libraries.
    Sha256(Sha256),
    /// `unix:script:/srv/app.py`: the script that an interpreter was asked to run.
    ///
    /// Matches only where paths are the host's. Forged by: host root; whoever may write the script or
    /// replace a directory above it, before the interpreter opens it. A script *named as an argument* is
    /// the word of whoever started the interpreter: under the same uid they could also hand it other
    /// code through the environment. So it tells apart workloads of one owner, and not one owner from
    /// another: pair it with a uid.
    Script(&'a str),
}

/// What a selector looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum SelectorKind {
    /// [`Selector::Uid`].
    Uid,
    /// [`Selector::Gid`].
    Gid,
    /// [`Selector::Path`].
    Path,
    /// [`Selector::Sha256`].
    Sha256,
    /// [`Selector::Script`].
    Script,
}

impl SelectorKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Uid, Self::Gid, Self::Path, Self::Sha256, Self::Script];

    /// What its selectors begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Uid => "unix:uid:",
            Self::Gid => "unix:gid:",
            Self::Path => "unix:path:",
            Self::Sha256 => "unix:sha256:",
            Self::Script => "unix:script:",
        }
    }
}

/// What every selector begins with.
const TYPE: &str = "unix:";

impl<'a> Selector<'a> {
    /// Parses a selector without copying it.
    ///
    /// # Errors
    /// Names the first rule broken, reading left to right.
    pub fn parse(text: &'a str) -> Result<Self, SelectorError> {
        if !text.starts_with(TYPE) {
            return Err(SelectorError::UnknownType);
        }
        let mut kinds = SelectorKind::ALL.into_iter();
        let found = kinds.find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)));
        let Some((kind, value)) = found else {
            return Err(SelectorError::UnknownKind { at: TYPE.len() });
        };
        let at = kind.prefix().len();
        if value.is_empty() {
            return Err(SelectorError::NoValue { at });
        }
        match kind {
            SelectorKind::Uid => number(value, at).map(Self::Uid),
            SelectorKind::Gid => number(value, at).map(Self::Gid),
            SelectorKind::Path => path(value, at).map(Self::Path),
            SelectorKind::Sha256 => digest(value, at).map(Self::Sha256),
            SelectorKind::Script => path(value, at).map(Self::Script),
        }
    }

    /// What it looks at.
    #[must_use]
    pub const fn kind(&self) -> SelectorKind {
        match self {
            Self::Uid(_) => SelectorKind::Uid,
            Self::Gid(_) => SelectorKind::Gid,
            Self::Path(_) => SelectorKind::Path,
            Self::Sha256(_) => SelectorKind::Sha256,
            Self::Script(_) => SelectorKind::Script,
        }
    }
}

impl fmt::Display for Selector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().prefix())?;
        match self {
            Self::Uid(id) | Self::Gid(id) => write!(f, "{id}"),
            Self::Path(path) | Self::Script(path) => f.write_str(path),
            Self::Sha256(digest) => digest.fmt(f),
        }
    }
}

fn number(value: &str, at: usize) -> Result<u32, SelectorError> {
    if let Some(bad) = value.bytes().position(|byte| !byte.is_ascii_digit()) {
        return Err(SelectorError::BadNumber {
            at: at.saturating_add(bad),
        });
    }
    if value.len() > 1 && value.starts_with('0') {
        return Err(SelectorError::BadNumber { at });
    }
    match value.parse() {
        // `(uid_t)-1` means `no change` to setuid(2): it is nobody's.
        Ok(u32::MAX) | Err(_) => Err(SelectorError::NumberTooLarge { at }),
        Ok(id) => Ok(id),
    }
}

fn path(value: &str, at: usize) -> Result<&str, SelectorError> {
    match path::check(value) {
        Ok(()) => Ok(value),
        Err(error) => Err(SelectorError::BadPath { error, at }),
    }
}

fn digest(value: &str, at: usize) -> Result<Sha256, SelectorError> {
    if let Some(bad) = value.bytes().position(|byte| !byte.is_ascii_hexdigit()) {
        return Err(SelectorError::BadDigest {
            at: at.saturating_add(bad),
        });
    }
    let mut digest = [0; 32];
    let (pairs, []) = value.as_bytes().as_chunks::<2>() else {
        return Err(SelectorError::DigestLength {
            len: value.len(),
            at,
        });
    };
    if pairs.len() != digest.len() {
        return Err(SelectorError::DigestLength {
            len: value.len(),
            at,
        });
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        let pair = core::str::from_utf8(pair).ok();
        let parsed = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        *byte = parsed.ok_or(SelectorError::BadDigest { at })?;
    }
    Ok(Sha256(digest))
}
