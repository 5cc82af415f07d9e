//! Record headers.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../crates/datapath/tests/bodies/mod.rs"]
mod bodies;

tidelock_fuzz::target!(|input: &[u8]| bodies::framing(input));
