//! Compiles the shop's contract, and three other revisions of it for the clients that have them.

use std::path::Path;

use dreammesh_codegen::{Builder, Error};

fn main() -> Result<(), Error> {
    // An ordinary package needs one line: `dreammesh_codegen::compile(["proto/shop/v1/shop.proto"])`.
    // Four revisions of one package go to a directory each.
    for revision in ["current", "older", "newer", "incompatible"] {
        let out_dir = std::env::var("OUT_DIR").unwrap_or_default();
        Builder::new()
            .out_dir(Path::new(&out_dir).join(revision))
            .cargo_output(true)
            .compile([format!("../proto/{revision}/shop/v1/shop.proto")])?;
    }
    Ok(())
}
