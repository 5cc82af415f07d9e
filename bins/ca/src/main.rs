//! The Tidelock control plane: `tidelock-ca serve`.
#![forbid(unsafe_code)]

use std::net::{AddrParseError, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tidelock_control::{ControlPlane, MAX_UNEXPIRED_SVIDS, Options, Passphrase, X509Pop};
use tidelock_spiffe_core::{TrustDomainBuf, TrustDomainError};
use tidelock_telemetry::{Service, Telemetry};
use tokio::signal::unix::{SignalKind, signal};

/// Whose spans these are, where spans are exported.
const SERVICE: Service = Service {
    name: "tidelock-ca",
    version: env!("CARGO_PKG_VERSION"),
};

/// Name of the credential with the passphrase, in the directory that systemd names in `$CREDENTIALS_DIRECTORY`.
const PASSPHRASE_CREDENTIAL: &str = "tidelock-ca.passphrase";

/// The Tidelock control plane: certificate authority of one trust domain, and what its agents ask.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the control plane until SIGTERM or SIGINT.
    Serve(Serve),
}

#[derive(Args, Debug)]
struct Serve {
    /// The trust domain that this is the authority of, for example `example.org`.
    #[arg(long, value_name = "NAME", value_parser = trust_domain)]
    trust_domain: TrustDomainBuf,
    /// Where the database, the authority's key and `bundle.pem` are; created and set up the first time.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/tidelock/ca")]
    data_dir: PathBuf,
    /// A file, readable by its owner alone, whose first line encrypts the authorities' keys on disk (12 to 1024 bytes). By
    /// default, the credential `tidelock-ca.passphrase` that systemd passes on, or else the file `passphrase` in the data
    /// directory, which is made the first time. Keys that are there already are encrypted anew when this is first given.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Where agents reach it; may be given more than once.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8443")]
    listen: Vec<SocketAddr>,
    /// Where `/livez`, `/readyz`, `/metrics` and lists of revoked SVIDs (`/crl/AUTHORITY-ID.crl`) are answered, over plain HTTP and to
    /// anyone who can connect; `none`: nowhere.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8444", value_parser = http)]
    http_listen: Http,
    /// The CAs (PEM) that a machine's certificate may lead to with which it attests as a node, by its only DNS name. Read at
    /// the start. Without them nodes attest with join tokens only.
    #[arg(long, value_name = "FILE")]
    x509pop_ca_bundle: Option<PathBuf>,
    /// Start although the clock is more than a week ahead of the newest entry of the audit log, or minutes behind it: after a
    /// long time without a control plane, from an old back-up, or once a wrong clock is right. For one start: by a wrong clock, the
    /// authorities' keys are destroyed.
    #[arg(long)]
    accept_clock: bool,
    /// How many SVIDs for workloads one node may have that have not expired. The most that can be is the default; where nodes
    /// have fewer identities, three for each of them let more nodes be revoked at one time.
    #[arg(long, value_name = "COUNT", default_value_t = MAX_UNEXPIRED_SVIDS,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_UNEXPIRED_SVIDS)))]
    max_svids_per_node: u32,
    /// Where `tidelock` reaches it.
    #[arg(long, value_name = "PATH", default_value = "/run/tidelock/ca.sock")]
    admin_socket: PathBuf,
}

fn trust_domain(text: &str) -> Result<TrustDomainBuf, TrustDomainError> {
    TrustDomainBuf::parse(text)
}

/// Where to answer those who watch, if anywhere.
#[derive(Clone, Copy, Debug)]
struct Http(Option<SocketAddr>);

fn http(text: &str) -> Result<Http, AddrParseError> {
    match text {
        "none" => Ok(Http(None)),
        address => address.parse().map(|address| Http(Some(address))),
    }
}

fn main() -> ExitCode {
    let Command::Serve(serve) = Arguments::parse().command;
    match run(serve) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tidelock-ca: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// What was said on the command line goes before what systemd passes on.
fn passphrase(file: Option<PathBuf>, credentials: Option<PathBuf>) -> Passphrase {
    let credential = credentials.map(|dir| dir.join(PASSPHRASE_CREDENTIAL));
    match (file, credential.filter(|path| path.exists())) {
        (Some(file), _) => Passphrase::File(file),
        (None, Some(credential)) => Passphrase::Credential(credential),
        (None, None) => Passphrase::Own,
    }
}

/// The roots that nodes' certificates may lead to.
fn x509pop(path: &Path) -> anyhow::Result<X509Pop> {
    let what = || {
        format!(
            "cannot use the roots for nodes' certificates in {}",
            path.display()
        )
    };
    let text = std::fs::read_to_string(path).with_context(what)?;
    X509Pop::from_pem(&text).with_context(what)
}

/// The error and its causes, less those that the message tells already.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[tokio::main]
async fn run(serve: Serve) -> anyhow::Result<ExitCode> {
    let telemetry = Telemetry::with_logs(SERVICE)?;
    let done = until_told(serve).await;
    telemetry.stop().await;
    done
}

async fn until_told(serve: Serve) -> anyhow::Result<ExitCode> {
    // Before anything is started, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let passphrase = passphrase(serve.passphrase_file, credentials);
    let mut options = Options::new(
        serve.trust_domain,
        serve.data_dir,
        serve.listen,
        serve.admin_socket,
    );
    options.passphrase = passphrase;
    options.issuance.unexpired = serve.max_svids_per_node;
    options.accept_clock = serve.accept_clock;
    options.http_listen = serve.http_listen.0;
    options.x509pop = serve
        .x509pop_ca_bundle
        .as_deref()
        .map(x509pop)
        .transpose()?;
    let mut control_plane = ControlPlane::start(options).await?;
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        () = control_plane.failed() => ExitCode::FAILURE,
    };
    control_plane.stop().await;
    Ok(code)
}
