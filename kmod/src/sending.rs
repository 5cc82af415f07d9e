//! What a program's `send()` asks for besides bytes, and what its bytes take of a key.

use tidelock_kabi::DenyReason;

/// `MSG_*` of `include/linux/socket.h`, the same on every architecture.
mod msg {
    pub(super) const OOB: u32 = 0x1;
    pub(super) const DONTROUTE: u32 = 0x4;
    pub(super) const EOR: u32 = 0x80;
    pub(super) const CONFIRM: u32 = 0x800;
    pub(super) const BATCH: u32 = 0x4_0000;
    pub(super) const FASTOPEN: u32 = 0x2000_0000;
}

/// A byte out of turn has no place among records, and bytes that leave with the SYN leave before anybody proved anything.
const REFUSED: u32 = msg::OOB | msg::FASTOPEN;
/// Hints that TCP may follow or not. kTLS refuses those it does not know.
const HINTS: u32 = msg::DONTROUTE | msg::EOR | msg::CONFIRM | msg::BATCH;

/// The flags that kTLS is given for those of a program; `None`: refused.
#[must_use]
pub const fn flags(asked: u32) -> Option<u32> {
    if asked & REFUSED == 0 {
        Some(asked & !HINTS)
    } else {
        None
    }
}

/// Most bytes of a program in one record (RFC 8446 §5.1).
const RECORD_BYTES: u64 = 1 << 14;

/// How many more records there are, at most, once so many bytes were written: one may have been open, and is counted already.
#[must_use]
pub const fn records(bytes: u64) -> u64 {
    (bytes / RECORD_BYTES).saturating_add(1)
}

/// Leaves in `flags` what kTLS is given for a program's flags; 0, or the `DenyReason` that refuses them. Context: any.
///
/// # Safety
/// `flags` is null or points to a number that nobody else touches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_send_flags(flags: *mut u32) -> u32 {
    // SAFETY: the caller's contract.
    let Some(asked) = (unsafe { flags.as_mut() }) else {
        return DenyReason::Internal.number();
    };
    match self::flags(*asked) {
        Some(given) => {
            *asked = given;
            0
        }
        None => DenyReason::UnsupportedSocket.number(),
    }
}

/// How many records so many bytes of a program may have become. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_records_of(bytes: u64) -> u64 {
    records(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MSG_DONTWAIT: u32 = 0x40;
    const MSG_NOSIGNAL: u32 = 0x4000;
    const MSG_MORE: u32 = 0x8000;
    const MSG_ZEROCOPY: u32 = 0x400_0000;

    fn asked(mut flags: u32) -> (u32, u32) {
        // SAFETY: the number is this test's own.
        let reason = unsafe { tl_rs_send_flags(&raw mut flags) };
        (reason, flags)
    }

    #[test]
    fn what_would_go_round_tls_is_refused() {
        for refused in [msg::OOB, msg::FASTOPEN, msg::OOB | MSG_DONTWAIT] {
            let reason = DenyReason::UnsupportedSocket.number();
            assert_eq!(asked(refused), (reason, refused));
        }
    }

    #[test]
    fn hints_are_dropped_and_what_means_something_stays() {
        let means = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE | MSG_ZEROCOPY;
        for hint in [msg::CONFIRM, msg::DONTROUTE, msg::EOR, msg::BATCH, 0] {
            assert_eq!(asked(means | hint), (0, means));
        }
    }

    proptest! {
        /// However a stream is cut into writes, and however full the open record was, no more records come of it than are counted.
        #[test]
        fn no_record_goes_uncounted(writes in prop::collection::vec(1_u64..100_000, 1..50)) {
            let counted: u64 = writes.iter().map(|&bytes| records(bytes)).sum();
            let joined = writes.iter().sum::<u64>().div_ceil(RECORD_BYTES);
            let apart: u64 = writes.iter().map(|bytes| bytes.div_ceil(RECORD_BYTES)).sum();
            prop_assert!(counted >= joined.max(apart));
        }
    }
}
