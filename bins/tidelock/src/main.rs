//! The Tidelock command line.
fn main() {}
