//! The kernel's random pool, as the TLS engine wants it.

use tidelock_datapath::{Entropy, EntropyUnavailable};

use crate::ffi;

/// The kernel's random pool. C sees to it that it is ready before any lane runs.
#[derive(Clone, Copy, Debug)]
pub struct Pool;

impl Entropy for Pool {
    fn fill(out: &mut [u8]) -> Result<(), EntropyUnavailable> {
        // SAFETY: the pointer and the length are those of one writable slice.
        unsafe { ffi::tl_c_random(out.as_mut_ptr(), ffi::len_u64(out)) };
        Ok(())
    }
}
