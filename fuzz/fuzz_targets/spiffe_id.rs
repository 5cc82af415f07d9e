//! SPIFFE IDs, borrowed and owned.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../crates/spiffe-core/tests/bodies/mod.rs"]
mod bodies;

tidelock_fuzz::target!(|input: &[u8]| bodies::spiffe_id(input));
