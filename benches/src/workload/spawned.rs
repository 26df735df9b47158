//! Unary calls, closed loop, each on a task of its own.

use crate::message::Message;
use crate::pinning::Pinning;
use crate::workload::{Shape, Workload};

/// By this, the rates of open loops are set; it is what such a client is capable of at most.
pub const CAPACITY: Workload = Workload::unary("64B-spawned", Message::Small, 64, 1)
    .shaped(Shape::Spawned)
    .within(&[Pinning::MultiThread]);

/// A number of calls outstanding, where each one that ends has another begun by a new task.
pub const ALL: &[Workload] = &[CAPACITY];
