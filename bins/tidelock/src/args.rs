//! The command line.

mod authority;

use std::path::PathBuf;

pub(crate) use authority::{AuthorityCommand, BundleFormat, JwtCommand};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use tidelock_proto::v1::DocumentKind;

use crate::connect::Reach;
use crate::span;

/// Speaks to the Tidelock control plane: over its admin socket, or as an operator over mutual TLS.
#[derive(Debug, Parser)]
#[command(name = "tidelock", version, about)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// How to print.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// Reads the command line and the environment; what is wrong with them ends the program, as does a call for help.
    pub(crate) fn of_command_line() -> Self {
        let matches = Self::command().get_matches();
        let read = Self::from_arg_matches(&matches).and_then(|mut args| {
            args.reach.settle(&matches)?;
            Ok(args)
        });
        read.unwrap_or_else(|error| error.exit())
    }
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
    /// What `apply` or `delete` would do: documents created, changed and removed, and who would lose or gain access. Exit
    /// status: 0 nothing would change, 1 something would, 2 refused or failed.
    Plan {
        /// As `apply` takes them.
        #[arg(short, long = "file", required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// As if the documents were to be deleted.
        #[arg(long)]
        delete: bool,
    },
    /// As `plan`, with each line of the documents that would change.
    Diff {
        /// As `apply` takes them.
        #[arg(short, long = "file", required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// As if the documents were to be deleted.
        #[arg(long)]
        delete: bool,
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
    /// List documents, nodes, live flows or what is revoked.
    Get {
        #[arg(value_enum)]
        what: What,
    },
    /// Join tokens for nodes.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// What certificates may attest as nodes.
    Node {
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// Credentials of operators, for whom there are documents of kind Operator.
    Operator {
        #[command(subcommand)]
        command: OperatorCommand,
    },
    /// The authorities that sign: their lives, and moving them on.
    Authority {
        #[command(subcommand)]
        command: AuthorityCommand,
    },
    /// JWT-SVIDs for what no agent serves.
    Jwt {
        #[command(subcommand)]
        command: JwtCommand,
    },
    /// What SVIDs of the trust domain are verified with, for relying parties outside.
    Bundle {
        #[arg(long, value_enum, default_value_t = BundleFormat::Spiffe)]
        format: BundleFormat,
    },
    /// Have SVIDs believed no more before they expire, and cut the connections made with them, on every node at once.
    Revoke {
        #[arg(value_enum)]
        what: Revocable,
        /// A serial number in hexadecimal, a SPIFFE ID, or a node's name.
        name: String,
        /// Why, for the audit log.
        #[arg(long)]
        reason: String,
    },
    /// What was changed and issued, and by whom: a log in which nothing can be altered unnoticed.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// The control plane and its nodes at a glance.
    Status,
    /// Check, test, explain and suggest policies. Needs no control plane.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// What happened, oldest first.
    Events {
        /// Wait for more.
        #[arg(long, short)]
        follow: bool,
        /// Only events after this number.
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: u64,
        /// Of the events so far only the newest, so many.
        #[arg(
            long,
            value_name = "COUNT",
            default_value_t = 0,
            hide_default_value = true
        )]
        tail: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// All that is wrong with policies, and what is odd about them, shown where it stands.
    Check {
        /// Cedar policies, or YAML documents of which those of kind Policy count; `-` reads YAML from standard input.
        #[arg(short, long = "file", required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Ask policies what test files ask, and tell which answers are not those expected.
    Test {
        /// Policies, as `check` takes them.
        #[arg(short, long = "file", required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// YAML documents of kind PolicyTest.
        #[arg(required = true, value_name = "TESTS")]
        tests: Vec<PathBuf>,
    },
    /// Why a request is allowed or denied, by which policies, and what would change it.
    Explain {
        /// Policies, as `check` takes them.
        #[arg(short, long = "file", required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        asked: Asked,
    },
    /// The least policy that permits the flows that were seen.
    Suggest {
        /// What `tidelock get flows -o json` or `tidelock events -o json` printed; `-` is standard input.
        #[arg(short, long = "file", value_name = "FILE", default_value = "-")]
        files: Vec<PathBuf>,
        /// Of events, count connections too that were refused because no permit matched.
        #[arg(long)]
        denied: bool,
    },
}

/// A request.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// Who asks: a SPIFFE ID, or an entity such as `Workload::"spiffe://example.org/web"`.
    #[arg(long)]
    pub(crate) principal: String,
    /// What is to be done.
    #[arg(long, default_value = "connect")]
    pub(crate) action: String,
    /// To what: the name of a Service, or an entity such as `Service::"db"`.
    #[arg(long)]
    pub(crate) resource: String,
    /// The port of the server's end; the same as `port` in the context.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Under which circumstances, as a JSON object that the schema types.
    #[arg(long, default_value = "{}", value_name = "JSON")]
    pub(crate) context: String,
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

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Let a certificate of this name attest as a node that joined by a token, or that was revoked.
    AllowCertificate {
        /// The node.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum OperatorCommand {
    /// Make a key, and print a request for an SVID of it. The operator does so, and needs no control plane.
    Request {
        /// Where to put the key; nothing may be there yet.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Have an SVID signed for an operator. An admin does so.
    Issue {
        /// The name of the document of kind Operator.
        name: String,
        /// What `operator request` printed.
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// How long it is good for, for example `8h`, `7d`; 30 days at most.
        #[arg(long, default_value = "24h", value_parser = span::parse_secs)]
        ttl: u32,
        /// Where to put the SVID; nothing may be there yet.
        #[arg(long, value_name = "FILE")]
        cert: PathBuf,
        /// Where to put whom to believe to be the control plane; nothing may be there yet.
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// The newest entries, oldest of them first.
    List {
        /// Those after this number instead.
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// All of them.
        #[arg(long, conflicts_with = "limit")]
        all: bool,
    },
    /// Check that nothing was altered, taken out or put in. Exit status 1 if the log is broken.
    Verify {
        /// The `head` that an earlier check printed, kept elsewhere: the log has to hold it still.
        #[arg(long, value_name = "SEQ:HASH", value_parser = Noted::parse)]
        noted: Option<Noted>,
    },
}

/// An entry of the audit log that was noted elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Noted {
    pub(crate) seq: u64,
    pub(crate) hash: Vec<u8>,
}

impl Noted {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "a number, a colon and 64 hexadecimal digits".to_owned();
        let (seq, digits) = text.split_once(':').ok_or_else(wrong)?;
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        let digits: Option<Vec<u8>> = digits.bytes().map(digit).collect();
        let digits = digits
            .filter(|digits| digits.len() == 64)
            .ok_or_else(wrong)?;
        Ok(Self {
            seq: seq.parse().map_err(|_| wrong())?,
            hash: digits
                .chunks(2)
                .map(|pair| pair[0] << 4 | pair[1])
                .collect(),
        })
    }
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
    /// Who may do what at the control plane; for those bound to paths, themselves.
    #[value(alias = "operator")]
    Operators,
    /// Nodes that joined.
    #[value(alias = "node")]
    Nodes,
    /// NodeGroups, their nodes, and the identities that are for them.
    #[value(name = "nodegroups", alias = "nodegroup")]
    NodeGroups,
    /// The trust domain, and how long its SVIDs live.
    #[value(name = "trustdomains", alias = "trustdomain")]
    TrustDomains,
    /// Live flows of every node.
    #[value(alias = "flow")]
    Flows,
    /// SVIDs that are believed no more: since when, by whom, why, and until when nodes are told.
    Revoked,
}

/// What `revoke` revokes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Revocable {
    /// One SVID, by its serial number.
    Svid,
    /// Every SVID issued for a SPIFFE ID until now. It may be issued anew, unless its WorkloadIdentity was deleted.
    Identity,
    /// Every SVID issued to a node until now, its own among them. It has to join
    /// anew, by a token; its certificate does only once that is allowed again.
    Node,
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
    #[value(name = "operator", alias = "operators")]
    Operator,
    #[value(name = "nodegroup", alias = "nodegroups")]
    NodeGroup,
    #[value(name = "trustdomain", alias = "trustdomains")]
    TrustDomain,
}

impl From<Kind> for DocumentKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::WorkloadIdentity => Self::WorkloadIdentity,
            Kind::Service => Self::Service,
            Kind::Policy => Self::Policy,
            Kind::Operator => Self::Operator,
            Kind::NodeGroup => Self::NodeGroup,
            Kind::TrustDomain => Self::TrustDomain,
        }
    }
}

#[cfg(test)]
mod tests;
