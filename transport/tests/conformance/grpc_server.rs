//! The server as gRPC clients see it.

mod caller;
mod calls;
mod frames;
mod hostile;
mod slow;
