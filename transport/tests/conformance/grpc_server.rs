//! The server as gRPC clients see it.

pub(crate) mod caller;
mod calls;
mod compressed;
mod foreign;
mod frames;
mod hostile;
mod slow;
