//! The server side of calls: services, their typed handlers, the router that finds them.

mod drain;
mod handler;
mod router;
mod watched;

pub use drain::Drain;
pub(crate) use handler::{Contained, context_of};
pub use handler::{bidi, client_streaming, server_streaming, unary};
pub use router::{Router, RouterBuilder, Service};
