//! What an RPC system's client can do, so that each workload is written once for all systems.

use std::future::Future;

use crate::failure::Failure;
use crate::handler::Handler;
use crate::meter::Meter;

/// One connection of one RPC system, ready to be called.
///
/// A clone shares the connection: every lane of a workload has a clone of its own. Each method
/// reads *all fields* of every message it receives and checks them with the readers of
/// [`crate::message`]; it fails on the first difference.
///
/// Only [`small`](Self::small) is needed. What a system leaves out it also says in
/// [`System::skips`](crate::system::System::skips), which is what keeps it from being asked.
pub trait Client: Clone + Send + Sync + 'static {
    /// One unary call with the message of [`crate::message::small`], asking for a handler.
    fn small(&self, handler: Handler) -> impl Future<Output = Result<(), Failure>> + Send;

    /// One unary call with the message of [`crate::message::order`].
    fn order(&self) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Err(Failure::Unsupported("order")) }
    }

    /// One unary call with a payload of so many bytes there and back, see [`crate::message::blob`].
    fn blob(&self, bytes: usize) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = bytes;
        async { Err(Failure::Unsupported("blob")) }
    }

    /// One unary call that is answered with a payload of so many bytes, see
    /// [`crate::message::blob`].
    fn fetch(&self, bytes: usize) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = bytes;
        async { Err(Failure::Unsupported("fetch")) }
    }

    /// One call that is answered by a stream of [`STREAM_MESSAGES`] small messages.
    ///
    /// Calls [`Meter::took`] after each one it has read, and ends the call early when that says so.
    fn download(&self, meter: &mut Meter) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = meter;
        async { Err(Failure::Unsupported("download")) }
    }

    /// One bidirectional call: sends a small message, waits for its answer, sends the next one.
    ///
    /// Calls [`Meter::took`] after each answer it has read, and ends the call when that says so.
    fn ping_pong(&self, meter: &mut Meter) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = meter;
        async { Err(Failure::Unsupported("ping_pong")) }
    }
}

/// How many messages a server sends in answer to one [`Client::download`].
pub const STREAM_MESSAGES: u64 = 4096;
