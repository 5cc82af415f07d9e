//! Compiles the protobuf files without `protoc`.

use std::error::Error;

const FILES: [&str; 6] = [
    "tidelock/v1/audit.proto",
    "tidelock/v1/authority.proto",
    "tidelock/v1/revocation.proto",
    "tidelock/v1/types.proto",
    "tidelock/v1/node.proto",
    "tidelock/v1/admin.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(true)
        .bytes(".tidelock.v1.Held")
        .bytes(".tidelock.v1.Delta")
        .extern_path(".tidelock.v1.SyncResponse", "crate::sync::SyncResponse")
        .compile_fds(descriptors)?;
    Ok(())
}
