//! Boots a kernel in QEMU and runs a script in it.

mod options;
mod payload;
mod qemu;
mod stream;

pub(crate) use options::{DEFAULT_KERNEL, Options};
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
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Exit status when the time is up, as `timeout(1)` has it.
pub(crate) const TIMED_OUT: i32 = 124;
/// Exit status when the guest ended without saying how.
pub(crate) const LOST: i32 = 125;

/// Logs of runs older than this are removed.
const KEEP_LOGS_FOR: Duration = Duration::from_secs(24 * 3600);

/// What marks trouble in a kernel log.
const TROUBLE: [&str; 9] = [
    "Kernel panic",
    "BUG: ",
    "kernel BUG at",
    "WARNING: ",
    "Oops: ",
    "general protection fault",
    "Call Trace:",
    "rcu_sched self-detected stall",
    "possible recursive locking",
];

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// The script's exit status, [`TIMED_OUT`] or [`LOST`].
    pub status: i32,
    /// The folder with kernel logs, and `out` if the script left files in `/lab/out`.
    pub folder: PathBuf,
    /// Lines of the kernel logs that mean trouble.
    pub trouble: Vec<String>,
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
/// When a machine cannot be set up or started. A script that fails is not an error: see [`Ended::status`].
pub(crate) fn run(
    places: &Places,
    options: &Options,
    software: impl Fn(&Kernel) -> Result<Software>,
    out: &mut impl Write,
) -> Result<Ended> {
    let token = token();
    let folder = run_folder(places, options, &token)?;
    let sockets = Sockets::new(&token)?;
    let root = guest_image::root_disk(places)?;
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
    let status = boot(&emulator, options, &commands, &token, out)?;
    for (_, files) in &commands {
        let _ = fs::remove_file(&files.payload);
        collect(&files.out, &folder)?;
    }
    let logs: Vec<PathBuf> = commands
        .into_iter()
        .map(|(_, files)| files.kernel_log)
        .collect();
    Ok(Ended {
        status,
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
    for line in ended.trouble.iter().take(10) {
        say(format!("kernel log: {line}"));
    }
    match ended.status {
        TIMED_OUT => say(format!(
            "stopped after {} (`--timeout` gives it longer)",
            seconds(options.timeout)
        )),
        LOST => {
            say("the guest ended without saying how its script did; the end of its kernel log:")
        }
        status => say(format!(
            "the script ended with status {status} after {}",
            seconds(start.elapsed())
        )),
    }
    if ended.status == LOST {
        let log = fs::read(ended.folder.join("kernel-a.log")).unwrap_or_default();
        eprintln!("{}", last_lines(&String::from_utf8_lossy(&log)));
    }
    say(format!(
        "kernel log: {}",
        ended.folder.join("kernel-a.log").display()
    ));
    Ok(ended.status)
}

type Machine = (Vec<String>, qemu::Files);

fn boot(
    emulator: &Emulator,
    options: &Options,
    machines: &[Machine],
    token: &str,
    out: &mut impl Write,
) -> Result<i32> {
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
    let (flag, child, timeout) = (timed_out.clone(), first.child.clone(), options.timeout);
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
    if let (None, Some(message)) = (ended, first.complaint()) {
        return Err(Failure::new("QEMU did not run").fix(message));
    }
    Ok(match ended {
        Some(status) => status,
        None if timed_out.load(Ordering::SeqCst) => TIMED_OUT,
        None => LOST,
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

    /// What QEMU itself said, if it said anything.
    fn complaint(&mut self) -> Option<String> {
        stop(&self.child);
        let mut text = String::new();
        self.stderr.take()?.read_to_string(&mut text).ok()?;
        let text: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains("terminating on signal"))
            .collect();
        let text = text.join("\n");
        (!text.trim().is_empty()).then(|| last_lines(&text))
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        stop(&self.child);
    }
}

fn stop(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // It may have ended by itself; either way it is gone afterwards.
    let _ = child.kill();
    let _ = child.wait();
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

fn trouble(log: &Path) -> Vec<String> {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .filter(|line| TROUBLE.iter().any(|mark| line.contains(mark)))
        .map(str::to_owned)
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
