//! Sockets: TLS over TCP for agents, a Unix socket for administrators.

mod admin_socket;
mod caller;
mod connection;
mod listen;
mod tls;

pub(crate) use admin_socket::AdminSocket;
pub use admin_socket::AdminSocketError;
pub(crate) use caller::{Caller, Peer};
pub(crate) use connection::Connection;
pub(crate) use listen::{accept, bind};
pub use tls::TlsError;
pub(crate) use tls::{Believed, ServerCertificate, Tls};

use std::time::Duration;

/// How long to wait after accepting failed, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
