//! The node agent as a library: evidence up, identities, certificates and policy down.
//!
//! [`core::Agent`] decides, without I/O; [`run`] puts the kernel's device, the control plane, hashing and the
//! clock around it.
//!
//! The core by itself, told what happens and asked what to do:
//!
//! ```
//! use std::sync::Arc;
//! use tidelock_agent::core::{Agent, Command, Desired, Input, Now, Output};
//! use tidelock_kabi::ToAgent;
//! use tidelock_proto::v1::{Limits, PolicySet, Snapshot};
//!
//! let mut agent = Agent::new(Vec::new(), 1);
//! let now = Now::default();
//!
//! // The device is open, and the kernel, which enforces nothing yet, greets.
//! agent.handle(now, Input::Opened);
//! let greeting = ToAgent::Hello { module_version: "0.1.0", generation: 0, net_ns: 1 };
//! agent.handle(now, Input::Kernel(greeting));
//!
//! // What the control plane wants becomes the configuration to write.
//! let desired = Desired::parse(Snapshot {
//!     generation: 7,
//!     policy: Some(PolicySet::default()),
//!     limits: Some(Limits::default()),
//!     ..Snapshot::default()
//! })?;
//! agent.handle(now, Input::Desired(Arc::new(desired)));
//! let mut outputs = std::iter::from_fn(|| agent.poll());
//! assert!(outputs.any(|output| matches!(
//!     output,
//!     Output::Write(Command::Config(desired)) if desired.generation == 7
//! )));
//! # Ok::<(), tidelock_agent::core::DesiredError>(())
//! ```
//!
//! All of it, on a host with the module:
//!
//! ```no_run
//! use std::sync::Arc;
//! use tidelock_agent::{DeviceSource, JoinToken, Options, Server, run};
//!
//! # async fn example() {
//! let options = Options {
//!     server: Server {
//!         address: "10.0.0.1:8443".into(),
//!         bundle: "/etc/tidelock/bundle.pem".into(),
//!     },
//!     join_with: Some(JoinToken::File("/run/tidelock/token".into()).into()),
//!     data_dir: "/var/lib/tidelock/agent".into(),
//!     device: DeviceSource::Path("/dev/tidelock".into()),
//! };
//! let error = run(options, Arc::new(|notice| println!("{notice}"))).await;
//! eprintln!("{error}");
//! # }
//! ```
#![deny(unsafe_code)]

mod control;
pub mod core;
pub mod device;
pub mod measure;
pub mod node;
mod run;
mod sys;

pub use control::{
    ConnectError, JoinError, JoinToken, JoinWith, NodeCertificate, NodeCertificateError, Server,
};
pub use run::{
    DeviceSource, DrainError, Notice, Notify, OpenError, Options, RunError, drain, released, run,
};
