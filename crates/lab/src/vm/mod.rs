//! Boots a kernel in QEMU and runs a script in it.

mod kernel_log;
mod options;
mod payload;
mod qemu;
mod stream;

pub(crate) use options::{DEFAULT_CPUS, DEFAULT_KERNEL, Options, number};
pub(crate) use payload::Software;
pub(crate) use stream::until_marker;

use crate::cache::Cache;
use crate::cmd::{Cmd, last_lines};
use crate::disk::sparse;
use crate::emulator::Emulator;
use crate::failure::{Doing, Failure, Result};
use crate::guest_image;
use crate::kernel::Kernel;
use crate::places::Places;
use crate::say::{say, seconds};
use payload::Node;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Exit status when the time is up, as `timeout(1)` has it.
const TIMED_OUT: i32 = 124;
/// Exit status when the guest ended without saying how.
const LOST: i32 = 125;

/// How long a QEMU whose output ended may take to end itself: then it is ended, and did not say how.
const TO_END_BY_ITSELF: Duration = Duration::from_secs(5);

/// Logs of runs older than this are removed.
const KEEP_LOGS_FOR: Duration = Duration::from_secs(24 * 3600);

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// How the script ended, or why it did not.
    pub end: End,
    /// The folder with kernel logs, and `out` if the script left files in `/lab/out`.
    pub folder: PathBuf,
    /// What the kernel logs hold that means trouble, a report each: its first line names it, its second says where it was.
    pub trouble: Vec<String>,
}

/// How a script ended, or why it did not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// With this status.
    Script(i32),
    /// Its time was up.
    TimedOut,
    /// Its machine ended under it; how QEMU ended, and what it said, in one line.
    Lost(String),
}

impl End {
    /// What `cargo lab vm` exits with.
    fn status(&self) -> i32 {
        match self {
            Self::Script(status) => *status,
            Self::TimedOut => TIMED_OUT,
            Self::Lost(_) => LOST,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script(status) => write!(f, "the script ended with status {status}"),
            Self::TimedOut => write!(f, "the machine ran out of time"),
            Self::Lost(how) => write!(f, "the machine ended under it: {how}"),
        }
    }
}

/// Held while what a machine is given is built and packed, so that no other run packs it half-written.
///
/// # Errors
/// When the lock file cannot be made.
pub(crate) fn set_up_lock(places: &Places) -> Result<File> {
    Cache::new(&places.lab).lock("machines", "what machines are given")
}

/// Boots the machine, or both, runs the script, and passes its output on to `out`.
///
/// # Errors
/// When a machine cannot be set up or started. A script that fails is not an error: see [`Ended::end`].
pub(crate) fn run(
    places: &Places,
    options: &Options,
    software: impl Fn(&Kernel) -> Result<Software>,
    out: &mut impl Write,
) -> Result<Ended> {
    let token = token();
    let folder = run_folder(places, options, &token)?;
    let sockets = Sockets::new(&token)?;
    let root = match &options.machine {
        Some(disk) => disk.clone(),
        None => guest_image::root_disk(places)?,
    };
    let mut nodes = vec![(Node::A, options.kernel)];
    nodes.extend(options.pair.map(|line| (Node::B, line)));
    let mut commands = Vec::new();
    let lock = set_up_lock(places)?;
    for (node, line) in nodes {
        let kernel = Kernel::ensure(places, line, false)?;
        let name = node.name();
        let files = qemu::Files {
            initramfs: guest_image::initramfs(places, &kernel)?,
            root: root.clone(),
            payload: folder.join(format!("payload-{name}.tar")),
            out: folder.join(format!("out-{name}.tar")),
            kernel_log: folder.join(format!("kernel-{name}.log")),
            sockets: sockets.0.clone(),
        };
        let software = if options.bare {
            Software::default()
        } else {
            software(&kernel)?
        };
        payload::write(options, &kernel, node, &software, &token, &files.payload)?;
        sparse(&files.out, qemu::OUT_BYTES)?;
        say(format!("booting {} (node-{name})", kernel.release));
        commands.push((qemu::arguments(options, &kernel, node, &files), files));
    }
    drop(lock);
    let emulator = Emulator::ensure(places)?;
    let end = boot(&emulator, options, &commands, &token, out)?;
    for (_, files) in &commands {
        let _ = fs::remove_file(&files.payload);
        collect(&files.out, &folder)?;
    }
    let logs: Vec<PathBuf> = commands
        .into_iter()
        .map(|(_, files)| files.kernel_log)
        .collect();
    Ok(Ended {
        end,
        folder,
        trouble: logs.iter().flat_map(|log| trouble(log)).collect(),
    })
}

/// `cargo lab vm`: as [`run`], with the terminal for output and words about what went wrong.
///
/// # Errors
/// As [`run`].
pub(crate) fn command(
    places: &Places,
    options: &Options,
    software: impl Fn(&Kernel) -> Result<Software>,
) -> Result<i32> {
    let start = Instant::now();
    let ended = run(places, options, software, &mut io::stdout().lock())?;
    say_trouble(&ended.trouble);
    let took = seconds(start.elapsed());
    match &ended.end {
        End::Script(_) => say(format!("{} after {took}", ended.end)),
        End::TimedOut => say(format!(
            "stopped after {} (`--timeout` gives it longer)",
            seconds(options.patience())
        )),
        End::Lost(_) => {
            say(format!(
                "{} after {took}; the end of its kernel log:",
                ended.end
            ));
            let log = fs::read(ended.folder.join("kernel-a.log")).unwrap_or_default();
            eprintln!("{}", last_lines(&String::from_utf8_lossy(&log)));
        }
    }
    say(format!(
        "kernel log: {}",
        ended.folder.join("kernel-a.log").display()
    ));
    Ok(ended.end.status())
}

type Machine = (Vec<String>, qemu::Files);

fn boot(
    emulator: &Emulator,
    options: &Options,
    machines: &[Machine],
    token: &str,
    out: &mut impl Write,
) -> Result<End> {
    let mut running = Vec::new();
    for (args, _) in machines {
        running.push(Qemu::start(emulator, args)?);
    }
    let mut first = running.remove(0);
    let output = first.output.take();
    // The peer's own output is only of interest when something goes wrong with it.
    for mut peer in running.iter_mut().map(|peer| peer.output.take()) {
        thread::spawn(move || {
            if let Some(peer) = &mut peer {
                let _ = io::copy(peer, &mut io::stderr());
            }
        });
    }
    let timed_out = Arc::new(AtomicBool::new(false));
    let (done, wait) = mpsc::channel::<()>();
    let (flag, child) = (timed_out.clone(), first.child.clone());
    let timeout = options.patience();
    thread::spawn(move || {
        if wait.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Timeout) {
            flag.store(true, Ordering::SeqCst);
            stop(&child);
        }
    });
    let output = output.ok_or_else(|| Failure::new("QEMU has no output"))?;
    let ended = until_marker(output, out, token)
        .map_err(|e| Failure::new(format!("the guest's output: {e}")))?;
    drop(done);
    Ok(match ended {
        Some(status) => End::Script(status),
        None if timed_out.load(Ordering::SeqCst) => End::TimedOut,
        None => End::Lost(first.last_words()),
    })
}

/// A running QEMU; it ends with us.
struct Qemu {
    child: Arc<Mutex<Child>>,
    output: Option<std::process::ChildStdout>,
    stderr: Option<std::process::ChildStderr>,
}

impl Qemu {
    fn start(emulator: &Emulator, args: &[String]) -> Result<Self> {
        let mut command = emulator.command().args(args).into_inner();
        // An input that is at its end hangs the guest's output; keep one open that stays silent.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| Failure::new(format!("cannot start QEMU: {error}")))?;
        let (output, stderr) = (child.stdout.take(), child.stderr.take());
        Ok(Self {
            child: Arc::new(Mutex::new(child)),
            output,
            stderr,
        })
    }

    /// How it ended, and what it said, in one line. Its output ended, so it is about to.
    fn last_words(&mut self) -> String {
        let start = Instant::now();
        let how = loop {
            match lock(&self.child).try_wait() {
                Ok(Some(status)) => break format!("QEMU ended by {status}"),
                Ok(None) if start.elapsed() < TO_END_BY_ITSELF => {
                    thread::sleep(Duration::from_millis(50));
                }
                Ok(None) => break "QEMU closed its output and went on".to_owned(),
                Err(error) => break format!("QEMU cannot be waited for: {error}"),
            }
        };
        stop(&self.child);
        let mut said = String::new();
        if let Some(mut stderr) = self.stderr.take() {
            // What cannot be read is not known; how it ended is.
            let _ = stderr.read_to_string(&mut said);
        }
        let said: Vec<&str> = said.lines().collect();
        match said.as_slice() {
            [] => format!("{how} and said nothing"),
            said => format!("{how} and said `{}`", said.join(" | ")),
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        stop(&self.child);
    }
}

fn stop(child: &Mutex<Child>) {
    let mut child = lock(child);
    // It may have ended by itself; either way it is gone afterwards.
    let _ = child.kill();
    let _ = child.wait();
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Unpacks what the guest left in `/lab/out`.
fn collect(tar: &Path, folder: &Path) -> Result<()> {
    let mut start = [0; 1];
    let used = File::open(tar)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok()
        && start != [0];
    if used {
        let to = folder.join("out");
        fs::create_dir_all(&to).doing("make the folder", &to)?;
        Cmd::new("tar")
            .arg("-xf")
            .arg(tar)
            .arg("-C")
            .arg(&to)
            .args(["--no-same-owner"])
            .run()?;
    }
    let _ = fs::remove_file(tar);
    Ok(())
}

/// Says what trouble there was.
pub(crate) fn say_trouble(trouble: &[String]) {
    for report in trouble {
        say(format!("kernel log: {report}"));
    }
}

fn trouble(log: &Path) -> Vec<String> {
    let text = fs::read(log).unwrap_or_default();
    let of = log.file_stem().unwrap_or_default().to_string_lossy();
    kernel_log::trouble(&String::from_utf8_lossy(&text))
        .into_iter()
        .map(|report| format!("{of}: {report}"))
        .collect()
}

/// A folder for the logs of this run; those of long ago go.
fn run_folder(places: &Places, options: &Options, token: &str) -> Result<PathBuf> {
    let runs = places.lab.join("runs");
    for old in fs::read_dir(&runs).into_iter().flatten().flatten() {
        let age = old
            .metadata()
            .and_then(|meta| meta.modified())
            .map(|time| time.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age > KEEP_LOGS_FOR) {
            let _ = fs::remove_dir_all(old.path());
        }
    }
    let folder = runs.join(format!("{}-{token}", options.kernel.label()));
    fs::create_dir_all(&folder).doing("make the folder", &folder)?;
    Ok(folder)
}

/// New for every run: the time and our process number.
fn token() -> String {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}x{}", since.as_millis(), std::process::id())
}

/// A folder for sockets, whose paths may not be long.
struct Sockets(PathBuf);

impl Sockets {
    fn new(token: &str) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("lab-{token}"));
        fs::create_dir_all(&dir).doing("make the folder", &dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
