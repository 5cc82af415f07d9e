//! What the kernel knows of a process.

use core::fmt;

use crate::bounds::{MAX_ARGV_BYTES, MAX_PATH_BYTES};
use crate::read::{Reader, some_bytes};
use crate::refused::{EncodeError, Fault, RefusedReason};
use crate::write::Writer;

/// What a process is, gathered in its own context before its first instruction.
///
/// The fields are those of `struct tl_evidence`. Paths are bytes, as Linux has them: not always text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Evidence<'a> {
    /// The process, by a number that is never used again while the module is loaded.
    pub subject: u64,
    /// When it began this program: `CLOCK_BOOTTIME`, nanoseconds.
    pub start_ns: u64,
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// Effective uid in the initial user namespace.
    pub uid: u32,
    /// Effective gid in the initial user namespace.
    pub gid: u32,
    /// Circumstances.
    pub flags: EvidenceFlags,
    /// Inode number of the mount namespace, which the paths mean something in.
    pub mnt_ns: u32,
    /// Inode number of the network namespace.
    pub net_ns: u32,
    /// Device of the executed file, as `st_dev` of stat(2) in userspace has it (new_encode_dev).
    pub exe_dev: u64,
    /// Inode number of the executed file.
    pub exe_ino: u64,
    /// Size of the executed file, in bytes.
    pub exe_size: u64,
    /// Change time of the executed file: nanoseconds since 1970.
    pub exe_ctime_ns: i64,
    /// Device of the `#!` script; 0 without one.
    pub script_dev: u64,
    /// Inode number of the `#!` script; 0 without one.
    pub script_ino: u64,
    /// Path of the executed file; empty if it has none.
    pub exe: &'a [u8],
    /// Path of the `#!` script.
    pub script: Option<&'a [u8]>,
    /// Working directory; empty if it has no path.
    pub cwd: &'a [u8],
    /// Arguments, NUL-separated, the first bytes of them: see [`Evidence::args`].
    pub argv: &'a [u8],
}

/// Circumstances of evidence: `TL_EV_*`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
pub struct EvidenceFlags(u32);

impl EvidenceFlags {
    /// Older than the module or the policy.
    pub const ADOPTED: Self = Self(1);
    /// In the initial mount namespace.
    pub const HOST_MNT: Self = Self(1 << 1);
    /// The arguments are cut.
    pub const ARGV_CUT: Self = Self(1 << 2);
    /// The executed file has no stable content: memfd, deleted, FUSE, network file.
    pub const EXE_UNHASHABLE: Self = Self(1 << 3);
    /// Sent again after a change of credentials.
    pub const CREDS_CHANGED: Self = Self(1 << 4);
    /// Inherited its program by fork; replayed to a new session.
    pub const FORKED: Self = Self(1 << 5);
    /// Every flag.
    pub const ALL: Self = Self((1 << 6) - 1);

    /// Flags from their bits; `None` if a bit has no meaning.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Are all of these flags set?
    #[must_use]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These flags and those.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

impl<'a> Evidence<'a> {
    /// The arguments, `argv[0]` first. The last may be cut: see [`EvidenceFlags::ARGV_CUT`].
    #[must_use]
    pub const fn args(&self) -> Args<'a> {
        Args {
            rest: some_bytes(self.argv),
        }
    }

    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            subject: r.id64()?,
            start_ns: r.u64()?,
            pid: r.u32()?,
            uid: r.u32()?,
            gid: r.u32()?,
            flags: r.number(EvidenceFlags::from_bits)?,
            mnt_ns: r.u32()?,
            net_ns: r.u32()?,
            exe_dev: r.u64()?,
            exe_ino: r.u64()?,
            exe_size: r.u64()?,
            exe_ctime_ns: r.i64()?,
            script_dev: r.u64()?,
            script_ino: r.u64()?,
            exe: r.bytes(MAX_PATH_BYTES)?,
            script: some_bytes(r.bytes(MAX_PATH_BYTES)?),
            cwd: r.bytes(MAX_PATH_BYTES)?,
            argv: r.bytes(MAX_ARGV_BYTES)?,
        })
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.id64(self.subject)?;
        w.u64(self.start_ns)?;
        for n in [
            self.pid,
            self.uid,
            self.gid,
            self.flags.bits(),
            self.mnt_ns,
            self.net_ns,
        ] {
            w.u32(n)?;
        }
        w.u64(self.exe_dev)?;
        w.u64(self.exe_ino)?;
        w.u64(self.exe_size)?;
        w.i64(self.exe_ctime_ns)?;
        w.u64(self.script_dev)?;
        w.u64(self.script_ino)?;
        w.bytes(self.exe, MAX_PATH_BYTES)?;
        match self.script {
            Some([]) => return Err(w.fault(RefusedReason::Empty)),
            script => w.bytes(script.unwrap_or(&[]), MAX_PATH_BYTES)?,
        }
        w.bytes(self.cwd, MAX_PATH_BYTES)?;
        w.bytes(self.argv, MAX_ARGV_BYTES)
    }
}

/// Iterates over NUL-separated arguments. One NUL at the end ends the last argument.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let end = rest.iter().position(|&byte| byte == 0);
        let (arg, after) = match end.and_then(|end| rest.split_at_checked(end)) {
            Some((arg, [_nul, after @ ..])) => (arg, some_bytes(after)),
            _ => (rest, None),
        };
        self.rest = after;
        Some(arg)
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries((*self).map(<[u8]>::escape_ascii))
            .finish()
    }
}
