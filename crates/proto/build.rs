//! Compiles the protobuf files without `protoc`, lists the calls that each service has, and keeps what they say for server reflection.

use std::error::Error;
use std::path::PathBuf;

const FILES: [&str; 7] = [
    "tidelock/v1/audit.proto",
    "tidelock/v1/authority.proto",
    "tidelock/v1/operator.proto",
    "tidelock/v1/revocation.proto",
    "tidelock/v1/types.proto",
    "tidelock/v1/node.proto",
    "tidelock/v1/admin.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    let descriptors = compiler.file_descriptor_set();
    let encoded = compiler.encode_file_descriptor_set();
    std::fs::write(out_dir.join("descriptors.bin"), encoded)?;
    for (name, file) in [("Admin", "admin_calls.rs"), ("Node", "node_calls.rs")] {
        let services = descriptors.file.iter().flat_map(|file| &file.service);
        let calls: Vec<&str> = services
            .filter(|service| service.name() == name)
            .flat_map(|service| &service.method)
            .map(|method| method.name())
            .collect();
        std::fs::write(out_dir.join(file), format!("{calls:?}"))?;
    }
    tonic_prost_build::configure()
        .build_transport(true)
        .codec_path("crate::codec::Small")
        .bytes(".tidelock.v1.Held")
        .bytes(".tidelock.v1.Delta")
        .extern_path(".tidelock.v1.SyncResponse", "crate::sync::SyncResponse")
        .compile_fds(descriptors)?;
    Ok(())
}
