//! Why a control plane does not start.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::authority::{AuthorityError, IssueError};
use crate::clock::ClockError;
use crate::data_dir::DataDirError;
use crate::document::DocumentError;
use crate::lost::Lost;
use crate::name::NameError;
use crate::net::{AdminSocketError, TlsError};
use crate::store::StoreError;

/// Why a control plane does not start. Every message says what to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database in it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// By the audit log the clock cannot be right.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// It is gone.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The root: its key, its certificate, its trust domain.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The root cannot issue the server's own certificate, for example because it has expired.
    #[error("the server's own certificate cannot be issued: {0}")]
    Issue(#[from] IssueError),
    /// Documents in the database that this version refuses.
    #[error("the database holds documents that are refused: {}", Lines(.0))]
    Documents(Vec<DocumentError>),
    /// A node in the database with a name that cannot be.
    #[error("the database holds a node `{name}` whose name {error}")]
    NodeName {
        /// The name.
        name: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// An address that cannot be listened at.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The administrators' socket.
    #[error(transparent)]
    AdminSocket(#[from] AdminSocketError),
    /// TLS does not take what the authority made.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] TlsError),
    /// The protobuf files that were built in are not what server reflection takes. A fault of ours.
    #[error("server reflection cannot be set up: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

struct Lines<'a>(&'a [DocumentError]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}
