//! What connections cost, and what one slow user of a connection costs the others.

use crate::message::Message;
use crate::workload::{Shape, Workload};

/// Connections that do nothing, that come and go, and one with a reader that is slow.
pub const ALL: &[Workload] = &[
    Workload::unary("idle", Message::Small, 0, 1000).shaped(Shape::Idle),
    Workload::unary("connect", Message::Small, 1, 1).shaped(Shape::Connect),
    Workload::unary("64B-slow-reader", Message::Small, 16, 1).shaped(Shape::SlowReader),
];
