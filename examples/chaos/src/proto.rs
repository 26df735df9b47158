//! The generated code.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "made for any use of the contract, of which this program makes a part"
)]

dreammesh::include_proto!("chaos.v1");
