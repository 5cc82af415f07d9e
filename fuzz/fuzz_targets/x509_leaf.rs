//! Certificates, as leaves and as signing certificates.
#![no_main]

#[path = "../../crates/spiffe-core/tests/bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::certificate(input));
