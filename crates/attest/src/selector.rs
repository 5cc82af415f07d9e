//! Selectors: one thing that a workload must be.

use core::fmt;

use crate::evidence::{ContainerId, Sha256};
use crate::path;
use crate::selector_error::SelectorError;

/// One thing that a workload must be, borrowed from its text.
///
/// In text: a type, `:`, the name, `:`, the value. [`Selector::parse`] reads what [`Display`](fmt::Display)
/// writes. The environment is no evidence: whoever chooses a program's environment (`LD_PRELOAD`,
/// `PYTHONPATH`, `BASH_ENV`) or may trace it (same uid) chooses what it does, under any selector.
///
/// | selector | who says so | who can forge it, host root aside |
/// |---|---|---|
/// | `unix:uid` | the kernel, at exec | whoever may run code under the uid, setuid programs included |
/// | `unix:gid` | the kernel, at exec | every member of the group |
/// | `unix:supplementary_gid` | `/proc/PID/status`, after exec | every member of the group; any member can also drop it |
/// | `unix:path` | the kernel, at exec | whoever may write the file, or replace or mount over a directory above it |
/// | `unix:sha256` | the agent, from the file that is executed | nobody; but anybody may run what they can read |
/// | `unix:script` | the kernel for `#!`, else the arguments | whoever may write the script; named as an argument, whoever starts the interpreter |
/// | `systemd:unit` | `/proc/PID/cgroup`, after exec | whoever may start a unit of that name or write to its cgroup: by default root alone, and for `user@UID.service` that user |
/// | `container:id` | `/proc/PID/cgroup`, after exec | whoever may command the container runtime, or write to the container's cgroup; root in the container only if that cgroup is delegated to it |
///
/// What is forged to fit a `not` is easier than what is forged to fit a selector: it is enough to be something else. So every way
/// to fit [`Selectors`](crate::Selectors) has to name what the process *is* as well.
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
    /// `unix:supplementary_gid:998`: one of the supplementary groups, in the initial user namespace.
    ///
    /// Read from `/proc` after exec: it says what the process was then. Forged by: host root; every member of the group. A
    /// process can drop groups if it has `CAP_SETGID`, so do not rely on `not`.
    SupplementaryGid(u32),
    /// `systemd:unit:nginx.service`: the unit of the host's systemd that the process belongs to.
    ///
    /// Services of users belong to `user@UID.service`: what is below that in the tree of cgroups is for the user to make.
    /// Forged by: host root; whoever may start units of this name or was given the unit's cgroup (`Delegate=`). Names of instances
    /// (`web@1.service`) and of transient units are chosen by whoever starts them.
    Unit(&'a str),
    /// `container:id:<64 hexadecimal digits>`: the container, as Docker, containerd, CRI-O and Podman name its cgroup.
    ///
    /// Only containers of the host's own runtimes: of one that runs within another, the outer one; none of those that users run
    /// without root. Forged by: host root; whoever may command the runtime.
    Container(ContainerId),
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
    /// [`Selector::SupplementaryGid`].
    SupplementaryGid,
    /// [`Selector::Unit`].
    Unit,
    /// [`Selector::Container`].
    Container,
}

/// What has to be looked at before a selector can be judged, beside what the kernel says at exec.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Need {
    /// [`Evidence::sha256`](crate::Evidence::sha256).
    Digest,
    /// [`Evidence::surroundings`](crate::Evidence::surroundings).
    Surroundings,
}

impl SelectorKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Uid,
        Self::Gid,
        Self::Path,
        Self::Sha256,
        Self::Script,
        Self::SupplementaryGid,
        Self::Unit,
        Self::Container,
    ];

    /// What its selectors begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Uid => "unix:uid:",
            Self::Gid => "unix:gid:",
            Self::Path => "unix:path:",
            Self::Sha256 => "unix:sha256:",
            Self::Script => "unix:script:",
            Self::SupplementaryGid => "unix:supplementary_gid:",
            Self::Unit => "systemd:unit:",
            Self::Container => "container:id:",
        }
    }

    /// Has a process one of it at most? Then two different selectors of the kind never match together.
    #[must_use]
    pub const fn is_single(self) -> bool {
        !matches!(self, Self::SupplementaryGid)
    }

    /// What has to be looked at, if the kernel alone does not say it.
    #[must_use]
    pub const fn need(self) -> Option<Need> {
        match self {
            Self::Uid | Self::Gid | Self::Path | Self::Script => None,
            Self::Sha256 => Some(Need::Digest),
            Self::SupplementaryGid | Self::Unit | Self::Container => Some(Need::Surroundings),
        }
    }
}

/// What selectors begin with.
const TYPES: [&str; 3] = ["unix:", "systemd:", "container:"];

/// Longest name of a unit (systemd.unit(5)).
pub const MAX_UNIT_BYTES: usize = 255;

/// The kinds of units that processes run in (systemd.unit(5)); those that only hold others are not among them.
const UNIT_SUFFIXES: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

impl<'a> Selector<'a> {
    /// Parses a selector without copying it.
    ///
    /// # Errors
    /// Names the first rule broken, reading left to right.
    pub fn parse(text: &'a str) -> Result<Self, SelectorError> {
        let Some(own_type) = TYPES.into_iter().find(|own| text.starts_with(own)) else {
            return Err(SelectorError::UnknownType);
        };
        let mut kinds = SelectorKind::ALL.into_iter();
        let found = kinds.find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)));
        let Some((kind, value)) = found else {
            return Err(SelectorError::UnknownKind { at: own_type.len() });
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
            SelectorKind::SupplementaryGid => number(value, at).map(Self::SupplementaryGid),
            SelectorKind::Unit => unit(value, at).map(Self::Unit),
            SelectorKind::Container => {
                digest(value, at).map(|Sha256(id)| Self::Container(ContainerId(id)))
            }
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
            Self::SupplementaryGid(_) => SelectorKind::SupplementaryGid,
            Self::Unit(_) => SelectorKind::Unit,
            Self::Container(_) => SelectorKind::Container,
        }
    }
}

impl fmt::Display for Selector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().prefix())?;
        match self {
            Self::Uid(id) | Self::Gid(id) | Self::SupplementaryGid(id) => write!(f, "{id}"),
            Self::Path(text) | Self::Script(text) | Self::Unit(text) => f.write_str(text),
            Self::Sha256(digest) => digest.fmt(f),
            Self::Container(id) => id.fmt(f),
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

/// Is this the name of a unit that processes can run in?
pub(crate) fn is_unit(name: &str) -> bool {
    unit(name, 0).is_ok()
}

fn unit(name: &str, at: usize) -> Result<&str, SelectorError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    if let Some(bad) = name.bytes().position(|byte| !allowed(byte)) {
        let at = at.saturating_add(bad);
        return Err(SelectorError::BadUnit { at });
    }
    let mut suffixes = UNIT_SUFFIXES.into_iter();
    let named = suffixes.any(|suffix| name.strip_suffix(suffix).is_some_and(|n| !n.is_empty()));
    if !named || name.len() > MAX_UNIT_BYTES {
        return Err(SelectorError::BadUnit { at });
    }
    Ok(name)
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
