//! What crosses the device: commands of the agent, and records to it.

use super::{Addr, Evidence, SERIAL_BYTES, Str};

/// A record from the agent, parsed: `struct tl_cmd`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Cmd {
    /// `TL_CMD_*`.
    pub kind: u32,
    /// Identity number, where the kind has one.
    pub identity: u32,
    /// Sequence number of the record.
    pub seq: u64,
    /// Generation, where the kind has one.
    pub generation: u64,
    /// Subject, where the kind has one.
    pub subject: u64,
    /// Key number, where the kind has one.
    pub key: u64,
    /// Reason, where the kind has one.
    pub reason: u32,
    /// Unused.
    pub pad: u32,
    /// SPIFFE ID, where the kind has one.
    pub spiffe_id: Str,
    /// The bytes that `tl_rs_config_build` or `tl_rs_svid_install` read.
    pub body: Str,
    /// SHA-256 of the file that the subject executes, where the kind has one and it was measured.
    pub exe_sha256: Str,
}

/// The kinds of [`Cmd`]: `enum tl_cmd_kind`.
pub mod cmd {
    /// First record of a session.
    pub const HELLO: u32 = 1;
    /// A whole configuration.
    pub const CONFIG: u32 = 2;
    /// An identity to make a key for.
    pub const IDENTITY: u32 = 3;
    /// A certificate chain for a key.
    pub const SVID: u32 = 4;
    /// A subject has an identity.
    pub const GRANT: u32 = 5;
    /// A subject has none.
    pub const REFUSE: u32 = 6;
    /// An identity is no longer needed.
    pub const FORGET: u32 = 7;
    /// Cut every flow: the module is about to be unloaded.
    pub const DRAIN: u32 = 8;
}

/// A record to the agent: `struct tl_rec`. `kind` says which fields count.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Rec {
    /// `TL_REC_*`.
    pub kind: u32,
    /// Reason number.
    pub reason: u32,
    /// Wall clock, nanoseconds since 1970.
    pub time_ns: u64,
    /// Subject.
    pub subject: u64,
    /// Flow number.
    pub flow: u64,
    /// Generation.
    pub generation: u64,
    /// Key number.
    pub key: u64,
    /// The record refused.
    pub seq: u64,
    /// Records lost, flows cut, or refusals untold.
    pub count: u64,
    /// Offset in the refused record.
    pub at: u32,
    /// Identity number.
    pub identity: u32,
    /// Thread group.
    pub pid: u32,
    /// Effective uid.
    pub uid: u32,
    /// `TL_CLIENT` or `TL_SERVER`.
    pub role: u32,
    /// TLS cipher suite number.
    pub suite: u32,
    /// Our end.
    pub local: Addr,
    /// The other end.
    pub remote: Addr,
    /// Name of the Service.
    pub service: Str,
    /// Our SPIFFE ID.
    pub local_id: Str,
    /// The peer's SPIFFE ID.
    pub peer_id: Str,
    /// Determining policies, or why.
    pub detail: Str,
    /// A CSR, or text.
    pub body: Str,
    /// Serial number of our SVID.
    pub serial: [u8; SERIAL_BYTES],
    /// Bytes used in `serial`.
    pub serial_len: u32,
    /// Serial number of the peer's SVID.
    pub peer_serial: [u8; SERIAL_BYTES],
    /// Bytes used in `peer_serial`.
    pub peer_serial_len: u32,
    /// What the process is, for an exec record.
    pub evidence: *const Evidence,
}

/// The kinds of [`Rec`]: `enum tl_rec_kind`.
pub mod rec {
    /// First record of a session.
    pub const HELLO: u32 = 1;
    /// A governed process exists.
    pub const EXEC: u32 = 2;
    /// A governed process ended.
    pub const EXIT: u32 = 3;
    /// A certificate signing request.
    pub const CSR: u32 = 4;
    /// An SVID is in use.
    pub const INSTALLED: u32 = 5;
    /// A configuration is in force.
    pub const APPLIED: u32 = 6;
    /// A flow is established.
    pub const FLOW_OPENED: u32 = 7;
    /// A flow ended.
    pub const FLOW_CLOSED: u32 = 8;
    /// A flow was refused.
    pub const DENIED: u32 = 9;
    /// A record of the agent was refused.
    pub const REFUSED: u32 = 10;
    /// Records were dropped.
    pub const LOST: u32 = 11;
}
