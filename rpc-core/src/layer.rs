//! What is wrapped around calls: the user's layers, and the house's own.
//!
//! - [`CallService`] and [`HandlerService`] are what `tower` layers wrap on the two sides.
//! - `deadline` (call scope) decides by when a call must have ended.
//! - `trace` (call scope) gives each call a span and its place in a trace.
//! - [`Metrics`] (call scope) counts and times calls; [`ConnectionCounts`] (channel scope) counts
//!   what becomes of connections.
//!
//! None of them costs a call anything while it is not installed.

mod counted;
pub(crate) mod deadline;
mod metrics;
mod observe;
mod service;
pub(crate) mod trace;

pub use metrics::{
    CallCounts, ConnectFailure, ConnectionCounts, ConnectionEnd, ConnectionSnapshot,
    MethodSnapshot, Metrics, Side,
};
#[doc(hidden)]
pub use observe::Observation;
pub use service::{CallService, CallServiceFuture, HandlerService, ServedFuture};
pub(crate) use service::{LayeredHandler, layered_call};
