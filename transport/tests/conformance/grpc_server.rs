//! The server as gRPC clients see it.

mod caller;
mod calls;
mod hostile;
