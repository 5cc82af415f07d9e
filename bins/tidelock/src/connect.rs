//! Reaching the control plane: its admin socket, or as an operator over mutual TLS.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use tidelock_proto::trace::Traced;
use tidelock_proto::v1::admin_client::AdminClient;
use tidelock_proto::{CONTROL_DNS_NAME, ErrorCode, MAX_MESSAGE_BYTES};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// The admin service over one connection.
pub(crate) type Admin = AdminClient<Traced<Channel>>;

/// Where the control plane is, and who asks.
#[derive(Args, Debug)]
pub(crate) struct Reach {
    /// The control plane's admin socket.
    #[arg(
        long,
        global = true,
        env = "TIDELOCK_SOCKET",
        default_value = "/run/tidelock/ca.sock"
    )]
    pub(crate) socket: PathBuf,
    /// The control plane over the network instead, as agents reach it; for operators.
    #[arg(long, global = true, env = "TIDELOCK_SERVER", value_name = "HOST:PORT")]
    pub(crate) server: Option<String>,
    /// PEM with whom to believe to be the control plane: its `bundle.pem`.
    #[arg(
        long,
        global = true,
        env = "TIDELOCK_SERVER_BUNDLE",
        value_name = "FILE"
    )]
    pub(crate) server_bundle: Option<PathBuf>,
    /// PEM with the operator's SVID, as `operator issue` writes it.
    #[arg(
        long,
        global = true,
        env = "TIDELOCK_OPERATOR_CERT",
        value_name = "FILE"
    )]
    pub(crate) operator_cert: Option<PathBuf>,
    /// PEM with its key, as `operator request` writes it.
    #[arg(
        long,
        global = true,
        env = "TIDELOCK_OPERATOR_KEY",
        value_name = "FILE"
    )]
    pub(crate) operator_key: Option<PathBuf>,
}

impl Reach {
    /// Of socket and server, what the command line says goes before what the environment does.
    ///
    /// # Errors
    /// It says both.
    pub(crate) fn settle(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let written = |of| matches.value_source(of) == Some(ValueSource::CommandLine);
        match (written("socket"), written("server")) {
            (true, true) => Err(clap::Error::raw(
                ErrorKind::ArgumentConflict,
                "--socket and --server are two ways to a control plane: give one\n",
            )),
            (true, false) => {
                self.server = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A local socket answers at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a control plane elsewhere may take to answer.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(20);

/// Connects to the control plane, as the command line says.
pub(crate) async fn admin(reach: &Reach) -> anyhow::Result<Admin> {
    let channel = match &reach.server {
        Some(server) => network(server, reach).await?,
        None => socket(&reach.socket).await?,
    };
    Ok(AdminClient::new(Traced(channel))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// Over mutual TLS. The control plane is believed by a name that no other certificate of its authorities bears.
async fn network(server: &str, reach: &Reach) -> anyhow::Result<Channel> {
    let read = |file: &Option<PathBuf>, flag: &str| match file {
        None => bail!("with --server, {flag} is needed too"),
        Some(file) => std::fs::read(file).with_context(|| file.display().to_string()),
    };
    let bundle = read(&reach.server_bundle, "--server-bundle")?;
    let cert = read(&reach.operator_cert, "--operator-cert")?;
    let key = read(&reach.operator_key, "--operator-key")?;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(bundle))
        .identity(Identity::from_pem(cert, key))
        .domain_name(CONTROL_DNS_NAME);
    Endpoint::from_shared(format!("https://{server}"))
        .with_context(|| format!("{server}: not a host and port"))?
        .tls_config(tls)
        .context("the bundle, the SVID or its key cannot be used")?
        .connect_timeout(NETWORK_TIMEOUT)
        .connect()
        .await
        .with_context(|| format!("cannot reach the control plane at {server}"))
}

/// Over the admin socket.
async fn socket(socket: &Path) -> anyhow::Result<Channel> {
    let shown = socket.display();
    if !socket.try_exists().unwrap_or(true) {
        bail!("there is no {shown}: is tidelock-ca running on this machine?");
    }
    let path = std::path::absolute(socket)?;
    let Some(path) = path.to_str() else {
        bail!("{shown}: not a name in UTF-8");
    };
    Endpoint::from_shared(format!("unix://{path}"))
        .with_context(|| format!("{shown}: not a usable socket name"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .connect()
        .await
        .with_context(|| format!("cannot reach the control plane at {shown}"))
}

/// What the control plane refused or failed at: its words, without gRPC's wrapping, and the code for programs.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

/// An answer of the control plane as an error.
pub(crate) fn refusal(status: tonic::Status) -> anyhow::Error {
    let message = match (status.code(), status.message()) {
        (tonic::Code::Unavailable, _) => "the control plane went away".to_owned(),
        (code, "") => code.to_string(),
        (_, message) => message.to_owned(),
    };
    let code = ErrorCode::from(&status);
    anyhow::Error::new(Refused { code, message })
}
