//! A schema with every kind of field of proto3, to hold our codecs against Google's.
//!
//! The comparison itself is the ignored test `differential`; it needs a Python interpreter with
//! the package `protobuf`, named by `DREAMMESH_TEST_PYTHON`.
#![forbid(unsafe_code)]

pub use schema::*;

#[allow(
    clippy::too_many_lines,
    reason = "a message of 130 fields takes that many lines to copy"
)]
mod schema {
    include!(concat!(env!("OUT_DIR"), "/dreammesh.differential.v1.rs"));
}
