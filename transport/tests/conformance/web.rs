//! The server as browsers and tools of HTTP see it: Connect and gRPC-Web.

mod caller;
mod certificates;
mod chain;
pub(crate) mod connect;
mod counted;
mod grpc_web;
mod hostile;
mod lasting;
mod origins;
