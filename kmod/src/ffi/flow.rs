//! What crosses for a handshake, and for a mediated flow after it.

use tidelock_datapath::AuthorityDigest;
use tidelock_datapath::transform::TRANSFORM_WORDS;

use tidelock_kabi::bounds::SHA256_BYTES;

use crate::decide::Memo;
use crate::traffic::Traffic;

use super::{
    Addr, CRYPTO_INFO_BYTES, DETAIL_BYTES, Decision, Evidence, Question, SERIAL_BYTES, Str,
};

/// What a handshake starts from: `struct tl_flow_new`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FlowNew {
    /// Arena of the configuration.
    pub cfg: *const u8,
    /// Arena of the identity.
    pub identity: *const u8,
    /// Service number.
    pub service: i32,
    /// `TL_CLIENT` or `TL_SERVER`.
    pub role: u32,
    /// The server's end.
    pub addr: Addr,
    /// The client's end; its address is none where it is not known yet.
    pub client: Addr,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// The process whose end this is, or null.
    pub process: *const Evidence,
    /// SHA-256 of the file that it executes, or null.
    pub exe_sha256: *const [u8; SHA256_BYTES],
    /// What policies have permitted so far.
    pub memo: Memo,
}

/// What a step of a handshake came to: `enum tl_verdict`.
pub mod verdict {
    /// Send `tx`, then feed a record.
    pub const WANT_RECORD: u32 = 1;
    /// Send `tx`, then hand the flow to kTLS.
    pub const ESTABLISHED: u32 = 2;
    /// Send `tx`, then close.
    pub const FAILED: u32 = 3;
}

/// One step of a handshake: `struct tl_step`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Step {
    /// One of [`verdict`].
    pub verdict: u32,
    /// Why it failed.
    pub reason: u32,
    /// What the program sees when it failed: a positive errno.
    pub err: i32,
    /// Cipher suite, when established.
    pub suite: u32,
    /// Bytes to send.
    pub tx: *const u8,
    /// Length of `tx`.
    pub tx_len: u64,
    /// The peer's SPIFFE ID, when known.
    pub peer_id: Str,
    /// Serial number of the peer's leaf, when known.
    pub peer_serial: [u8; SERIAL_BYTES],
    /// Bytes used in `peer_serial`.
    pub peer_serial_len: u32,
    /// Bytes used in `detail`.
    pub detail_len: u32,
    /// Why it failed, for people; or determining policies.
    pub detail: [u8; DETAIL_BYTES],
    /// `struct tls12_crypto_info_*` for what we send.
    pub tx_info: [u8; CRYPTO_INFO_BYTES],
    /// Bytes used in `tx_info`.
    pub tx_info_len: u32,
    /// `struct tls12_crypto_info_*` for what we receive.
    pub rx_info: [u8; CRYPTO_INFO_BYTES],
    /// Bytes used in `rx_info`.
    pub rx_info_len: u32,
    /// How many records the key may protect that we send with, when established.
    pub records_max: u64,
    /// SHA-256 of the peer's certificate, when known.
    pub peer_hash: [u8; 32],
    /// Which authority signed the peer's SVID, when known.
    pub peer_authority: AuthorityDigest,
    /// What later keys are made of, when established.
    pub traffic: Traffic,
}

/// What a transform came to: `enum tl_progress`.
pub mod progress {
    /// Everything given was looked at.
    pub const NEEDS_BYTES: u32 = 0;
    /// Nothing more goes in until something was taken.
    pub const NEEDS_ROOM: u32 = 1;
    /// The flow must end.
    pub const REFUSED: u32 = 2;
    /// The flow must end: policy does not permit what came.
    pub const DENIED: u32 = 3;
}

/// Where in the buffer of a direction lies what: `struct tl_marks`. All zero at first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Marks {
    /// From here on it may be taken.
    pub head: u32,
    /// From here on the transform has not seen it.
    pub ready: u32,
    /// From here on the buffer is free.
    pub end: u32,
}

/// One direction of a mediated flow, to be edited: `struct tl_edit`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Edit {
    /// The transform's state.
    pub state: *mut [u64; TRANSFORM_WORDS],
    /// The buffer, of `QUEUE_BYTES`.
    pub buf: *mut u8,
    /// What lies where in it.
    pub marks: *mut Marks,
    /// Our SPIFFE ID.
    pub own_id: Str,
    /// The peer's SPIFFE ID.
    pub peer_id: Str,
    /// SHA-256 of the peer's certificate.
    pub peer_hash: *const [u8; 32],
    /// Why it was refused.
    pub why: Str,
    /// What each request is asked about, or null: then none is permitted.
    pub question: *const Question,
    /// What policy said, if it did not permit a request.
    pub denied: *mut Decision,
    /// What policies that are only observed would have said, if that differs.
    pub observed: *mut Decision,
}
