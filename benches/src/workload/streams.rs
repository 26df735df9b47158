//! Streaming calls.

use crate::message::Message;
use crate::pinning::Pinning;
use crate::workload::{Shape, Workload};

/// Many answers to one request, and messages that take turns.
pub const ALL: &[Workload] = &[
    Workload::unary("64B-download", Message::Small, 1, 1).shaped(Shape::Download),
    Workload::unary("64B-ping-pong", Message::Small, 1, 1).shaped(Shape::PingPong),
    Workload::unary("64B-ping-pong", Message::Small, 64, 1)
        .shaped(Shape::PingPong)
        .within(&[Pinning::OneCore, Pinning::MultiThread]),
];
