//! Certificate signing requests.
#![no_main]

#[path = "../../crates/ca/tests/bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::csr(input));
