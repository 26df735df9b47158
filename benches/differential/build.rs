//! Compiles the schema that has every kind of field.

fn main() -> Result<(), dreammesh_codegen::Error> {
    dreammesh_codegen::Builder::new()
        .include("proto")
        .runtime("::dreammesh_core::codegen")
        .compile(["proto/all_kinds.proto"])
}
