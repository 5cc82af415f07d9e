//! Record headers.
#![no_main]

#[path = "../../crates/datapath/tests/bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::framing(input));
