//! What the compiler knows of a method.

use std::time::Duration;

use dreammesh_wire::{Layout, LayoutHash};

use super::Priority;

/// What the compiler knows of a method; one static a method in generated code.
#[derive(Debug)]
pub struct MethodInfo {
    path: &'static str,
    kind: MethodKind,
    request: &'static Layout,
    response: &'static Layout,
    request_closure: LayoutHash,
    response_closure: LayoutHash,
    options: MethodOptions,
}

/// Which sides of a method send more than one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "two sides, each streaming or not, are all there is"
)]
pub enum MethodKind {
    /// One request, one response.
    Unary,
    /// One request, many responses.
    ServerStreaming,
    /// Many requests, one response.
    ClientStreaming,
    /// Many requests, many responses.
    Bidi,
}

impl MethodKind {
    /// Whether the client may send other than exactly one message.
    pub const fn streams_requests(self) -> bool {
        matches!(self, Self::ClientStreaming | Self::Bidi)
    }

    /// Whether the server may send other than exactly one message.
    pub const fn streams_responses(self) -> bool {
        matches!(self, Self::ServerStreaming | Self::Bidi)
    }
}

/// What a repetition of a call does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the three levels of google.protobuf.MethodOptions"
)]
pub enum Idempotency {
    /// Nothing was said, so it is repeated only when it provably did not begin.
    #[default]
    Unknown,
    /// It changes nothing.
    NoSideEffects,
    /// Doing it twice equals doing it once.
    Idempotent,
}

/// Which form of messages a method, channel or server allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the two forms of the protocol and the choice of them"
)]
pub enum WireOption {
    /// The archive where the peer is known to read it, protobuf otherwise.
    #[default]
    Auto,
    /// Archives alone: a call to a server that does not read its request fails with
    /// `FAILED_PRECONDITION`, not begun.
    ///
    /// The first call of a method on a connection waits for the server's word on it, one round
    /// trip. It is the caller's option; said of a server, it means `Auto`, and so the response
    /// may still come as protobuf.
    Archive,
    /// Protobuf always.
    Protobuf,
}

impl WireOption {
    /// The option of a name, as in the environment variable `DREAMMESH_WIRE`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "archive" => Some(Self::Archive),
            "protobuf" => Some(Self::Protobuf),
            _ => None,
        }
    }

    /// What the environment variable `DREAMMESH_WIRE` says, `Auto` when it says nothing known.
    ///
    /// Builders read it once when they are made; an option given to them takes its place.
    pub fn from_env() -> Self {
        let value = std::env::var("DREAMMESH_WIRE").ok();
        value
            .and_then(|name| Self::from_name(name.trim()))
            .unwrap_or_default()
    }
}

/// The options a `.proto` declares for a method.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MethodOptions {
    /// The time a call may take when its caller says nothing shorter.
    pub deadline: Option<Duration>,
    /// What a repetition does.
    pub idempotency: Idempotency,
    /// The priority when the caller says nothing.
    pub priority: Option<Priority>,
    /// The form of its messages.
    pub wire: WireOption,
    /// Whether its handler runs as a task of its own from the start, since its polls are long.
    pub spawn: bool,
}

impl MethodInfo {
    /// The method of a path `/package.Service/Method`; closures and options are added to it.
    pub const fn new(
        path: &'static str,
        kind: MethodKind,
        request: &'static Layout,
        response: &'static Layout,
    ) -> Self {
        let none = LayoutHash([0; 16]);
        let options = MethodOptions {
            deadline: None,
            idempotency: Idempotency::Unknown,
            priority: None,
            wire: WireOption::Auto,
            spawn: false,
        };
        Self {
            path,
            kind,
            request,
            response,
            request_closure: none,
            response_closure: none,
            options,
        }
    }

    /// Sets the hashes over all message types that the request and the response reach.
    #[must_use]
    pub const fn with_closures(mut self, request: LayoutHash, response: LayoutHash) -> Self {
        self.request_closure = request;
        self.response_closure = response;
        self
    }

    /// Sets the time a call may take when its caller says nothing shorter.
    #[must_use]
    pub const fn with_deadline(mut self, timeout: Duration) -> Self {
        self.options.deadline = Some(timeout);
        self
    }

    /// Sets what a repetition does.
    #[must_use]
    pub const fn with_idempotency(mut self, idempotency: Idempotency) -> Self {
        self.options.idempotency = idempotency;
        self
    }

    /// Sets the priority of calls whose caller says nothing.
    #[must_use]
    pub const fn with_priority(mut self, priority: Priority) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// Sets the form of its messages.
    #[must_use]
    pub const fn with_wire(mut self, wire: WireOption) -> Self {
        self.options.wire = wire;
        self
    }

    /// Says that its handler runs as a task of its own from the start.
    #[must_use]
    pub const fn with_spawn(mut self) -> Self {
        self.options.spawn = true;
        self
    }

    /// The path, `/package.Service/Method`.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The full name of the service: the path up to the last slash.
    pub fn service(&self) -> &'static str {
        self.path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default()
    }

    /// The name of the method: the path after the last slash.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Which sides stream.
    pub const fn kind(&self) -> MethodKind {
        self.kind
    }

    /// The layout of the request.
    pub const fn request(&self) -> &'static Layout {
        self.request
    }

    /// The layout of the response.
    pub const fn response(&self) -> &'static Layout {
        self.response
    }

    /// The hash over all message types that the request reaches.
    pub const fn request_closure(&self) -> LayoutHash {
        self.request_closure
    }

    /// The hash over all message types that the response reaches.
    pub const fn response_closure(&self) -> LayoutHash {
        self.response_closure
    }

    /// The declared options.
    pub const fn options(&self) -> &MethodOptions {
        &self.options
    }
}

/// The layout of a message without fields, for methods that exist only inside of this crate.
pub(crate) static EMPTY_LAYOUT: Layout = Layout::new("", &[], &[], 0, &[LayoutHash([0; 16])]);
