//! Compiles the bench contract for each system that is measured.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    // protox stands in for protoc, so the measured peer needs nothing that is not on crates.io.
    let descriptors = protox::compile(["bench.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
