//! Certificate signing requests.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../crates/ca/tests/bodies/mod.rs"]
mod bodies;

tidelock_fuzz::target!(|input: &[u8]| bodies::csr(input));
