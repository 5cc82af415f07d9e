//! A process as the kernel saw it, owned, so that it can be appraised again.

use tidelock_attest::{Invocation, MAX_PATH_BYTES, Sha256, script_of};
use tidelock_kabi::{Evidence, EvidenceFlags};
use tidelock_proto::v1 as proto;

use super::clock::Now;
use crate::measure::{Digest, FileId, Look, Surroundings};

/// Evidence that outlives the record it came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// By a number that is never used again while the module is loaded.
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
    /// The executed file.
    pub file: FileId,
    /// Path of the executed file; empty if it has none.
    pub exe: Vec<u8>,
    /// Path of the `#!` script.
    pub shebang: Option<Vec<u8>>,
    /// Working directory; empty if it has no path.
    pub cwd: Vec<u8>,
    /// Arguments, NUL-separated, the first bytes of them.
    pub argv: Vec<u8>,
}

impl Process {
    /// Copies evidence out of its record.
    #[must_use]
    pub fn new(evidence: &Evidence<'_>) -> Self {
        Self {
            subject: evidence.subject,
            start_ns: evidence.start_ns,
            pid: evidence.pid,
            uid: evidence.uid,
            gid: evidence.gid,
            flags: evidence.flags,
            file: FileId {
                dev: evidence.exe_dev,
                ino: evidence.exe_ino,
                size: evidence.exe_size,
                ctime_ns: evidence.exe_ctime_ns,
            },
            exe: evidence.exe.to_vec(),
            shebang: evidence.script.map(<[u8]>::to_vec),
            cwd: evidence.cwd.to_vec(),
            argv: evidence.argv.to_vec(),
        }
    }

    /// Can the content of its file be told by a hash?
    #[must_use]
    pub fn is_hashable(&self) -> bool {
        !self.flags.contains(EvidenceFlags::EXE_UNHASHABLE)
    }

    /// What to look for in `/proc`.
    #[must_use]
    pub fn look(&self) -> Look {
        Look {
            pid: self.pid,
            start_ns: self.start_ns,
            uid: self.uid,
            gid: self.gid,
            dev: self.file.dev,
            ino: self.file.ino,
        }
    }

    /// Evidence to appraise, with what else is known of it; `buf` holds the script's path.
    pub(super) fn evidence<'a>(
        &'a self,
        digest: Option<Digest>,
        surroundings: Option<&'a Surroundings>,
        buf: &'a mut [u8],
    ) -> tidelock_attest::Evidence<'a> {
        tidelock_attest::Evidence {
            pid: self.pid,
            uid: self.uid,
            gid: self.gid,
            exe: &self.exe,
            sha256: digest.map(Sha256),
            script: script_of(&self.invocation(), buf),
            cwd: &self.cwd,
            argv: &self.argv,
            host_paths: self.flags.contains(EvidenceFlags::HOST_MNT),
            unhashable: !self.is_hashable(),
            surroundings: surroundings.map(Surroundings::as_evidence),
        }
    }

    fn invocation(&self) -> Invocation<'_> {
        Invocation {
            exe: &self.exe,
            argv: &self.argv,
            argv_cut: self.flags.contains(EvidenceFlags::ARGV_CUT),
            cwd: &self.cwd,
            shebang: self.shebang.as_deref(),
        }
    }

    /// How long ago it began this program, in nanoseconds; 0 if it is older than its governance.
    #[must_use]
    pub fn waited_ns(&self, now: Now) -> u64 {
        if self.flags.contains(EvidenceFlags::ADOPTED) {
            return 0;
        }
        now.mono.0.saturating_sub(self.start_ns)
    }

    /// As reports name it.
    #[must_use]
    pub fn report(&self) -> proto::Process {
        proto::Process {
            subject: self.subject,
            pid: self.pid,
            uid: self.uid,
            gid: self.gid,
            exe: String::from_utf8_lossy(&self.exe).into_owned(),
            script: script_of(&self.invocation(), &mut [0; MAX_PATH_BYTES])
                .map(|script| String::from_utf8_lossy(script.path).into_owned())
                .unwrap_or_default(),
        }
    }
}
