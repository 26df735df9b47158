//! Compiles the contract of the services.

fn main() -> Result<(), dreammesh_codegen::Error> {
    dreammesh_codegen::compile(["proto/chaos/v1/work.proto"])
}
