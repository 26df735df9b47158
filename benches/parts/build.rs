//! Compiles the bench contract's messages, and a service of unary methods alone.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=../proto");
    dreammesh_codegen::Builder::new()
        .include("../proto")
        .include("proto")
        .compile(["../proto/bench.proto", "proto/parts.proto"])?;
    Ok(())
}
