//! What is known of a process.

use core::fmt;

/// What a process is, as the host sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Evidence<'a> {
    /// Thread group id in the initial pid namespace. Never matched: pids are used again.
    pub pid: u32,
    /// Effective uid in the initial user namespace.
    pub uid: u32,
    /// Effective gid in the initial user namespace.
    pub gid: u32,
    /// Path of the executed file, symbolic links resolved. Bytes, not always text.
    pub exe: &'a [u8],
    /// Digest of the executed file's content; `None` if it was not or could not be taken.
    pub sha256: Option<Sha256>,
    /// The script that an interpreter runs: see [`script_of`](crate::script_of).
    pub script: Option<Script<'a>>,
    /// Working directory.
    pub cwd: &'a [u8],
    /// Arguments, NUL-separated.
    pub argv: &'a [u8],
    /// Do its paths mean what they mean to the host? Only in the initial mount namespace, and with the
    /// host's root directory: a `chroot` leaves the namespace alone.
    pub host_paths: bool,
    /// Can the executed file's content change under its digest? So it is for memfd, deleted, FUSE and
    /// network files.
    pub unhashable: bool,
    /// What the process was found to belong to; `None` if it was not or could not be looked at.
    pub surroundings: Option<Surroundings<'a>>,
}

/// What a process belongs to, as `/proc` told a moment after exec: see [`Status`](crate::Status) and [`Cgroup`](crate::Cgroup).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Surroundings<'a> {
    /// Supplementary groups in the initial user namespace.
    pub groups: &'a [u32],
    /// Unit of the host's systemd; `None`: it is in none.
    pub unit: Option<&'a str>,
    /// Container of one of the host's runtimes; `None`: it is in none.
    pub container: Option<ContainerId>,
}

/// A script, and how it is known that it runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Script<'a> {
    /// Its absolute path.
    pub path: &'a [u8],
    /// Who says so.
    pub source: ScriptSource,
}

/// How it is known which script runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum ScriptSource {
    /// The kernel executed the script and found the interpreter in its first line.
    Shebang,
    /// The interpreter was executed, with the script as an argument.
    Argument,
}

impl fmt::Display for ScriptSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shebang => "executed",
            Self::Argument => "named as an argument",
        })
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

/// What Docker, containerd, CRI-O and Podman name a container by: 256 random bits.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct ContainerId(pub [u8; 32]);

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContainerId({self})")
    }
}
