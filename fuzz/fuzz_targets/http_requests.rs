//! HTTP/1.1 requests on their way to a server that is told who calls.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../crates/datapath/tests/bodies/mod.rs"]
mod bodies;

tidelock_fuzz::target!(|input: &[u8]| bodies::requests(input));
