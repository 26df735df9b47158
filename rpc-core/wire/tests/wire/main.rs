//! Tests of the archived form against hand-written schemas.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounds;
#[allow(
    unreachable_pub,
    clippy::exhaustive_structs,
    reason = "shared with the fuzz targets"
)]
mod card;
#[allow(dead_code, unreachable_pub, reason = "shared with the fuzz targets")]
mod dice;
mod embedded;
mod evolution;
#[allow(
    unreachable_pub,
    reason = "it is written as the compiler writes for other crates"
)]
#[path = "gen/evolve.rs"]
mod evolve;
mod malformed;
mod parts;
mod roundtrip;
#[allow(
    dead_code,
    missing_debug_implementations,
    unnameable_types,
    unreachable_pub,
    clippy::exhaustive_enums,
    clippy::map_identity,
    clippy::module_inception,
    clippy::too_many_lines,
    clippy::use_self,
    clippy::exhaustive_structs,
    reason = "it is written as the compiler writes for other crates"
)]
#[path = "gen/sample.rs"]
mod sample;
#[allow(unreachable_pub, reason = "shared with the fuzz targets")]
mod walk;
