//! The control plane that is measured: a process of its own, so that its memory is nobody else's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tidelock_control::{BUNDLE_FILE, ControlPlane, Options};
use tidelock_spiffe_core::TrustDomainBuf;

use super::Failure;

/// The trust domain of everything here.
pub(crate) const TRUST_DOMAIN: &str = "example.org";

/// The argument by which this program is the control plane instead, in the directory that follows.
pub(crate) const AS_PLANE: &str = "--as-control-plane";

/// How long a prepared authority waits before it may be activated: nobody here asks for the bundle now and then.
const PROPAGATION_SECS: u32 = 1;

/// How long a revoked authority is remembered, so that more can be revoked in a run than are remembered at one time.
const REMEMBERED_SECS: u32 = 120;

/// Where a control plane is reached.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) admin_socket: PathBuf,
    /// Its trust domain's authorities.
    pub(crate) bundle_pem: String,
    dir: PathBuf,
}

impl Place {
    /// That of a control plane which lives in this directory.
    pub(crate) fn new(dir: &Path, address: SocketAddr) -> Result<Self, Failure> {
        Ok(Self {
            address,
            admin_socket: admin_socket(dir),
            bundle_pem: std::fs::read_to_string(data_dir(dir).join(BUNDLE_FILE))?,
            dir: dir.to_owned(),
        })
    }

    /// Takes up the authorities as they are now.
    pub(crate) fn reread(&mut self) -> Result<(), Failure> {
        self.bundle_pem = std::fs::read_to_string(data_dir(&self.dir).join(BUNDLE_FILE))?;
        Ok(())
    }
}

fn data_dir(dir: &Path) -> PathBuf {
    dir.join("ca")
}

fn admin_socket(dir: &Path) -> PathBuf {
    dir.join("ca.sock")
}

/// A real one: TLS on loopback, SQLite in that directory.
pub(crate) async fn start(dir: &Path) -> Result<ControlPlane, Failure> {
    let mut options = Options::new(
        TrustDomainBuf::parse(TRUST_DOMAIN)?,
        data_dir(dir),
        vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        admin_socket(dir),
    );
    options.timing.propagation_secs = PROPAGATION_SECS;
    options.timing.svid_secs = REMEMBERED_SECS;
    Ok(ControlPlane::start(options).await?)
}

/// Is a control plane until standard input ends.
pub(crate) async fn serve(dir: &Path) -> Result<(), Failure> {
    let plane = start(dir).await?;
    println!("{}", plane.listening()[0]);
    std::io::stdout().flush()?;
    let until_told = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(until_told).await??;
    plane.stop().await;
    Ok(())
}

/// A control plane in a process of its own. Dropped, it ends: its standard input does.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) place: Place,
}

impl Process {
    /// Runs this program anew, as the control plane.
    pub(crate) fn start(dir: &Path) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(AS_PLANE)
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("it has no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse();
        let address = address.map_err(|_| "the control plane did not start; it says why above")?;
        let place = Place::new(dir, address)?;
        Ok(Self { child, place })
    }

    /// How much memory it has now that is not paged out, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("/proc does not tell of its memory")?.parse()?)
    }

    /// Stops it as an administrator would, and waits for it.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        match self.child.wait()? {
            status if status.success() => Ok(()),
            status => Err(format!("the control plane ended with {status}").into()),
        }
    }
}
