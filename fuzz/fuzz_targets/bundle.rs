//! JWK sets. Seeds: `crates/spiffe-core/tests/corpus/bundle`.
#![no_main]

#[path = "../../crates/spiffe-core/tests/bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::bundle(input));
