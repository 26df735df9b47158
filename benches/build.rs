//! Compiles the bench contract for each system that is measured.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    // Both compilers name their output by the package, so each has a directory of its own.
    dreammesh_codegen::Builder::new()
        .out_dir(out_dir.join("dreammesh"))
        .compile(["proto/bench.proto", "proto/bulk.proto"])?;
    // protox stands in for protoc, so the measured peer needs nothing that is not on crates.io.
    let descriptors = protox::compile(["bench.proto", "bulk.proto"], ["proto"])?;
    let mut peer = tonic_prost_build::configure();
    // Payloads as `Bytes` save the peer a copy each way; small fields are as it has them by default.
    peer = peer.bytes(".dreammesh.bench.v1.Blob");
    #[cfg(feature = "connectrpc")]
    connectrpc(&descriptors, &out_dir)?;
    peer.compile_fds(descriptors)?;
    let lock = PathBuf::from("../Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    let packages = packages(&std::fs::read_to_string(lock)?);
    std::fs::write(out_dir.join("packages.rs"), packages)?;
    #[cfg(feature = "capnp")]
    capnp(&out_dir)?;
    Ok(())
}

/// From the same descriptors, which it wants in a file.
#[cfg(feature = "connectrpc")]
fn connectrpc(
    descriptors: &protox::prost_reflect::prost_types::FileDescriptorSet,
    out_dir: &std::path::Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let out_dir = out_dir.join("connect");
    std::fs::create_dir_all(&out_dir)?;
    let set = out_dir.join("bench.fds");
    std::fs::write(
        &set,
        protox::prost_reflect::prost::Message::encode_to_vec(descriptors),
    )?;
    let mut messages = connectrpc_build::CodeGenConfig::default();
    messages.generate_json = false;
    let payload = ".dreammesh.bench.v1.Blob".to_owned();
    messages.bytes_fields = vec![(payload, buffa_codegen::BytesRepr::Bytes)];
    connectrpc_build::Config::new()
        .buffa_config(messages)
        .descriptor_set(set)
        .files(&["bench.proto"])
        .out_dir(out_dir)
        .include_file("_connectrpc.rs")
        .compile()?;
    Ok(())
}

/// From what the schema compiler left beside the schema, since it is no Rust program.
#[cfg(feature = "capnp")]
fn capnp(out_dir: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let request = std::fs::File::open("proto/bench.capnp.request")?;
    capnpc::codegen::CodeGenerationCommand::new()
        .output_directory(out_dir)
        .default_parent_module(vec!["system".to_owned(), "capnp".to_owned()])
        .run(request)?;
    Ok(())
}

/// The names and versions of a lock file's packages, as a constant table.
fn packages(lock: &str) -> String {
    let mut table = String::from(
        "/// Every package of the workspace's lock file, with its version.\n\
         const PACKAGES: &[(&str, &str)] = &[\n",
    );
    let mut name = None;
    for line in lock.lines() {
        if let Some(found) = line.strip_prefix("name = ") {
            name = Some(found);
        } else if let (Some(name), Some(version)) = (name, line.strip_prefix("version = ")) {
            table.push_str(&format!("    ({name}, {version}),\n"));
        }
    }
    table.push_str("];\n");
    table
}
