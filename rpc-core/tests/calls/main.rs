//! Calls, layer by layer: cancellation, deadlines, limits, the user's layers, what is watched.
#![allow(
    clippy::unwrap_used,
    reason = "handlers of a test are outside of its test functions"
)]

mod balanced;
mod cancel;
mod cardinality;
mod inherit;
mod layers;
#[path = "../sample_service/leaves.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    unnameable_types,
    reason = "emitted for a crate's root"
)]
mod leaves;
mod limits;
#[path = "../../wire/tests/wire/gen/sample.rs"]
#[allow(
    clippy::all,
    clippy::use_self,
    clippy::too_many_lines,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::or_fun_call,
    dead_code,
    unreachable_pub,
    unnameable_types,
    reason = "made for a crate's root"
)]
mod sample;
#[path = "../sample_service/tree.rs"]
mod tree;
mod watched;
