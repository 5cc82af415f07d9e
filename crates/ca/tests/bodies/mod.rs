//! What fuzzers and property tests do with one untrusted input. Panics on a broken promise.
#![allow(unreachable_pub, reason = "shared by test binaries and fuzz targets")]

use tidelock_ca::{Csr, MAX_CSR_BYTES};

/// One request for a certificate.
pub fn csr(input: &[u8]) {
    if let Ok(csr) = Csr::parse(input) {
        assert!(input.len() <= MAX_CSR_BYTES);
        assert_eq!(csr.public_key().len(), 65);
        assert!(csr.spki().ends_with(csr.public_key()));
    }
}
