//! Mirrors of `kmod/shim.h`, and the functions that C gives us.
//!
//! Only plain data crosses: fixed-width integers and (pointer, length) pairs. Every struct here is
//! asserted against the size that C asserts, and a host test compares each field's offset with what
//! a C compiler makes of `shim.h`.

mod device;
mod flow;

use core::{ptr, slice};

use tidelock_datapath::AuthorityDigest;
use tidelock_kabi::bounds::SHA256_BYTES;

use crate::decide::Memo;

pub use device::{Cmd, Rec, cmd, rec};
pub use flow::{Edit, FlowNew, Marks, Step, progress, verdict};

/// Bytes of the opaque session state that C keeps per open device.
pub const SESSION_BYTES: usize = 64;
/// Bytes of text that a verdict can carry.
pub const DETAIL_BYTES: usize = 256;
/// Longest certificate serial number, in bytes (RFC 5280 §4.1.2.2).
pub const SERIAL_BYTES: usize = 20;
/// Room for the largest `struct tls12_crypto_info_*` (`include/uapi/linux/tls.h`).
pub const CRYPTO_INFO_BYTES: usize = 64;
/// Bytes of an arena that holds one identity.
pub const IDENTITY_ARENA: usize = 64 * 1024;
/// Bytes of an arena that holds one flow's handshake.
pub const FLOW_ARENA: usize = 128 * 1024;
/// Bytes that a direction of a mediated flow holds at most: a head or a few records, and what a transform adds.
pub const QUEUE_BYTES: usize = 64 * 1024;
/// Room for so much before a writer that waited is woken, and before more is read from the wire.
pub const QUEUE_LOW: u32 = 16 * 1024;

/// Flag of [`Evidence`]: older than the module, or than the configuration that governs it.
pub const EV_ADOPTED: u32 = 1;
/// Flag of [`Evidence`]: in the initial mount namespace.
pub const EV_HOST_MNT: u32 = 1 << 1;
/// The network namespace of [`Evidence`] where nobody could look at it: no namespace has such a small number.
pub const NET_UNKNOWN: u32 = 1;

/// Borrowed bytes: `struct tl_str`. A null pointer means empty.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Str {
    /// First byte, or null.
    pub ptr: *const u8,
    /// Length in bytes.
    pub len: u64,
}

impl Str {
    /// No bytes.
    pub const EMPTY: Self = Self {
        ptr: ptr::null(),
        len: 0,
    };

    /// Points at `bytes`; C must not keep it longer than `bytes` lives.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            len: len_u64(bytes),
        }
    }

    /// The bytes; empty when the pointer is null or the length is impossible.
    ///
    /// # Safety
    /// The pointer is null or points to `len` bytes that live and stay unwritten for `'a`.
    #[must_use]
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: the caller's contract is that of `bytes`.
        unsafe { bytes(self.ptr, self.len) }.unwrap_or(&[])
    }

    /// The text, or `None` when the bytes are not UTF-8.
    ///
    /// # Safety
    /// As for [`Str::bytes`].
    #[must_use]
    pub unsafe fn text<'a>(self) -> Option<&'a str> {
        // SAFETY: the caller's contract.
        let bytes = unsafe { self.bytes() };
        core::str::from_utf8(bytes).ok()
    }
}

/// A (pointer, length) pair from C as a slice; `None` when it is null with a length, or too long.
///
/// # Safety
/// `ptr` is null or points to `len` bytes that live and stay unwritten for `'a`.
#[must_use]
pub unsafe fn bytes<'a>(ptr: *const u8, len: u64) -> Option<&'a [u8]> {
    if len == 0 {
        return Some(&[]);
    }
    let len = usable_len(ptr, len)?;
    // SAFETY: not null, at most `isize::MAX` long; the rest is the caller's contract.
    Some(unsafe { slice::from_raw_parts(ptr, len) })
}

/// A writable (pointer, length) pair from C as a slice; `None` as for [`bytes`].
///
/// # Safety
/// `ptr` is null or points to `len` initialised bytes that nobody else touches for `'a`.
#[must_use]
pub unsafe fn bytes_mut<'a>(ptr: *mut u8, len: u64) -> Option<&'a mut [u8]> {
    if len == 0 {
        return Some(&mut []);
    }
    let len = usable_len(ptr, len)?;
    // SAFETY: not null, at most `isize::MAX` long; the rest is the caller's contract.
    Some(unsafe { slice::from_raw_parts_mut(ptr, len) })
}

fn usable_len(ptr: *const u8, len: u64) -> Option<usize> {
    let len = usize::try_from(len).ok()?;
    if ptr.is_null() || isize::try_from(len).is_err() {
        None
    } else {
        Some(len)
    }
}

/// The length of a slice as C counts it.
#[must_use]
pub fn len_u64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// An IP endpoint: `struct tl_addr`. IPv4 is held v4-mapped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Addr {
    /// IPv6 address, or a v4-mapped one.
    pub ip: [u8; 16],
    /// Port, in host byte order.
    pub port: u16,
    /// Unused.
    pub pad: u16,
    /// Inode number of the network namespace, 0 for the initial one.
    pub netns: u32,
}

/// What a process is: `struct tl_evidence`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Evidence {
    /// Number of the process, never reused while the module is loaded.
    pub subject: u64,
    /// `CLOCK_BOOTTIME` at exec.
    pub start_ns: u64,
    /// Thread group, in the initial pid namespace.
    pub pid: u32,
    /// Effective uid, in the initial user namespace.
    pub uid: u32,
    /// Effective gid, in the initial user namespace.
    pub gid: u32,
    /// `TL_EV_*` bits.
    pub flags: u32,
    /// Inode number of the mount namespace.
    pub mnt_ns: u32,
    /// Inode number of the network namespace; 0 for the initial one, or [`NET_UNKNOWN`].
    pub net_ns: u32,
    /// Device of the executed file.
    pub exe_dev: u64,
    /// Inode of the executed file.
    pub exe_ino: u64,
    /// Size of the executed file.
    pub exe_size: u64,
    /// Change time of the executed file.
    pub exe_ctime_ns: i64,
    /// Device of the `#!` script, 0 without one.
    pub script_dev: u64,
    /// Inode of the `#!` script, 0 without one.
    pub script_ino: u64,
    /// Path of the executed file.
    pub exe: Str,
    /// Path of the `#!` script, or empty.
    pub script: Str,
    /// Working directory.
    pub cwd: Str,
    /// NUL-separated arguments.
    pub argv: Str,
    /// Path of its cgroup in the hierarchy of version 2, from its root; empty: it cannot be told.
    pub cgroup: Str,
}

/// What C must know of a configuration: `struct tl_limits`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Limits {
    /// How long a connect may wait for a grant.
    pub grant_wait_ms: u32,
    /// How long a handshake may take.
    pub handshake_ms: u32,
    /// Handshakes pending at once.
    pub max_handshakes: u32,
    /// Handshakes pending at once on one listener.
    pub max_handshakes_per_listener: u32,
    /// Entries of the prefilter.
    pub n_prefilter: u32,
    /// Services.
    pub n_services: u32,
    /// How often live flows are to be decided anew because time passes; 0: never.
    pub redecide_ms: u32,
}

/// The end that asks: `enum tl_role`.
pub mod role {
    /// The end that connects.
    pub const CLIENT: u32 = 0;
    /// The end that accepts.
    pub const SERVER: u32 = 1;
}

/// Nothing edits a flow's bytes: `TL_DIRECT`.
pub const DIRECT: u32 = u32::MAX;

/// May this flow be: `struct tl_question`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Question {
    /// Arena of the configuration.
    pub cfg: *const u8,
    /// Service number, or -1.
    pub service: i32,
    /// Who asks.
    pub role: u32,
    /// SPIFFE ID of the client, or empty.
    pub client_id: Str,
    /// SPIFFE ID of the server, or empty.
    pub server_id: Str,
    /// The server's end.
    pub addr: Addr,
    /// The client's end; its address is none where it is not known yet.
    pub client: Addr,
    /// Milliseconds since 1970; 0: not known.
    pub now_ms: i64,
    /// The process whose end asks, or null.
    pub process: *const Evidence,
    /// SHA-256 of the file that it executes, or null: not measured.
    pub exe_sha256: *const [u8; SHA256_BYTES],
    /// Serial number of the asking end's SVID, or empty: it is not looked at.
    pub own_serial: Str,
    /// Serial number of the peer's SVID, or empty: not known yet.
    pub peer_serial: Str,
    /// Who signed the asking end's SVID, or empty: it is not looked at.
    pub own_authority: Str,
    /// Who signed the peer's SVID, or empty: not known yet.
    pub peer_authority: Str,
    /// 1: nothing is proved on the wire.
    pub plain: u32,
    /// Why the asking end's process was refused an identity, or 0.
    pub refused: u32,
    /// What the bytes go through: [`DIRECT`], the number of a transform, or 0: that is not settled yet.
    pub carried: u32,
    /// Milliseconds since the flow opened; 0: it opens.
    pub age_ms: u64,
    /// What policies have permitted this end of the flow, or null: it is not kept.
    pub memo: *mut Memo,
}

/// The answer: `struct tl_decision`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Decision {
    /// 1 or 0.
    pub allow: u32,
    /// Why not, when `allow` is 0.
    pub reason: u32,
    /// When `allow` is 1: ask again after so many milliseconds at the latest; 0: only when something changes.
    pub again_ms: u32,
    /// Bytes used in `detail`.
    pub detail_len: u32,
    /// Determining policies, or `no permit matched`.
    pub detail: [u8; DETAIL_BYTES],
}

/// What an installed SVID is: `struct tl_svid`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Svid {
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
    /// Serial number of the leaf.
    pub serial: [u8; SERIAL_BYTES],
    /// Bytes used in `serial`.
    pub serial_len: u32,
    /// Which authority signed it.
    pub authority: AuthorityDigest,
}

const _: () = {
    assert!(size_of::<Str>() == 16);
    assert!(size_of::<Addr>() == 24);
    assert!(size_of::<Evidence>() == 168);
    assert!(size_of::<Cmd>() == 96);
    assert!(size_of::<Rec>() == 272);
    assert!(size_of::<Limits>() == 28);
    assert!(size_of::<Question>() == 216);
    assert!(size_of::<Decision>() == 272);
    assert!(size_of::<Svid>() == 56);
    assert!(size_of::<FlowNew>() == 224);
    assert!(size_of::<Step>() == 640);
    assert!(size_of::<Marks>() == 12);
    assert!(size_of::<Edit>() == 104);
};

unsafe extern "C" {
    /// The arena of the lane that runs us, or null off a lane. Context: any.
    pub fn tl_c_arena() -> *mut u8;
    /// Fills `buf` with cryptographic randomness. Context: any.
    pub fn tl_c_random(buf: *mut u8, len: u64);
    /// Ends the lane's job; C never returns from it. Declared as returning, so that the trap that
    /// tells objtool where control flow ends is not optimised away. Context: lane.
    pub fn tl_c_panic(msg: *const u8, len: u64);
    /// Inode number of the initial network namespace: what 0 stands for. Context: any.
    pub fn tl_c_init_net() -> u32;
    /// The release of the running kernel, for good. Context: any.
    pub fn tl_c_release() -> Str;
}

#[cfg(test)]
mod tests;
