//! What is Connect's own (<https://connectrpc.com/docs/protocol>).
//!
//! - `head`: the headers of a request.
//! - `query`: a request in the query of a GET.
//! - `error`: how a call ended, in JSON.

pub(super) mod error;
pub(super) mod head;
pub(super) mod query;
