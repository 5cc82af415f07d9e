//! Randomness that can be repeated.

use std::cell::Cell;

use tidelock_datapath::{Entropy, EntropyUnavailable};

/// A stream of bytes that depends only on the seed of the current thread. Worthless as
/// cryptography.
pub struct SeededEntropy;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0x7469_6465_6c6f_636b) };
    static BROKEN: Cell<bool> = const { Cell::new(false) };
}

impl SeededEntropy {
    /// Restarts the current thread's stream.
    pub fn seed(seed: u64) {
        STATE.set(seed);
        BROKEN.set(false);
    }

    /// From now on, until the next [`Self::seed`], the source is unavailable.
    pub fn break_source() {
        BROKEN.set(true);
    }

    /// The next eight bytes (SplitMix64).
    #[must_use]
    pub fn next() -> u64 {
        let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        STATE.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(out: &mut [u8]) -> Result<(), EntropyUnavailable> {
        if BROKEN.get() {
            return Err(EntropyUnavailable);
        }
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&Self::next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
