//! Tokens, as they come. Seeds: `crates/spiffe-core/tests/corpus/jwt`.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../crates/spiffe-core/tests/bodies/mod.rs"]
mod bodies;

tidelock_fuzz::target!(|input: &[u8]| bodies::jwt(input));
