//! Reaching the admin socket.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tidelock_proto::MAX_MESSAGE_BYTES;
use tidelock_proto::v1::admin_client::AdminClient;
use tonic::transport::{Channel, Endpoint};

/// The admin service over one connection.
pub(crate) type Admin = AdminClient<Channel>;

/// A local socket answers at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to the control plane's admin socket.
pub(crate) async fn admin(socket: &Path) -> anyhow::Result<Admin> {
    let shown = socket.display();
    if !socket.try_exists().unwrap_or(true) {
        bail!("there is no {shown}: is tidelock-ca running on this machine?");
    }
    let path = std::path::absolute(socket)?;
    let Some(path) = path.to_str() else {
        bail!("{shown}: not a name in UTF-8");
    };
    let channel = Endpoint::from_shared(format!("unix://{path}"))
        .with_context(|| format!("{shown}: not a usable socket name"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .connect()
        .await
        .with_context(|| format!("cannot reach the control plane at {shown}"))?;
    Ok(AdminClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// An answer of the control plane as an error: its words, without gRPC's wrapping.
pub(crate) fn refusal(status: tonic::Status) -> anyhow::Error {
    match (status.code(), status.message()) {
        (tonic::Code::Unavailable, _) => anyhow::anyhow!("the control plane went away"),
        (code, "") => anyhow::anyhow!("{code}"),
        (_, message) => anyhow::anyhow!("{message}"),
    }
}
