//! Compiles the contract of gRPC's interoperability tests.

fn main() -> Result<(), dreammesh_codegen::Error> {
    dreammesh_codegen::compile(["proto/grpc/testing/test.proto"])
}
