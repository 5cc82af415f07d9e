//! SPIFFE IDs, borrowed and owned.
#![no_main]

#[path = "../../crates/spiffe-core/tests/bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::spiffe_id(input));
