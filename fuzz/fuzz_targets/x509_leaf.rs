//! Certificates, as leaves and as signing certificates.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../crates/spiffe-core/tests/bodies/mod.rs"]
mod bodies;

tidelock_fuzz::target!(|input: &[u8]| bodies::certificate(input));
