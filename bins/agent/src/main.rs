//! The Tidelock node agent.
fn main() {}
