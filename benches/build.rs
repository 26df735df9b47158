//! Compiles the bench contract for each system that is measured.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    // Both compilers name their output by the package, so each has a directory of its own.
    dreammesh_codegen::Builder::new()
        .out_dir(out_dir.join("dreammesh"))
        .compile(["proto/bench.proto"])?;
    // protox stands in for protoc, so the measured peer needs nothing that is not on crates.io.
    let descriptors = protox::compile(["bench.proto"], ["proto"])?;
    let mut peer = tonic_prost_build::configure();
    // Payloads as `Bytes` save the peer a copy each way; small fields are as it has them by default.
    peer = peer.bytes(".dreammesh.bench.v1.Blob");
    peer.compile_fds(descriptors)?;
    let lock = PathBuf::from("../Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    let packages = packages(&std::fs::read_to_string(lock)?);
    std::fs::write(out_dir.join("packages.rs"), packages)?;
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
