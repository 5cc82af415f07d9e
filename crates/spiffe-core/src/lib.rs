//! SPIFFE names, SVID rules and bundles, without I/O.
#![no_std]
#![forbid(unsafe_code)]
