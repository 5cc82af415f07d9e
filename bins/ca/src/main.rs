//! The Tidelock control plane: `tidelock-ca serve`.
#![forbid(unsafe_code)]

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tidelock_control::{ControlPlane, Options};
use tidelock_spiffe_core::{TrustDomainBuf, TrustDomainError};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_LOG: &str = "info";

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
    /// Where agents reach it; may be given more than once.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8443")]
    listen: Vec<SocketAddr>,
    /// Where `tidelock` reaches it.
    #[arg(long, value_name = "PATH", default_value = "/run/tidelock/ca.sock")]
    admin_socket: PathBuf,
}

fn trust_domain(text: &str) -> Result<TrustDomainBuf, TrustDomainError> {
    TrustDomainBuf::parse(text)
}

fn main() -> ExitCode {
    let Command::Serve(serve) = Arguments::parse().command;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(serve) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tidelock-ca: {}", told(&error));
            ExitCode::FAILURE
        }
    }
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
    // Before anything is started, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let Serve {
        trust_domain,
        data_dir,
        listen,
        admin_socket,
    } = serve;
    let options = Options {
        trust_domain,
        data_dir,
        listen,
        admin_socket,
    };
    let mut control_plane = ControlPlane::start(options).await?;
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        () = control_plane.failed() => ExitCode::FAILURE,
    };
    control_plane.stop().await;
    Ok(code)
}
