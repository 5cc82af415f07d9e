//! The traffic secrets of an established flow, from which each direction's next keys are made when its sender changes them (RFC 8446
//! §4.6.3).

use tidelock_datapath::{MAX_TRAFFIC_SECRET_BYTES, TrafficSecret};
use tidelock_kabi::DenyReason;

use crate::ffi::CRYPTO_INFO_BYTES;

/// How many KeyUpdates of a peer are followed at once. OpenSSL and BoringSSL end a connection at as many without data between them.
pub const KEY_UPDATES_AT_ONCE: u64 = 32;

/// And then one more in so many milliseconds. AES-GCM's limit (RFC 8446 §5.5), at 100 Gb/s, asks for one in half a minute.
pub const KEY_UPDATE_EVERY_MS: u64 = 1_000;

/// `struct tl_traffic`, which to C is words that it wipes. All zero: there is nothing to follow with.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Traffic {
    /// What we send with.
    tx: [u8; MAX_TRAFFIC_SECRET_BYTES],
    /// What the peer sends with.
    rx: [u8; MAX_TRAFFIC_SECRET_BYTES],
    /// When as many KeyUpdates of the peer would have come if they came evenly: a time of C's monotonic clock, in milliseconds.
    even_ms: u64,
    /// The cipher suite's number (RFC 8446 §B.4).
    suite: u32,
    pad: u32,
}

/// What C keeps it in: `TL_TRAFFIC_WORDS`.
const TRAFFIC_WORDS: usize = 14;
const _: () = assert!(size_of::<Traffic>() == TRAFFIC_WORDS * size_of::<u64>());

/// Keys for kTLS: `struct tl_keys`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Keys {
    /// `struct tls12_crypto_info_*`.
    pub info: [u8; CRYPTO_INFO_BYTES],
    /// Bytes used in `info`.
    pub info_len: u32,
}

impl Traffic {
    /// Nothing to follow with.
    pub const NONE: Self = Self {
        tx: [0; MAX_TRAFFIC_SECRET_BYTES],
        rx: [0; MAX_TRAFFIC_SECRET_BYTES],
        even_ms: 0,
        suite: 0,
        pad: 0,
    };

    /// What follows from these secrets.
    #[must_use]
    pub fn of(suite: u16, tx: &TrafficSecret, rx: &TrafficSecret) -> Self {
        let mut traffic = Self {
            suite: u32::from(suite),
            ..Self::NONE
        };
        keep(&mut traffic.tx, tx);
        keep(&mut traffic.rx, rx);
        traffic
    }

    /// The peer's next keys, if it has not had too many.
    fn received(&mut self, now_ms: u64, out: &mut Keys) -> Result<(), DenyReason> {
        /// So far may the peer be ahead.
        const AHEAD_MS: u64 = KEY_UPDATES_AT_ONCE
            .saturating_sub(1)
            .saturating_mul(KEY_UPDATE_EVERY_MS);
        let even_ms = self.even_ms.max(now_ms);
        if even_ms.saturating_sub(now_ms) > AHEAD_MS {
            return Err(DenyReason::KeyUpdated);
        }
        self.even_ms = even_ms.saturating_add(KEY_UPDATE_EVERY_MS);
        advance(self.suite, &mut self.rx, out).ok_or(DenyReason::Internal)
    }

    /// Our own next keys.
    fn sent(&mut self, out: &mut Keys) -> Result<(), DenyReason> {
        advance(self.suite, &mut self.tx, out).ok_or(DenyReason::Internal)
    }
}

/// Puts the next secret in the place of one, and its keys into `out`.
fn advance(suite: u32, secret: &mut [u8; MAX_TRAFFIC_SECRET_BYTES], out: &mut Keys) -> Option<()> {
    let next = [32, MAX_TRAFFIC_SECRET_BYTES]
        .into_iter()
        .find_map(|len| TrafficSecret::new(u16::try_from(suite).ok()?, secret.get(..len)?))?
        .next()?;
    let keys = next.keys()?;
    let bytes = keys.as_bytes();
    out.info_len = u32::try_from(bytes.len()).ok()?;
    put(out.info.get_mut(..bytes.len())?, bytes);
    keep(secret, &next);
    Some(())
}

fn keep(place: &mut [u8; MAX_TRAFFIC_SECRET_BYTES], secret: &TrafficSecret) {
    put(place, secret.as_bytes());
}

fn put(place: &mut [u8], bytes: &[u8]) {
    for (to, from) in place.iter_mut().zip(bytes) {
        *to = *from;
    }
}

/// The peer has changed its key, `now_ms` on a monotonic clock: 0, and the keys for what it sends from now on, or the reason to cut the
/// flow for. The secret before is gone then. Context: any.
///
/// # Safety
/// `traffic` is null or the flow's own, as [`tl_rs_flow_record`](crate::flow::tl_rs_flow_record) gave it, and `out` null or writable;
/// nobody else touches them during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_key_received(
    traffic: *mut Traffic,
    now_ms: u64,
    out: *mut Keys,
) -> u32 {
    // SAFETY: the caller's contract.
    unsafe { on(traffic, out, |traffic, out| traffic.received(now_ms, out)) }
}

/// We have said that we change our key: 0, and the keys for what is sent from now on, or the reason to cut the flow for. The secret before
/// is gone then. Context: any.
///
/// # Safety
/// As for [`tl_rs_key_received`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_key_sent(traffic: *mut Traffic, out: *mut Keys) -> u32 {
    // SAFETY: the caller's contract.
    unsafe { on(traffic, out, Traffic::sent) }
}

/// # Safety
/// As for [`tl_rs_key_received`].
unsafe fn on(
    traffic: *mut Traffic,
    out: *mut Keys,
    advance: impl FnOnce(&mut Traffic, &mut Keys) -> Result<(), DenyReason>,
) -> u32 {
    // SAFETY: the caller's contract.
    let traffic = unsafe { traffic.as_mut() };
    // SAFETY: the caller's contract.
    let out = unsafe { out.as_mut() };
    let (Some(traffic), Some(out)) = (traffic, out) else {
        return DenyReason::Internal.number();
    };
    match advance(traffic, out) {
        Ok(()) => 0,
        Err(reason) => reason.number(),
    }
}

#[cfg(test)]
mod tests;
