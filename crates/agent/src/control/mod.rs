//! The control plane, seen from a node: joining it, following it, asking it, telling it.

mod connect;
mod join;
mod kept;
mod link;
mod report;
mod roots;
mod sign;
mod x509pop;

pub use connect::{ConnectError, Server};
pub use join::{JoinError, JoinToken, JoinWith};
pub(crate) use kept::Kept;
pub(crate) use link::{FromControl, Link, LinkError};
pub(crate) use report::{Reporter, Reports};
pub(crate) use sign::Signer;
pub use x509pop::{NodeCertificate, NodeCertificateError};

use tidelock_proto::trace::Traced;
use tidelock_proto::v1::node_client::NodeClient;
use tonic::transport::Channel;

/// The node service over one connection.
pub(crate) type Client = NodeClient<Traced<Channel>>;

/// How long one request may take.
pub(crate) const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// A refusal in the control plane's words, with what lies behind a failure to reach it.
pub(crate) fn words(status: &tonic::Status) -> String {
    let mut text = match status.message() {
        "" => status.code().to_string(),
        message => message.to_owned(),
    };
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}
