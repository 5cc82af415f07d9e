//! The node agent as a library: evidence up, identities, certificates and policy down.
//!
//! [`core::Agent`] decides, without I/O; [`run`] puts device, control plane, hashing and clock around it.
#![deny(unsafe_code)]

mod control;
pub mod core;
pub mod device;
pub mod measure;
pub mod node;
mod run;
mod sys;

pub use control::{ConnectError, JoinError, JoinToken, Server};
pub use run::{DeviceSource, DrainError, Notice, Notify, OpenError, Options, RunError, drain, run};
