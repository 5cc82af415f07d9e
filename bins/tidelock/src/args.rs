//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use tidelock_proto::v1::DocumentKind;

use crate::span;

/// Speaks to the Tidelock control plane over its admin socket.
#[derive(Debug, Parser)]
#[command(name = "tidelock", version, about)]
pub(crate) struct Args {
    /// The control plane's admin socket.
    #[arg(
        long,
        global = true,
        env = "TIDELOCK_SOCKET",
        default_value = "/run/tidelock/ca.sock"
    )]
    pub(crate) socket: PathBuf,
    /// How to print.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns for people.
    Table,
    /// One JSON document; `events` prints one for each event.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create and update documents: all of them or, if anything is wrong, none.
    Apply {
        /// YAML documents, or Cedar policies if the name ends in `.cedar`; `-` reads YAML from standard input.
        #[arg(short, long = "file", required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Remove one document, or those that files hold: all of them or, if anything is wrong, none.
    Delete {
        #[arg(
            value_enum,
            ignore_case = true,
            requires = "name",
            required_unless_present = "files"
        )]
        kind: Option<Kind>,
        name: Option<String>,
        /// As `apply` takes them. What the documents say does not matter, but for kind and name.
        #[arg(short, long = "file", value_name = "FILE", conflicts_with = "kind")]
        files: Vec<PathBuf>,
        /// A document that does not exist is no error.
        #[arg(long)]
        ignore_not_found: bool,
    },
    /// List documents, nodes or live flows.
    Get {
        #[arg(value_enum)]
        what: What,
    },
    /// Join tokens for nodes.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// The control plane and its nodes at a glance.
    Status,
    /// What happened, oldest first.
    Events {
        /// Wait for more.
        #[arg(long, short)]
        follow: bool,
        /// Only events after this number.
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token with which one node can join, once.
    Create {
        /// The node it is for.
        #[arg(long)]
        node: String,
        /// How long it is good for, for example `90s`, `10m`, `2h`, `7d`.
        #[arg(long, default_value = "10m", value_parser = span::parse_secs)]
        ttl: u32,
    },
}

/// What `get` lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum What {
    /// Workload identities and who holds them.
    #[value(alias = "identity")]
    Identities,
    /// Services and who may serve them.
    #[value(alias = "service")]
    Services,
    /// Policies, with their text in JSON.
    #[value(alias = "policy")]
    Policies,
    /// Nodes that joined.
    #[value(alias = "node")]
    Nodes,
    /// Live flows of every node.
    #[value(alias = "flow")]
    Flows,
}

/// Kinds of documents, as `delete` takes them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    #[value(name = "identity", aliases = ["workloadidentity", "identities"])]
    WorkloadIdentity,
    #[value(name = "service", alias = "services")]
    Service,
    #[value(name = "policy", alias = "policies")]
    Policy,
}

impl From<Kind> for DocumentKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::WorkloadIdentity => Self::WorkloadIdentity,
            Kind::Service => Self::Service,
            Kind::Policy => Self::Policy,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn output_and_socket_are_taken_before_and_after_the_command() {
        for line in [
            "tidelock -o json --socket /s get flows",
            "tidelock get flows -o json --socket /s",
        ] {
            let args = parse(line).unwrap();
            assert_eq!(args.output, Output::Json);
            assert_eq!(args.socket, PathBuf::from("/s"));
            assert!(matches!(args.command, Command::Get { what: What::Flows }));
        }
    }

    #[test]
    fn apply_takes_many_files_and_needs_one() {
        let args = parse("tidelock apply -f a.yaml -f b.cedar").unwrap();
        let Command::Apply { files } = args.command else {
            panic!("not apply")
        };
        assert_eq!(files, [PathBuf::from("a.yaml"), PathBuf::from("b.cedar")]);
        assert!(parse("tidelock apply").is_err());
    }

    #[test]
    fn token_life_is_ten_minutes_unless_given() {
        let life = |line| match parse(line).unwrap().command {
            Command::Token {
                command: TokenCommand::Create { ttl, .. },
            } => ttl,
            _ => panic!("not token create"),
        };
        assert_eq!(life("tidelock token create --node a"), 600);
        assert_eq!(life("tidelock token create --node a --ttl 2h"), 7200);
        assert!(parse("tidelock token create --node a --ttl 0s").is_err());
        assert!(parse("tidelock token create").is_err());
    }

    #[test]
    fn delete_takes_the_kind_as_documents_write_it() {
        for kind in ["WorkloadIdentity", "identity", "workloadidentity"] {
            let args = parse(&format!("tidelock delete {kind} web")).unwrap();
            assert!(matches!(
                args.command,
                Command::Delete {
                    kind: Some(Kind::WorkloadIdentity),
                    ..
                }
            ));
        }
    }

    #[test]
    fn delete_takes_a_name_or_files() {
        assert!(parse("tidelock delete -f a.yaml -f b.yaml --ignore-not-found").is_ok());
        for wrong in ["", " service", " service web -f a.yaml"] {
            assert!(
                parse(&format!("tidelock delete{wrong}")).is_err(),
                "{wrong}"
            );
        }
    }
}
