//! Compiles the bench contract for volo; to be run in `benches/` whenever the contract changes:
//!
//! ```console
//! $ cargo run --manifest-path volo-codegen/Cargo.toml
//! ```
#![forbid(unsafe_code)]

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    volo_build::Builder::protobuf()
        .add_service("proto/bench.proto")
        .include_dirs(vec!["proto".into()])
        .out_dir("gen")
        .write()?;
    Ok(())
}
