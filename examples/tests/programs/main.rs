//! What the examples do, run: that they go on doing it.

mod embedded_node;
mod issue;
mod outside;
mod rustls_peers;
mod verify_svid;
mod versions;
