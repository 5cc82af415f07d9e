//! The versioned gRPC contracts of Tidelock: `Node` between agents and the control plane, `Admin` between `tidelock` and the
//! control plane. The protobuf files in `proto/` are the reference; this crate is what `prost` and `tonic` make of them, and
//! the few constants that both ends have to agree on.
//!
//! ```
//! use prost::Message as _;
//! use tidelock_proto::MAX_MESSAGE_BYTES;
//! use tidelock_proto::v1::admin_client::AdminClient;
//! use tidelock_proto::v1::{ApplyRequest, SourceFile, SourceFormat};
//! use tonic::transport::{Channel, Error};
//!
//! /// Reaches a control plane's administrators' socket, with the limits that both ends keep.
//! async fn connect() -> Result<AdminClient<Channel>, Error> {
//!     let admin = AdminClient::connect("unix:///run/tidelock/ca.sock").await?;
//!     Ok(admin.max_encoding_message_size(MAX_MESSAGE_BYTES))
//! }
//!
//! // What it would send to apply a file; on the wire it is what the protobuf files say, whoever wrote it.
//! let text = "apiVersion: tidelock.dev/v1\nkind: Policy\n";
//! let request = ApplyRequest {
//!     files: vec![SourceFile {
//!         name: "web.yaml".into(),
//!         text: text.into(),
//!         format: SourceFormat::Yaml.into(),
//!     }],
//! };
//! let bytes = request.encode_to_vec();
//! assert!(bytes.len() <= MAX_MESSAGE_BYTES);
//! assert_eq!(ApplyRequest::decode(&*bytes)?.files[0].text, text);
//! # Ok::<(), prost::DecodeError>(())
//! ```
#![forbid(unsafe_code)]

pub mod audit;
mod codec;
mod error_code;
pub mod state;
mod sync;
pub mod trace;
mod x509pop;

pub use error_code::{ERROR_CODE_METADATA, ErrorCode};
pub use x509pop::{POP_NONCE_BYTES, PopMessage};

/// Version 1 of the contracts.
pub mod v1 {
    #![allow(missing_docs, clippy::all, reason = "generated code")]
    tonic::include_proto!("tidelock.v1");

    pub use crate::sync::SyncResponse;
    /// What is within a [`SyncResponse`].
    pub mod sync_response {
        pub use crate::sync::Update;
    }
}

/// Path of the SPIFFE ID that the control plane's server certificate bears: `spiffe://<trust domain>/tidelock/control`.
pub const CONTROL_PATH: &str = "/tidelock/control";

/// The DNS name that the control plane's server certificate bears beside its SPIFFE ID, for TLS clients that can only
/// compare DNS names. No other certificate of a trust domain bears a DNS name.
pub const CONTROL_DNS_NAME: &str = "control.tidelock.internal";

/// Prefix of the paths of node SPIFFE IDs: `spiffe://<trust domain>/tidelock/agent/<node>`.
pub const AGENT_PATH_PREFIX: &str = "/tidelock/agent/";

/// Prefix of the paths of operators' SPIFFE IDs: `spiffe://<trust domain>/tidelock/operator/<name>`.
pub const OPERATOR_PATH_PREFIX: &str = "/tidelock/operator/";

/// Every call of the service `Admin`, in the order of the protobuf file.
pub const ADMIN_CALLS: &[&str] = &include!(concat!(env!("OUT_DIR"), "/admin_calls.rs"));

/// Every call of the service `Node`, in the order of the protobuf file.
pub const NODE_CALLS: &[&str] = &include!(concat!(env!("OUT_DIR"), "/node_calls.rs"));

/// The protobuf files, comments and all, as an encoded `FileDescriptorSet`: what server reflection hands out.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Prefix of the paths that Tidelock keeps for itself; no workload may have an ID below it.
pub const RESERVED_PATH_PREFIX: &str = "/tidelock/";

/// Longest message of either service, in bytes; both ends set it on their tonic clients and servers (tonic's default is 4 MiB).
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The newest kind of entry that agents of this version serve (`Entry.version`). 0: a list of selectors. 1: an expression of them.
/// 2: a template of SPIFFE IDs that differ from process to process.
pub const ENTRY_VERSION: u32 = 2;

/// Most SPIFFE IDs that processes of one node have by templates at one time. Each is a key in the kernel, of 64 KiB, and twice that
/// while it is renewed.
pub const MAX_FILLED_IDS_PER_NODE: usize = 1_024;

/// Most of those that come of one entry: one template must not leave nothing for the others.
pub const MAX_FILLED_IDS_PER_ENTRY: usize = 512;

/// Most SVIDs that are revoked at one time: so many a node's kernel takes.
pub const MAX_REVOKED_SVIDS: usize = 4_096;

/// Bytes by which the parts of a node's state are named: of their SHA-256, so many from its beginning. Enough to tell apart what
/// control planes make; whether it is the right state is for the whole digest to say.
pub const PART_ID_BYTES: usize = 16;

/// Most parts that a node's state has. One that has more is sent as snapshots.
pub const MAX_PARTS: usize = 65_536;

/// Longest state that travels in parts, in bytes: one message, less what frames its parts.
pub const MAX_STATE_BYTES: usize = MAX_MESSAGE_BYTES - 8 * MAX_PARTS;

/// Most audiences of one JWT-SVID. Ours: one is the normal case (JWT-SVID §3.2), and the audit log keeps all of them.
pub const MAX_JWT_AUDIENCES: usize = 8;

/// Longest audience of a JWT-SVID, in bytes. Ours, for the same reason.
pub const MAX_JWT_AUDIENCE_BYTES: usize = 512;

/// Longest life of a JWT-SVID, in seconds: an hour. Ours: nothing takes one back that has been handed over.
pub const MAX_JWT_TTL_SECS: u32 = 3_600;

/// Life of a JWT-SVID of which nobody says how long it is to live, in seconds.
pub const DEFAULT_JWT_TTL_SECS: u32 = 300;

/// Longest reason for which SVIDs are revoked, in bytes.
pub const MAX_REVOKE_REASON_BYTES: usize = 256;
