//! The contract between the Tidelock kernel module and its agent.
//!
//! One `write()` on the device is one [`ToKernel`] record, one `read()` is one [`ToAgent`] record. Each
//! is a 24-byte [`Header`] and a body, little endian. Decoding never allocates: text and bytes borrow
//! from the record, and a [`List`] walks bytes that were checked once. [`KernelEnd`] and [`AgentEnd`]
//! hold the order of the conversation, without I/O, so that both can run against each other in memory:
//!
//! ```
//! use tidelock_kabi::{AgentEnd, KernelEnd, RefusedReason, ToAgent, ToKernel};
//!
//! let (mut agent, mut kernel) = (AgentEnd::new(), KernelEnd::new(0));
//! let mut buf = [0; 256];
//!
//! // The agent speaks first. A record counts as sent when the kernel took it.
//! let hello = ToKernel::Hello { agent_version: "0.1.0" };
//! let sent = agent.encode(&hello, &mut buf)?;
//! let heard = kernel.handle(sent.bytes(&buf)).expect("a hello comes first");
//! assert_eq!(heard, hello);
//! agent.accepted(sent);
//!
//! // The kernel answers, and says at which generation it is.
//! let answer = ToAgent::Hello { module_version: "0.1.0", generation: 0, net_ns: 4026531840 };
//! let len = kernel.encode(&answer, &mut buf)?;
//! assert_eq!(agent.handle(&buf[..len]), Ok(answer));
//!
//! // A repeated record is refused, by name and position, and changes nothing.
//! assert_eq!(agent.handle(&buf[..len]).unwrap_err().why, RefusedReason::Sequence);
//! # Ok::<(), tidelock_kabi::EncodeError>(())
//! ```
//!
//! Nothing here panics, recurses, or loops beyond a bound named in [`bounds`]; no record can carry a
//! private key. Errors are [`Fault`]s: a stable [`RefusedReason`] and the offset of the byte at fault.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[macro_use]
mod numbered;
mod agent_end;
pub mod bounds;
mod config;
mod evidence;
mod flow;
mod header;
mod kernel_end;
mod list;
mod net;
mod read;
mod reason;
mod refused;
mod serial;
mod svid;
mod to_agent;
mod to_kernel;
mod write;

pub use agent_end::{AgentEnd, Pending};
pub use config::{
    Bundle, Config, External, Limits, Mode, OnUnavailable, Posture, PrefilterEntry, Service,
    Transform,
};
pub use evidence::{Args, Evidence, EvidenceFlags};
pub use flow::{Denial, FlowClosed, FlowInfo};
pub use header::{ABI_VERSION, HEADER_BYTES, Header, MAGIC, abi_version_of, stamp};
pub use kernel_end::{Command, KERNEL_END_BYTES, KernelEnd, Taken};
pub use list::{List, ListItem, ListIter};
pub use net::{Cidr, CidrError, Endpoint, Role};
pub use reason::DenyReason;
pub use refused::{EncodeError, Fault, Refused, RefusedReason};
pub use serial::Serial;
pub use svid::Svid;
pub use to_agent::{ToAgent, ToAgentKind};
pub use to_kernel::{ToKernel, ToKernelKind};
pub use write::clip;
