//! Unary calls, closed loop: a number of calls outstanding at any time.

use crate::handler::{Handler, Mix};
use crate::message::Message;
use crate::pinning::Pinning;
use crate::workload::Workload;

const SMALL: Message = Message::Small;
const ORDER: Message = Message::Order;

/// One to many calls outstanding, one to many connections, small to large messages.
pub const ALL: &[Workload] = &[
    Workload::unary("64B", SMALL, 1, 1),
    Workload::unary("64B", SMALL, 64, 1).within(&Pinning::ALL),
    Workload::unary("64B", SMALL, 512, 1),
    Workload::unary("64B", SMALL, 64, 4).within(&[Pinning::OneCore, Pinning::MultiThread]),
    Workload::unary("64B", SMALL, 200, 200),
    Workload::unary("64B-yields", SMALL, 64, 1).handled(Mix::all(Handler::Yields)),
    Workload::unary("order-1KiB", ORDER, 1, 1),
    Workload::unary("order-1KiB", ORDER, 64, 1).within(&Pinning::ALL),
    Workload::unary("order-1KiB", ORDER, 512, 1),
    Workload::unary("order-1KiB", ORDER, 64, 4),
    Workload::unary("16KiB", Message::Blob(16 * 1024), 64, 1),
    Workload::unary("1MiB", Message::Blob(1024 * 1024), 8, 1),
    Workload::unary("1MiB-down", Message::Fetched(1024 * 1024), 8, 1),
];
