//! What a process belongs to, as `/proc` tells, and knowing that it is the process that was meant.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tidelock_attest::{
    Cgroup, CgroupError, ContainerId, MAX_CGROUP_BYTES, MAX_STATUS_BYTES, Status, StatusError,
    start_ticks,
};

/// Nanoseconds of a tick in `/proc/PID/stat`: `USER_HZ` is 100 wherever the module runs.
const TICK_NS: u64 = 10_000_000;

/// Inode of the initial cgroup namespace (`PROC_CGROUP_INIT_INO` in Linux): in another one, `/proc` tells of a part of the tree.
const INITIAL_CGROUP_NS: u64 = 0xEFFF_FFFB;

/// Longest `/etc/passwd` that is read: some ten thousand users.
const MAX_PASSWD_BYTES: usize = 1024 * 1024;

/// Longest `/proc/PID/stat`: 52 numbers and a name.
const MAX_STAT_BYTES: usize = 4096;

/// Which process to look at, and what it has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Look {
    /// Where to look. It may have been reused.
    pub pid: u32,
    /// When the evidence was gathered: `CLOCK_BOOTTIME`, nanoseconds. A process that began later is another one.
    pub start_ns: u64,
    /// Effective uid in the initial user namespace.
    pub uid: u32,
    /// Effective gid in the initial user namespace.
    pub gid: u32,
    /// Device of the executed file.
    pub dev: u64,
    /// Inode of the executed file.
    pub ino: u64,
}

/// What a process belongs to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Surroundings {
    /// Supplementary groups in the initial user namespace.
    pub groups: Vec<u32>,
    /// Unit of the host's systemd.
    pub unit: Option<String>,
    /// Container of one of the host's runtimes.
    pub container: Option<ContainerId>,
    /// The name of its effective uid, as the node's `/etc/passwd` says.
    pub user: Option<String>,
}

/// Why it is not known what a process belongs to. It then fits neither selectors that ask for it nor their opposites.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// The process, or its pid, is gone.
    #[error("the process has ended")]
    Gone,
    /// `/proc` cannot be read.
    #[error("cannot read of it in /proc: {0}")]
    Io(ErrorKind),
    /// Another process has its pid, or it runs another program or under other credentials by now.
    #[error("it is not the process any more that was to be looked at")]
    Changed,
    /// More than the kernel would ever say.
    #[error("/proc says more of it than can be")]
    TooLong,
    /// What `/proc` says cannot be read.
    #[error("{0}")]
    Status(#[from] StatusError),
    /// What `/proc` says of its cgroups cannot be read, or says nothing.
    #[error("{0}")]
    Cgroup(#[from] CgroupError),
    /// The agent itself runs in a cgroup namespace of its own.
    #[error("the agent does not run in the host's cgroup namespace")]
    Namespace,
}

impl Surroundings {
    /// As evidence.
    #[must_use]
    pub fn as_evidence(&self) -> tidelock_attest::Surroundings<'_> {
        tidelock_attest::Surroundings {
            groups: &self.groups,
            unit: self.unit.as_deref(),
            container: self.container,
        }
    }
}

/// Looks at a process. Blocks for as long as `/proc` takes.
///
/// All is read below one open `/proc/PID`, which stays with the process that it was opened for: of a later one with the same
/// pid it tells nothing. That it is the right process is seen before and after: it began before the evidence was gathered, executes the
/// same file, and has the same credentials.
///
/// # Errors
/// Why nothing is known. Every doubt is an error.
pub fn look(at: &Look) -> Result<Surroundings, LookError> {
    let own = std::fs::metadata("/proc/self/ns/cgroup").map_err(io)?;
    if own.ino() != INITIAL_CGROUP_NS {
        return Err(LookError::Namespace);
    }
    let dir = File::open(format!("/proc/{}", at.pid)).map_err(io)?;
    let below = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    same(&below, at)?;
    let status = read(&below.join("status"), MAX_STATUS_BYTES)?;
    let status = Status::parse(&status)?;
    let cgroup = read(&below.join("cgroup"), MAX_CGROUP_BYTES)?;
    let cgroup = Cgroup::parse(&cgroup)?;
    same(&below, at)?;
    if (status.uid, status.gid) != (at.uid, at.gid) {
        return Err(LookError::Changed);
    }
    Ok(Surroundings {
        groups: status.groups().collect(),
        unit: cgroup.unit().map(str::to_owned),
        container: cgroup.container(),
        user: user(at.uid),
    })
}

/// The name of a uid in the node's own file, and in no directory beyond it: that could be asked of somebody else. The
/// first of several counts, as for `getpwuid`.
fn user(uid: u32) -> Option<String> {
    let passwd = read(Path::new("/etc/passwd"), MAX_PASSWD_BYTES).ok()?;
    let passwd = String::from_utf8(passwd).ok()?;
    name_of(&passwd, uid).map(str::to_owned)
}

/// `passwd(5)`: name, password, uid, and more.
fn name_of(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid) && !name.is_empty()).then_some(name)
    })
}

fn same(below: &Path, at: &Look) -> Result<(), LookError> {
    let exe = std::fs::metadata(below.join("exe")).map_err(io)?;
    let began = start_ticks(&read(&below.join("stat"), MAX_STAT_BYTES)?)?;
    let before = began.saturating_mul(TICK_NS) <= at.start_ns;
    if before && (exe.dev(), exe.ino()) == (at.dev, at.ino) {
        Ok(())
    } else {
        Err(LookError::Changed)
    }
}

fn read(path: &Path, max: usize) -> Result<Vec<u8>, LookError> {
    let most = u64::try_from(max).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    let mut file = file.take(most.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() > max {
        return Err(LookError::TooLong);
    }
    Ok(bytes)
}

fn io(error: std::io::Error) -> LookError {
    /// `ESRCH`: the process ended between opening and reading.
    const ESRCH: i32 = 3;
    match error.kind() {
        ErrorKind::NotFound => LookError::Gone,
        _ if error.raw_os_error() == Some(ESRCH) => LookError::Gone,
        kind => LookError::Io(kind),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process that sleeps, and dies with the test.
    struct Sleeper(Child);

    impl Sleeper {
        fn new(command: &mut Command) -> Self {
            let command = command.stdin(Stdio::null());
            Self(command.spawn().unwrap())
        }

        /// What the kernel would say of it now.
        fn look(&self) -> Look {
            let pid = self.0.id();
            let exe = std::fs::metadata(format!("/proc/{pid}/exe")).unwrap();
            let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
            let secs: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
            let status = std::fs::read(format!("/proc/{pid}/status")).unwrap();
            let status = Status::parse(&status).unwrap();
            Look {
                pid,
                start_ns: (secs * 1e9) as u64 + TICK_NS,
                uid: status.uid,
                gid: status.gid,
                dev: exe.dev(),
                ino: exe.ino(),
            }
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn sleeper() -> Sleeper {
        Sleeper::new(Command::new("/bin/sleep").arg("30"))
    }

    #[test]
    fn a_process_is_looked_at() {
        let sleeper = sleeper();
        let found = look(&sleeper.look()).unwrap();
        let status = std::fs::read("/proc/self/status").unwrap();
        let own: Vec<u32> = Status::parse(&status).unwrap().groups().collect();
        assert_eq!(found.groups, own);
    }

    #[test]
    fn a_uid_has_the_first_name_that_is_written_for_it() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# a remark\n\nhalf:x\n:x:7:7::/:\nweb:x:33:33::/var/www:\n\
                      www:x:33:33::/:\nodd:x:033x:1::/:\n";
        assert_eq!(name_of(passwd, 0), Some("root"));
        assert_eq!(name_of(passwd, 33), Some("web"));
        for nobody in [7, 1, u32::MAX] {
            assert_eq!(name_of(passwd, nobody), None, "{nobody}");
        }
        assert_eq!(user(0).as_deref(), Some("root"));
    }

    #[test]
    fn groups_are_those_of_the_process_and_not_ours() {
        let uid = std::fs::metadata("/proc/self").unwrap().uid();
        if uid != 0 {
            eprintln!("not root: groups cannot be set");
            return;
        }
        // `setpriv` sets them and executes: the kernel would say what is then.
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(["--groups", "4242,77", "--regid", "5", "/bin/sleep", "30"]);
        let sleeper = Sleeper::new(&mut command);
        let sleeps = || std::fs::read_link(format!("/proc/{}/exe", sleeper.0.id())).unwrap();
        while sleeps().ends_with("setpriv") {
            std::thread::yield_now();
        }
        let mut groups = look(&sleeper.look()).unwrap().groups;
        groups.sort_unstable();
        assert_eq!(groups, [77, 4242]);
    }

    #[test]
    fn another_process_under_the_pid_is_told_by_its_beginning() {
        let sleeper = sleeper();
        let at = sleeper.look();
        let began =
            start_ticks(&read(&PathBuf::from(format!("/proc/{}/stat", at.pid)), 4096).unwrap());
        let later = Look {
            start_ns: (began.unwrap() - 1) * TICK_NS,
            ..at
        };
        assert_eq!(look(&later), Err(LookError::Changed));
    }

    #[test]
    fn another_program_or_other_credentials_are_noticed() {
        let sleeper = sleeper();
        let at = sleeper.look();
        for other in [
            Look {
                ino: at.ino + 1,
                ..at
            },
            Look {
                dev: at.dev + 1,
                ..at
            },
            Look {
                uid: at.uid + 1,
                ..at
            },
            Look {
                gid: at.gid + 1,
                ..at
            },
        ] {
            assert_eq!(look(&other), Err(LookError::Changed));
        }
    }

    #[test]
    fn an_open_directory_tells_nothing_of_a_later_process() {
        let mut sleeper = Sleeper::new(Command::new("/bin/sleep").arg("30").arg0("first"));
        let at = sleeper.look();
        let dir = File::open(format!("/proc/{}", at.pid)).unwrap();
        sleeper.0.kill().unwrap();
        sleeper.0.wait().unwrap();
        let below = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        assert_eq!(same(&below, &at), Err(LookError::Gone));
        assert_eq!(look(&at), Err(LookError::Gone));
    }
}
