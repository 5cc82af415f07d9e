#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod embedded_node;
pub mod issue;
pub mod rustls_peers;
mod stand_in_kernel;
pub mod verify_svid;
