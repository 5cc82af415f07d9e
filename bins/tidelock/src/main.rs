//! `tidelock`: what an administrator says to and asks of the control plane, over its admin socket.
//!
//! ```text
//! tidelock apply -f identities.yaml -f policy.cedar
//! tidelock get flows
//! tidelock token create --node web-1 --ttl 10m
//! tidelock -o json events --follow
//! ```
//!
//! Exit status: 0 when done, 1 when refused or failed, 2 when the command line was wrong.
#![forbid(unsafe_code)]

mod apply;
mod args;
mod ask;
mod connect;
mod events;
mod span;
mod table;
mod view;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, TokenCommand};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(args).await {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidelock: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut admin = connect::admin(&args.socket).await?;
    match args.command {
        Command::Apply { files } => return apply::apply(&mut admin, &files, args.output).await,
        Command::Delete {
            kind,
            name,
            files,
            ignore_not_found,
        } => {
            let documents = kind.zip(name).into_iter().collect();
            let request = apply::deletion(documents, &files, ignore_not_found)?;
            return apply::delete(&mut admin, request, args.output).await;
        }
        Command::Get { what } => ask::list(&mut admin, what, args.output).await,
        Command::Token {
            command: TokenCommand::Create { node, ttl },
        } => ask::create_token(&mut admin, node, ttl, args.output).await,
        Command::Status => ask::status(&mut admin, args.output).await,
        Command::Events { follow, after } => {
            events::events(&mut admin, follow, after, args.output).await
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

/// `tidelock get … | head` is not a failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
