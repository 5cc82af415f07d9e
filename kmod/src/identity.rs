//! Identities: a key is born in its arena and never leaves it.

use alloc::boxed::Box;

use tidelock_datapath::{Identity, InstallError};
use tidelock_kabi::{Fault, HEADER_BYTES, RefusedReason};
use tidelock_spiffe_core::SpiffeId;

use crate::arena::{Arena, Kind};
use crate::entropy::Pool;
use crate::errno::{self, EINVAL, EIO, ENOSPC};
use crate::ffi::{self, SERIAL_BYTES, Str, Svid};

/// Where the chain begins in the body of an SVID record, for faults of the chain as a whole.
const CHAIN_AT: usize = 12;

/// Makes a key pair for `spiffe_id` in the current arena and writes its certificate request to
/// `csr`; 0, `-EINVAL` for a name that is none, `-ENOSPC` when `cap` is too small. Context: lane.
///
/// # Safety
/// `spiffe_id` stays during the call; `csr` points to `cap` initialised bytes that nobody else
/// touches; `csr_len` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_key_new(
    spiffe_id: Str,
    csr: *mut u8,
    cap: u64,
    csr_len: *mut u64,
) -> i32 {
    // SAFETY: the caller's contract.
    let name = unsafe { spiffe_id.text() };
    // SAFETY: the caller's contract.
    let out = unsafe { ffi::bytes_mut(csr, cap) };
    let id = name.and_then(|name| SpiffeId::parse(name).ok());
    let (Some(arena), Some(id), Some(out)) = (Arena::current(), id, out) else {
        return -EINVAL;
    };
    let Ok(identity) = Identity::generate::<Pool>(id) else {
        return -EIO;
    };
    let Ok(request) = identity.csr() else {
        return -EIO;
    };
    let Some(place) = out.get_mut(..request.len()) else {
        return -ENOSPC;
    };
    place.copy_from_slice(&request);
    // SAFETY: the caller's contract.
    unsafe { csr_len.write(ffi::len_u64(&request)) };
    let root = Box::leak(Box::new(identity));
    // SAFETY: the root was just allocated in the current arena, and is of this kind's type.
    unsafe { arena.set_root(Kind::Identity, root) };
    0
}

/// Gives the key in the current arena its certificate chain, from `tl_cmd.body`; 0, or `-errno`
/// with the reason in `why` and the offset in `at`. Context: lane.
///
/// # Safety
/// The current arena is that of a key and not shared yet. `body` is null or points to `len` bytes
/// that nobody writes during the call; `out`, `why` and `at` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_svid_install(
    body: *const u8,
    len: u64,
    out: *mut Svid,
    why: *mut u32,
    at: *mut u32,
) -> i32 {
    // SAFETY: the caller's contract.
    let body = unsafe { ffi::bytes(body, len) };
    // SAFETY: `Kind::Identity` belongs to `Identity`.
    let root = Arena::current().and_then(|arena| unsafe { arena.root::<Identity>(Kind::Identity) });
    let (Some(mut root), Some(body)) = (root, body) else {
        return -EINVAL;
    };
    // SAFETY: the root stays as long as its arena, which only this lane uses now.
    match install(unsafe { root.as_mut() }, body) {
        Ok(svid) => {
            // SAFETY: the caller's contract.
            unsafe { out.write(svid) };
            0
        }
        Err(fault) => {
            // SAFETY: the caller's contract.
            unsafe { why.write(fault.why.number()) };
            // SAFETY: the caller's contract.
            unsafe { at.write(fault.at) };
            errno::of_refusal(fault.why).saturating_neg()
        }
    }
}

fn install(identity: &mut Identity, body: &[u8]) -> Result<Svid, Fault> {
    let record = tidelock_kabi::Svid::parse(body)?;
    let installed = identity
        .install(record.chain)
        .map_err(|error| refusal(&error, &record, body))?;
    let (serial, serial_len) = serial(installed.serial());
    let (not_before, not_after) = (installed.not_before(), installed.not_after());
    Ok(Svid {
        not_before,
        not_after,
        serial,
        serial_len,
        authority: *installed.authority(),
    })
}

/// Every refusal is of the chain; `at` is the leaf if it is at fault, or else where the chain begins.
fn refusal(error: &InstallError, record: &tidelock_kabi::Svid<'_>, body: &[u8]) -> Fault {
    let of_leaf = matches!(
        error,
        InstallError::Leaf(_) | InstallError::OtherId { .. } | InstallError::OtherKey
    );
    let leaf = record.chain.get(0).filter(|_| of_leaf);
    let offset = |der: &[u8]| der.as_ptr().addr().checked_sub(body.as_ptr().addr());
    let in_body = leaf.and_then(offset).unwrap_or(CHAIN_AT);
    let at = u32::try_from(in_body.saturating_add(HEADER_BYTES)).unwrap_or(0);
    Fault {
        why: RefusedReason::BadChain,
        at,
    }
}

/// A serial number as C holds it. Longer than RFC 5280 §4.1.2.2 allows, it is cut: such a
/// certificate was refused before.
pub(crate) fn serial(bytes: &[u8]) -> ([u8; SERIAL_BYTES], u32) {
    let mut out = [0; SERIAL_BYTES];
    let len = out
        .iter_mut()
        .zip(bytes)
        .map(|(to, from)| *to = *from)
        .count();
    (out, u32::try_from(len).unwrap_or(0))
}

/// The identity in an arena.
///
/// # Safety
/// `identity` is null or points to an arena that stays for `'a` and that no lane is changing.
pub(crate) unsafe fn at<'a>(identity: *const u8) -> Option<&'a Identity> {
    // SAFETY: the caller's contract.
    let arena = unsafe { Arena::at(identity) }?;
    // SAFETY: `Kind::Identity` belongs to `Identity`.
    let root = unsafe { arena.root::<Identity>(Kind::Identity) }?;
    // SAFETY: a root stays as long as its arena, and no lane is changing it.
    Some(unsafe { root.as_ref() })
}

/// The SPIFFE ID of an identity arena, which lives as long as the arena; empty if it holds none.
/// Context: any.
///
/// # Safety
/// `identity` is null or points to an arena that stays for as long as the name is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_identity_id(identity: *const u8) -> Str {
    // SAFETY: the caller's contract.
    let identity = unsafe { at(identity) };
    identity.map_or(Str::EMPTY, |identity| {
        Str::of(identity.spiffe_id().as_str().as_bytes())
    })
}

#[cfg(test)]
mod tests;
