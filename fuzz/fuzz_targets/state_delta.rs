//! Changes of a node's state, as a control plane made them and damaged on the way, and of anyone's making.
#![cfg_attr(fuzzing, no_main)]

#[path = "../../crates/proto/tests/bodies/mod.rs"]
mod bodies;

type Parts = Vec<Vec<u8>>;

tidelock_fuzz::target!(|input: (Parts, Parts, Vec<(u16, u8)>, &[u8])| {
    let (before, after, damage, bytes) = input;
    bodies::delta(&before, &after, &damage);
    bodies::any_bytes(&before, bytes);
});
