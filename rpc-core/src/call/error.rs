//! How a call failed, as its caller sees it.

use std::fmt;

use super::{Code, Endpoint, Metadata, Status};
use crate::rpc;

/// Who ended an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "retries must decide every case; a fourth would be a break"
)]
pub enum Initiator {
    /// The caller: it cancelled, or its deadline passed.
    Caller,
    /// This side's library: the link broke, a limit was met, the answer made no sense.
    Library,
    /// The other side answered with this status.
    Peer,
}

/// Whether the server may have begun to process an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a statement that is either proved or not"
)]
pub enum Begun {
    /// Provably not: it is safe to send the attempt again, whatever it does.
    No,
    /// It may have.
    Maybe,
}

/// How a call failed: the status, who ended it, where, and whether it may have begun.
#[derive(Clone)]
pub struct CallError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    status: Status,
    initiator: Initiator,
    begun: Begun,
    drained: bool,
    endpoint: Option<Endpoint>,
    trailers: Metadata,
}

impl CallError {
    /// A failure that this side's library found before anything was sent.
    pub fn not_sent(status: Status) -> Self {
        Self::new(status, Initiator::Library, Begun::No)
    }

    /// A failure with its two facts and no endpoint yet.
    pub fn new(status: Status, initiator: Initiator, begun: Begun) -> Self {
        let trailers = Metadata::new();
        Self(Box::new(Inner {
            status,
            initiator,
            begun,
            drained: false,
            endpoint: None,
            trailers,
        }))
    }

    /// Names the endpoint that the attempt went to.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: Endpoint) -> Self {
        self.0.endpoint = Some(endpoint);
        self
    }

    /// Says whether the server ended the attempt because it drains.
    #[must_use]
    pub(crate) fn with_drained(mut self, drained: bool) -> Self {
        self.0.drained = drained;
        self
    }

    /// Attaches the metadata that came with the status.
    #[must_use]
    pub fn with_trailers(mut self, trailers: Metadata) -> Self {
        self.0.trailers = trailers;
        self
    }

    /// The status.
    pub fn status(&self) -> &Status {
        &self.0.status
    }

    /// The code of the status.
    pub fn code(&self) -> Code {
        self.0.status.code()
    }

    /// The message of the status.
    pub fn message(&self) -> &str {
        self.0.status.message()
    }

    /// Who ended the attempt.
    pub fn initiator(&self) -> Initiator {
        self.0.initiator
    }

    /// Whether the server may have begun to process it.
    pub fn begun(&self) -> Begun {
        self.0.begun
    }

    /// Whether the server ended it because it drains and waits no longer, or refused it because it
    /// drains; see [`begun`](Self::begun).
    ///
    /// A stream, or other work that can go on where it stopped, is to be resumed with a new call,
    /// at once. The channel leads that elsewhere.
    pub fn is_drained(&self) -> bool {
        self.0.drained
    }

    /// The endpoint it went to, when one was chosen.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.0.endpoint.as_ref()
    }

    /// The metadata that came with the status.
    pub fn trailers(&self) -> &Metadata {
        &self.0.trailers
    }

    /// The downstream's own status, for a handler that decides to pass it on unchanged.
    ///
    /// This is the deliberate way: the plain conversion into a [`Status`] keeps codes that speak
    /// about the downstream call from being read as statements about this one.
    pub fn into_status_verbatim(self) -> Status {
        self.0.status
    }
}

/// A failed downstream call as the failure of the handler that made it.
///
/// A handler's `?` must not claim things the downstream said about somebody else: its caller is
/// not unauthenticated because the handler was, and what the downstream could not find is not
/// what this caller asked for. So only the codes that stay true up the chain pass: a deadline
/// and a cancellation belong to the whole chain, `UNAVAILABLE` and `RESOURCE_EXHAUSTED` say that
/// trying later may help, as does `ABORTED`. Every other code becomes `INTERNAL`; what the
/// downstream said stays in the message for the log, its details do not travel.
///
/// An `UNAVAILABLE` that the downstream answered with, or that came to it in this way, has an
/// `ErrorInfo` of domain `dreammesh` and reason `DOWNSTREAM_UNAVAILABLE`, by which callers know that
/// another endpoint of this service would meet the same, and do not repeat the call.
impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let code = match (error.code(), error.initiator()) {
            (Code::DeadlineExceeded, _) => Code::DeadlineExceeded,
            (Code::Cancelled, Initiator::Caller) => Code::Cancelled,
            (Code::Unavailable, _) => Code::Unavailable,
            (Code::ResourceExhausted, Initiator::Peer) => Code::ResourceExhausted,
            (Code::Aborted, Initiator::Peer) => Code::Aborted,
            _ => Code::Internal,
        };
        let status = Self::new(code, format!("downstream call failed: {error}"));
        // What broke between this handler and the downstream, or was refused before it began, may
        // go well from another endpoint.
        let answered = error.initiator() == Initiator::Peer && error.begun() == Begun::Maybe;
        if code == Code::Unavailable && answered {
            status.with_detail(rpc::ErrorInfo {
                reason: DOWNSTREAM.to_owned(),
                domain: DOMAIN.to_owned(),
                ..rpc::ErrorInfo::default()
            })
        } else {
            status
        }
    }
}

/// Whether a status speaks about a service behind the one that answered.
pub(crate) fn is_of_downstream(status: &Status) -> bool {
    status.detail::<rpc::ErrorInfo>().is_some_and(|info| {
        let info = info.view();
        (info.domain(), info.reason()) == (DOMAIN, DOWNSTREAM)
    })
}

/// Whose the reasons are.
const DOMAIN: &str = "dreammesh";
const DOWNSTREAM: &str = "DOWNSTREAM_UNAVAILABLE";

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.0.initiator {
            Initiator::Caller => "caller",
            Initiator::Library => "library",
            Initiator::Peer => "peer",
        };
        write!(f, "{} (ended by {by}", self.0.status)?;
        if self.0.begun == Begun::No {
            f.write_str(", not begun")?;
        }
        match &self.0.endpoint {
            Some(endpoint) => write!(f, ", at {endpoint})"),
            None => f.write_str(")"),
        }
    }
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallError")
            .field("status", &self.0.status)
            .field("initiator", &self.0.initiator)
            .field("begun", &self.0.begun)
            .field("endpoint", &self.0.endpoint)
            .field("trailers", &self.0.trailers)
            .finish()
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(code: Code, initiator: Initiator) -> Code {
        Status::from(CallError::new(
            Status::new(code, "x"),
            initiator,
            Begun::Maybe,
        ))
        .code()
    }

    #[test]
    fn a_downstream_statement_about_somebody_else_never_passes() {
        let private = [
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::NotFound,
            Code::AlreadyExists,
            Code::InvalidArgument,
            Code::FailedPrecondition,
            Code::OutOfRange,
            Code::Unimplemented,
            Code::DataLoss,
            Code::Unknown,
        ];
        for code in private {
            for by in [Initiator::Caller, Initiator::Library, Initiator::Peer] {
                assert_eq!(converted(code, by), Code::Internal, "{code} by {by:?}");
            }
        }
    }

    #[test]
    fn what_is_true_of_the_whole_chain_passes() {
        assert_eq!(
            converted(Code::DeadlineExceeded, Initiator::Peer),
            Code::DeadlineExceeded
        );
        assert_eq!(
            converted(Code::Cancelled, Initiator::Caller),
            Code::Cancelled
        );
        assert_eq!(converted(Code::Cancelled, Initiator::Peer), Code::Internal);
        assert_eq!(
            converted(Code::Unavailable, Initiator::Library),
            Code::Unavailable
        );
        assert_eq!(
            converted(Code::ResourceExhausted, Initiator::Peer),
            Code::ResourceExhausted
        );
        assert_eq!(
            converted(Code::ResourceExhausted, Initiator::Library),
            Code::Internal
        );
    }

    #[test]
    fn only_what_a_downstream_answered_is_marked_as_its_own() {
        let passed = |code, initiator, begun| {
            let status = Status::new(code, "x");
            is_of_downstream(&Status::from(CallError::new(status, initiator, begun)))
        };
        assert!(passed(Code::Unavailable, Initiator::Peer, Begun::Maybe));
        assert!(!passed(Code::Unavailable, Initiator::Peer, Begun::No));
        assert!(!passed(Code::Unavailable, Initiator::Library, Begun::Maybe));
        assert!(!passed(Code::Aborted, Initiator::Peer, Begun::Maybe));
        let own = rpc::ErrorInfo {
            reason: DOWNSTREAM.to_owned(),
            ..rpc::ErrorInfo::default()
        };
        assert!(!is_of_downstream(
            &Status::unavailable("x").with_detail(own)
        ));
    }

    #[test]
    fn the_deliberate_way_passes_everything() {
        let error = CallError::not_sent(Status::not_found("gone"));
        assert_eq!(error.into_status_verbatim().code(), Code::NotFound);
    }
}
