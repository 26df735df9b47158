//! Unary calls, open loop: a fixed rate, and latency from when each call was meant to begin.

use crate::handler::{Handler, Mix};
use crate::message::Message;
use crate::pinning::Pinning;
use crate::workload::{Capacity, Rate, Shape, Workload};

const fn at(name: &'static str, percent: u32, of: Capacity) -> Workload {
    Workload::unary(name, Message::Small, 0, 1)
        .shaped(Shape::Open(Rate { percent, of }))
        .within(&[Pinning::MultiThread])
}

/// Rates by each system's own capacity, and one that is the same for all systems; the latter also
/// with rare calls that take long, whose own latency is not counted.
pub const ALL: &[Workload] = &[
    at("64B-open-own-20", 20, Capacity::Own),
    at("64B-open-own-50", 50, Capacity::Own),
    at("64B-open-own-80", 80, Capacity::Own),
    at("64B-open-tonic-50", 50, Capacity::Tonic).within(&[Pinning::OneCore, Pinning::MultiThread]),
    at("64B-open-tonic-50-sleep", 50, Capacity::Tonic).handled(Mix::one_percent(Handler::Sleeps)),
    at("64B-open-tonic-50-compute", 50, Capacity::Tonic)
        .handled(Mix::one_percent(Handler::Computes)),
];
