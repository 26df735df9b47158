//! The plain data of a call: what both sides see of it besides its messages.

mod code;
mod compression;
mod deadline;
mod error;
mod extensions;
mod metadata;
mod method;
mod peer;
mod priority;
mod request;
mod status;
mod stream;
mod trace_context;

pub use code::Code;
pub use compression::Compression;
pub use deadline::{Deadline, Timeout};
pub(crate) use error::is_of_downstream;
pub use error::{Begun, CallError, Initiator};
pub use extensions::Extensions;
pub use metadata::{Metadata, MetadataError, MetadataValue};
#[cfg(test)]
pub(crate) use method::EMPTY_LAYOUT;
pub use method::{Idempotency, MethodInfo, MethodKind, MethodOptions, WireOption};
pub use peer::{Endpoint, Identity, Peer, Process};
pub use priority::Priority;
pub use request::{Request, Response};
pub use status::{Detail, Status};
pub(crate) use stream::SenderState;
pub use stream::{Receiver, Sender, Sending, StreamError};
pub use trace_context::{TraceContext, TraceContextError};
