//! The DreamMesh IDL compiler: `.proto` files in, Rust out, at build time and without `protoc`.
//!
//! It reads proto3 source, or any descriptor set including editions, and generates the messages and
//! services that the `dreammesh` crate runs. It does not run anything itself, and knows nothing of
//! the runtime beyond the names it writes.
//!
//! - `parse`: text in, resolved descriptors out; bounds hostile input.
//! - `check`: what protobuf allows and this compiler does not.
//! - `model`: the schema independent of parsing libraries.
//! - `layout`: offsets, presence bits and the hashes of revisions.
//! - `emit`: Rust text out.
//! - `catalogue`: the schema as plain data, for programs that learn it when they run.
//! - `format`: what is found, in the forms that programs read.
//! - `breaking`: what a revision of a schema breaks for those who have an earlier one.
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), dreammesh_codegen::Error> {
//!     dreammesh_codegen::compile(["proto/shop/v1/catalog.proto"])
//! }
//! ```
#![forbid(unsafe_code)]

mod breaking;
mod catalogue;
mod check;
mod diagnostic;
mod emit;
mod error;
mod format;
mod layout;
mod model;
mod options;
mod output;
mod parse;
mod raw;
mod report;

pub use breaking::{
    Agreement, BreakingReport, Breaks, Change, DirectionAgreement, MethodAgreement,
};
pub use catalogue::{
    Catalogue, EntryShape, EntryType, EnumEntry, FieldEntry, MessageEntry, MethodEntry, OneofEntry,
    ServiceEntry,
};
pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity};
pub use error::Error;
pub use format::ReportFormat;
pub use options::Builder;
pub use output::{GeneratedFile, Output, compile};
pub use report::LayoutReport;
