//! The versioned gRPC contracts of Tidelock: `Node` between agents and the control plane, `Admin` between `tidelock` and the
//! control plane. The protobuf files in `proto/` are the reference; this crate is what `prost` and `tonic` make of them, and
//! the few constants that both ends have to agree on.
#![forbid(unsafe_code)]

/// Version 1 of the contracts.
pub mod v1 {
    #![allow(missing_docs, clippy::all, reason = "generated code")]
    tonic::include_proto!("tidelock.v1");
}

/// Path of the SPIFFE ID that the control plane's server certificate bears: `spiffe://<trust domain>/tidelock/control`.
pub const CONTROL_PATH: &str = "/tidelock/control";

/// The DNS name that the control plane's server certificate bears beside its SPIFFE ID, for TLS clients that can only
/// compare DNS names. No other certificate of a trust domain bears a DNS name.
pub const CONTROL_DNS_NAME: &str = "control.tidelock.internal";

/// Prefix of the paths of node SPIFFE IDs: `spiffe://<trust domain>/tidelock/agent/<node>`.
pub const AGENT_PATH_PREFIX: &str = "/tidelock/agent/";

/// Prefix of the paths that Tidelock keeps for itself; no workload may have an ID below it.
pub const RESERVED_PATH_PREFIX: &str = "/tidelock/";

/// Longest message of either service, in bytes; both ends set it on their tonic clients and servers (tonic's default is 4 MiB).
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
