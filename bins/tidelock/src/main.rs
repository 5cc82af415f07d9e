//! `tidelock`: what an administrator or operator says to and asks of the control plane, over its admin socket or mutual TLS.
//!
//! ```text
//! tidelock apply -f identities.yaml -f policy.cedar
//! tidelock plan -f identities.yaml
//! tidelock get flows
//! tidelock token create --node web-1 --ttl 10m
//! tidelock jwt mint --id spiffe://example.org/ci --audience reports --ttl 5m
//! tidelock -o json events --follow
//! tidelock policy check -f policy.cedar
//! ```
//!
//! Exit status: 0 when done, 1 when refused or failed, 2 when the command line was wrong; for `plan` and `diff`, 1 if
//! something would change, and 2 when refused or failed.
#![forbid(unsafe_code)]

mod apply;
mod args;
mod ask;
mod audit;
mod authority;
mod connect;
mod events;
mod jwt;
mod operator;
mod plan;
mod policy;
mod revoke;
mod span;
mod table;
mod view;

use std::io::Write as _;
use std::process::ExitCode;

use tidelock_proto::trace::TARGET;
use tidelock_telemetry::{Service, Telemetry};
use tracing::Instrument as _;

use args::{Args, Command, NodeCommand, OperatorCommand, Output, TokenCommand};
use plan::Depth;

/// Whose spans these are, where spans are exported.
const SERVICE: Service = Service {
    name: "tidelock",
    version: env!("CARGO_PKG_VERSION"),
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::of_command_line();
    // Where a difference has a status of its own, a failure has another.
    let failure = match args.command {
        Command::Plan { .. } | Command::Diff { .. } => ExitCode::from(plan::FAILED),
        _ => ExitCode::FAILURE,
    };
    let output = args.output;
    match traced(args).await {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error, output);
            eprintln!("tidelock: {error:#}");
            failure
        }
    }
}

/// What one command asks for is one trace, if traces are wanted.
async fn traced(args: Args) -> anyhow::Result<ExitCode> {
    let telemetry = Telemetry::without_logs(SERVICE);
    let span = tracing::info_span!(target: TARGET, "tidelock");
    let done = run(args).instrument(span).await;
    match telemetry {
        Ok(telemetry) => telemetry.stop().await,
        // The variables may be meant for other programs of this shell.
        Err(error) => eprintln!("tidelock: no traces: {error}"),
    }
    done
}

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Command::Policy { command } = args.command {
        return policy::run(command, args.output);
    }
    if let Command::Operator {
        command: OperatorCommand::Request { key },
    } = &args.command
    {
        operator::request(key)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut admin = connect::admin(&args.reach).await?;
    match args.command {
        // It was run above: it asks nobody.
        Command::Policy { .. } => Ok(()),
        Command::Apply { files } => return apply::apply(&mut admin, &files, args.output).await,
        Command::Plan { files, delete } => {
            return plan::plan(&mut admin, &files, delete, Depth::Summary, args.output).await;
        }
        Command::Diff { files, delete } => {
            return plan::plan(&mut admin, &files, delete, Depth::Lines, args.output).await;
        }
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
        Command::Node {
            command: NodeCommand::AllowCertificate { name },
        } => ask::allow_certificate(&mut admin, name, args.output).await,
        Command::Operator { command } => operator::operator(&mut admin, command, args.output).await,
        Command::Authority { command } => {
            authority::authority(&mut admin, command, args.output).await
        }
        Command::Jwt { command } => jwt::jwt(&mut admin, command, args.output).await,
        Command::Bundle { format } => jwt::bundle(&mut admin, format).await,
        Command::Revoke { what, name, reason } => {
            revoke::revoke(&mut admin, what, name, reason, args.output).await
        }
        Command::Audit { command } => {
            return audit::audit(&mut admin, command, args.output).await;
        }
        Command::Status => ask::status(&mut admin, args.output).await,
        Command::Events {
            follow,
            after,
            tail,
        } => {
            let request = tidelock_proto::v1::EventsRequest {
                follow,
                after_seq: after,
                tail,
            };
            events::events(&mut admin, request, args.output).await
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Tells programs what the control plane refused, in the shape of what is wrong with documents.
fn tell(error: &anyhow::Error, output: Output) {
    if let (Output::Json, Some(refused)) = (output, error.downcast_ref::<connect::Refused>()) {
        let told = serde_json::json!({"code": refused.code.as_str(), "reason": refused.message});
        // Who does not read it has the exit status.
        let _ = writeln!(
            std::io::stdout(),
            "{}",
            serde_json::json!({"errors": [told]})
        );
    }
}

/// `tidelock get … | head` is not a failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
