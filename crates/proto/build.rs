//! Compiles the protobuf files without `protoc`.

use std::error::Error;

const FILES: [&str; 3] = [
    "tidelock/v1/types.proto",
    "tidelock/v1/node.proto",
    "tidelock/v1/admin.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(true)
        .compile_fds(descriptors)?;
    Ok(())
}
