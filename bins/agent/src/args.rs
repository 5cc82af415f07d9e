//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tidelock_agent::{DeviceSource, JoinToken, JoinWith, NodeCertificate, Options, Server};
use zeroize::Zeroizing;

/// The Tidelock node agent: tells the kernel which process has which identity.
#[derive(Debug, Parser)]
#[command(name = "tidelock-agent", version, about)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve this node until stopped. Stopping leaves what is granted in force.
    Run(Run),
    /// Close every flow and govern nothing any more, so that the module can be unloaded.
    Drain {
        /// The kernel module's device.
        #[arg(long, default_value = "/dev/tidelock")]
        device: PathBuf,
    },
}

#[derive(clap::Args)]
pub(crate) struct Run {
    /// The control plane.
    #[arg(long, value_name = "HOST:PORT", env = "TIDELOCK_SERVER")]
    server: String,
    /// The trust domain's authorities (PEM), by which the control plane is recognised at first. What it tells of others is
    /// kept, for as long as this file stays the same.
    #[arg(long, value_name = "FILE")]
    server_bundle: PathBuf,
    /// What to join with. Other users of this machine can see it: prefer a file.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "TIDELOCK_JOIN_TOKEN",
        hide_env_values = true
    )]
    join_token: Option<String>,
    /// A file with what to join with. Not needed once this node has joined.
    #[arg(long, value_name = "FILE", conflicts_with = "join_token")]
    join_token_file: Option<PathBuf>,
    /// This machine's certificate (PEM), and those that lead from it to a root that the control plane knows: to join with
    /// instead of a token, as often as that is needed. Read anew each time.
    #[arg(
        long,
        value_name = "FILE",
        requires = "x509pop_key",
        conflicts_with_all = ["join_token", "join_token_file"]
    )]
    x509pop_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM, PKCS#8): P-256, P-384, Ed25519 or RSA.
    #[arg(long, value_name = "FILE", requires = "x509pop_cert")]
    x509pop_key: Option<PathBuf>,
    /// Where to keep this node's key and SVID.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/tidelock/agent")]
    data_dir: PathBuf,
    /// The kernel module's device.
    #[arg(long, value_name = "PATH", default_value = "/dev/tidelock")]
    device: PathBuf,
}

impl Run {
    /// The agent's options.
    pub(crate) fn options(self) -> Options {
        let text = self
            .join_token
            .map(|token| JoinToken::Text(Zeroizing::new(token)));
        let token = text.or(self.join_token_file.map(JoinToken::File));
        let token = token.map(JoinWith::Token);
        let certificate = self.x509pop_cert.zip(self.x509pop_key);
        let certificate =
            certificate.map(|(cert, key)| JoinWith::Certificate(NodeCertificate { cert, key }));
        Options {
            server: Server {
                address: self.server,
                bundle: self.server_bundle,
            },
            join_with: token.or(certificate),
            data_dir: self.data_dir,
            device: DeviceSource::Path(self.device),
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;

    const RUN: &str = "tidelock-agent run --server a:1 --server-bundle b";

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split_whitespace())
    }

    fn options(line: &str) -> Options {
        match parse(line).unwrap().command {
            Command::Run(run) => run.options(),
            Command::Drain { .. } => panic!("not run"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn run_needs_a_server_and_its_bundle_and_defaults_the_rest() {
        assert!(parse("tidelock-agent run --server a:1").is_err());
        let options = options(RUN);
        assert!(options.join_with.is_none());
        assert_eq!(options.data_dir, PathBuf::from("/var/lib/tidelock/agent"));
        assert!(
            matches!(options.device, DeviceSource::Path(path) if path == Path::new("/dev/tidelock"))
        );
    }

    #[test]
    fn a_token_is_given_or_in_a_file_not_both() {
        let given = options(&format!("{RUN} --join-token t"));
        let token = |options: Options| match options.join_with {
            Some(JoinWith::Token(token)) => token,
            other => panic!("{other:?}"),
        };
        assert!(matches!(token(given), JoinToken::Text(_)));
        let file = options(&format!("{RUN} --join-token-file f"));
        assert!(matches!(token(file), JoinToken::File(_)));
        assert!(parse(&format!("{RUN} --join-token t --join-token-file f")).is_err());
    }

    #[test]
    fn a_certificate_comes_with_its_key_and_without_a_token() {
        let options = options(&format!("{RUN} --x509pop-cert c --x509pop-key k"));
        let Some(JoinWith::Certificate(given)) = options.join_with else {
            panic!("no certificate");
        };
        assert_eq!((given.cert, given.key), ("c".into(), "k".into()));
        for half in ["--x509pop-cert c", "--x509pop-key k"] {
            assert!(parse(&format!("{RUN} {half}")).is_err(), "{half}");
        }
        let both = "--x509pop-cert c --x509pop-key k --join-token-file t";
        assert!(parse(&format!("{RUN} {both}")).is_err());
    }

    #[test]
    fn a_token_is_never_printed() {
        let args = parse(&format!("{RUN} --join-token s3cret")).unwrap();
        assert!(!format!("{args:?}").contains("s3cret"));
    }

    #[test]
    fn drain_takes_a_device() {
        let args = parse("tidelock-agent drain --device /d").unwrap();
        assert!(matches!(args.command, Command::Drain { device } if device == Path::new("/d")));
    }
}
