//! The call model of DreamMesh and every decision about a call.
//!
//! A caller builds a call on a [`channel`], which gets a connection and hands the call to it
//! through the port ([`port`]); the other side's carrier looks its handler up in a router
//! ([`server`]). What a handler's own calls inherit is its [`context`].
//!
//! What this crate deliberately does not do: it opens no socket, names no medium, spawns no task
//! and owns no timer. Time and randomness are arguments of every decision.
//!
//! - [`call`]: the plain data of a call: status, metadata, deadline, trace, method, error.
//! - [`channel`]: the client side: a handle to a named service, and the calls made through it.
//! - [`server`]: services, their typed handlers, and the router that finds them.
//! - [`layer`]: what is wrapped around calls: the user's layers, spans, metrics.
//! - [`balance`]: which endpoint a call goes to.
//! - [`port`]: the seam to whatever carries calls.
//! - [`resolve`]: the seam to whatever knows where a service is.
//! - [`in_process`]: the carrier that needs no network and no runtime.
//! - [`message`]: messages between their archive and the form they cross a connection in.
//! - [`shelf`]: buffers of large messages, kept for the next ones.
//! - [`negotiate`]: which directions of a method carry archives.
//! - [`wire`]: the archived form of messages.
//! - [`context`]: what calls made inside a handler inherit.
//! - [`codec`]: any message as protobuf and as JSON.
//! - [`codegen`]: what generated code names.
//! - [`wkt`]: protobuf's well-known types; [`rpc`]: those of `google.rpc`.
//!
//! A service and its client are generated from a `.proto`; written by hand, a method comes to
//! this:
//!
//! ```
//! use std::sync::Arc;
//!
//! use dreammesh_core::call::{MethodInfo, MethodKind, Request, Response};
//! use dreammesh_core::channel::UnaryCall;
//! use dreammesh_core::codegen::{Handler, Message, Service, in_process, unary};
//! use dreammesh_core::wkt::{StringValue, StringValueArgs};
//!
//! static GREET: MethodInfo = MethodInfo::new(
//!     "/demo.Greeter/Greet",
//!     MethodKind::Unary,
//!     StringValue::LAYOUT,
//!     StringValue::LAYOUT,
//! );
//!
//! struct Greeter(Arc<String>);
//!
//! impl Service for Greeter {
//!     fn name(&self) -> &'static str {
//!         "demo.Greeter"
//!     }
//!     fn handlers(&self) -> Vec<Arc<dyn Handler>> {
//!         vec![unary(&self.0, &GREET, |word, request: Request<StringValue>| async move {
//!             let value = format!("{word} {}", request.view().value());
//!             Ok(Response::new(StringValue { value, ..Default::default() }))
//!         })]
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), dreammesh_core::call::CallError> {
//! let channel = in_process(&Greeter(Arc::new("hello".to_owned())));
//! let ask = StringValueArgs { value: "world" };
//! let answer = UnaryCall::<StringValue>::new::<StringValue>(&channel, &GREET, ask).await?;
//! assert_eq!(answer.view().value(), "hello world");
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

pub mod announce;
pub mod balance;
mod by_method;
pub mod call;
pub mod channel;
mod clock;
pub mod codec;
pub mod codegen;
pub mod context;
pub mod in_process;
pub mod layer;
pub mod message;
pub mod negotiate;
pub mod port;
pub mod resolve;
pub mod rpc;
pub mod server;
pub mod shelf;
pub mod wkt;

pub use dreammesh_wire as wire;
