//! `tidelock-agent`: the node agent.
//!
//! ```text
//! tidelock-agent run --server 10.0.0.1:8443 --server-bundle bundle.pem --join-token-file token
//! tidelock-agent drain
//! ```
//!
//! `run` prints a line when this node is attested, and one for each configuration that is in force; logs go
//! to standard error, as much as `RUST_LOG` says. Exit status: 0 when told to stop or drained, 1 when it
//! cannot go on, 2 when the command line was wrong.
#![forbid(unsafe_code)]

mod args;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tidelock_agent::{Notice, Options};
use tidelock_telemetry::{Service, Telemetry};
use tokio::signal::unix::{SignalKind, signal};

use args::{Args, Command};

/// Whose spans these are, where spans are exported.
const SERVICE: Service = Service {
    name: "tidelock-agent",
    version: env!("CARGO_PKG_VERSION"),
};

/// How long programs have to close what was cut before their operator is told of it.
const PROGRAMS_CLOSE_WITHIN: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.command {
        Command::Run(run) => serve(run.options()).await,
        Command::Drain { device } => drain(&device).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidelock-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until told to stop. The kernel goes on with what it was told.
async fn serve(options: Options) -> anyhow::Result<()> {
    let telemetry = Telemetry::with_logs(SERVICE)?;
    let done = until_told(options).await;
    telemetry.stop().await;
    done
}

async fn until_told(options: Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    tokio::select! {
        error = tidelock_agent::run(options, Arc::new(print)) => Err(error.into()),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

async fn drain(device: &std::path::Path) -> anyhow::Result<()> {
    tidelock_agent::drain(device).await?;
    println!("drained: nothing is governed any more");
    let held = tidelock_agent::released("tidelock", PROGRAMS_CLOSE_WITHIN).await;
    if held > 0 {
        println!(
            "programs still have connections open that were cut ({held} references): the module can be removed when they close \
             them, or end"
        );
    }
    Ok(())
}

/// Prints what an operator wants to know. That it cannot be printed is no reason to stop.
fn print(notice: Notice) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{notice}")
        .and_then(|()| out.flush())
        .is_err()
    {
        tracing::warn!("{notice}");
    }
}
