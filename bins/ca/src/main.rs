//! The Tidelock control plane.
fn main() {}
