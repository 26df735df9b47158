fn main() -> Result<(), dreammesh_codegen::Error> {
    dreammesh_codegen::compile(["proto/greet/v1/greet.proto"])
}
