//! What the compiler emits for the service below, written by hand.
//!
//! ```proto
//! service Leaves {
//!   // Finds one leaf.
//!   rpc Find(Leaf) returns (Leaf) {
//!     option idempotency_level = NO_SIDE_EFFECTS;
//!     option (dreammesh.method) = { deadline: "2s" };
//!   }
//!   rpc List(Leaf) returns (stream Leaf);
//!   rpc Record(stream Leaf) returns (Leaf);
//!   rpc Chat(stream Leaf) returns (stream Leaf);
//! }
//! ```

use super::sample::Leaf;

const _: () = ::dreammesh_core::codegen::assert_generated_by("0.1.0");

/// Service `sample.v1.Leaves`.
pub trait Leaves: Send + Sync + 'static {
    /// Finds one leaf.
    fn find(
        &self,
        request: ::dreammesh_core::codegen::Request<Leaf>,
    ) -> impl Future<
        Output = Result<
            ::dreammesh_core::codegen::Response<Leaf>,
            ::dreammesh_core::codegen::Status,
        >,
    > + Send;

    /// `List`
    fn list(
        &self,
        request: ::dreammesh_core::codegen::Request<Leaf>,
        responses: ::dreammesh_core::codegen::Sender<Leaf>,
    ) -> impl Future<Output = Result<(), ::dreammesh_core::codegen::Status>> + Send;

    /// `Record`
    fn record(
        &self,
        requests: ::dreammesh_core::codegen::Receiver<Leaf>,
    ) -> impl Future<
        Output = Result<
            ::dreammesh_core::codegen::Response<Leaf>,
            ::dreammesh_core::codegen::Status,
        >,
    > + Send;

    /// `Chat`
    fn chat(
        &self,
        requests: ::dreammesh_core::codegen::Receiver<Leaf>,
        responses: ::dreammesh_core::codegen::Sender<Leaf>,
    ) -> impl Future<Output = Result<(), ::dreammesh_core::codegen::Status>> + Send;
}

/// What the compiler knows of the methods of `sample.v1.Leaves`.
pub mod leaves_methods {
    use super::Leaf;

    /// `/sample.v1.Leaves/Find`
    pub static FIND: ::dreammesh_core::codegen::MethodInfo =
        ::dreammesh_core::codegen::MethodInfo::new(
            "/sample.v1.Leaves/Find",
            ::dreammesh_core::codegen::MethodKind::Unary,
            <Leaf as ::dreammesh_core::codegen::Message>::LAYOUT,
            <Leaf as ::dreammesh_core::codegen::Message>::LAYOUT,
        )
        .with_closures(
            ::dreammesh_core::codegen::LayoutHash([0x11; 16]),
            ::dreammesh_core::codegen::LayoutHash([0x11; 16]),
        )
        .with_idempotency(::dreammesh_core::codegen::Idempotency::NoSideEffects)
        .with_deadline(::dreammesh_core::codegen::Duration::from_nanos(
            2_000_000_000,
        ));

    /// `/sample.v1.Leaves/List`
    pub static LIST: ::dreammesh_core::codegen::MethodInfo =
        ::dreammesh_core::codegen::MethodInfo::new(
            "/sample.v1.Leaves/List",
            ::dreammesh_core::codegen::MethodKind::ServerStreaming,
            <Leaf as ::dreammesh_core::codegen::Message>::LAYOUT,
            <Leaf as ::dreammesh_core::codegen::Message>::LAYOUT,
        )
        .with_closures(
            ::dreammesh_core::codegen::LayoutHash([0x11; 16]),
            ::dreammesh_core::codegen::LayoutHash([0x11; 16]),
        );

    /// `/sample.v1.Leaves/Record`
    pub static RECORD: ::dreammesh_core::codegen::MethodInfo =
        ::dreammesh_core::codegen::MethodInfo::new(
            "/sample.v1.Leaves/Record",
            ::dreammesh_core::codegen::MethodKind::ClientStreaming,
            <Leaf as ::dreammesh_core::codegen::Message>::LAYOUT,
            <Leaf as ::dreammesh_core::codegen::Message>::LAYOUT,
        )
        .with_closures(
            ::dreammesh_core::codegen::LayoutHash([0x11; 16]),
            ::dreammesh_core::codegen::LayoutHash([0x11; 16]),
        );

    /// `/sample.v1.Leaves/Chat`
    pub static CHAT: ::dreammesh_core::codegen::MethodInfo =
        ::dreammesh_core::codegen::MethodInfo::new(
            "/sample.v1.Leaves/Chat",
            ::dreammesh_core::codegen::MethodKind::Bidi,
            <Leaf as ::dreammesh_core::codegen::Message>::LAYOUT,
            <Leaf as ::dreammesh_core::codegen::Message>::LAYOUT,
        )
        .with_closures(
            ::dreammesh_core::codegen::LayoutHash([0x11; 16]),
            ::dreammesh_core::codegen::LayoutHash([0x11; 16]),
        );
}

/// Serves `sample.v1.Leaves` by an implementation of [`Leaves`].
#[derive(Debug)]
pub struct LeavesServer<S> {
    service: ::dreammesh_core::codegen::Arc<S>,
}

impl<S: Leaves> LeavesServer<S> {
    /// Serves by `service`.
    pub fn new(service: S) -> Self {
        Self::from_arc(::dreammesh_core::codegen::Arc::new(service))
    }

    /// Serves by a service that is shared with others.
    pub const fn from_arc(service: ::dreammesh_core::codegen::Arc<S>) -> Self {
        Self { service }
    }
}

impl<S: Leaves> ::dreammesh_core::codegen::Service for LeavesServer<S> {
    fn name(&self) -> &'static str {
        "sample.v1.Leaves"
    }

    fn handlers(
        &self,
    ) -> Vec<::dreammesh_core::codegen::Arc<dyn ::dreammesh_core::codegen::Handler>> {
        vec![
            ::dreammesh_core::codegen::unary(
                &self.service,
                &leaves_methods::FIND,
                |service, request| async move { S::find(&service, request).await },
            ),
            ::dreammesh_core::codegen::server_streaming(
                &self.service,
                &leaves_methods::LIST,
                |service, request, responses| async move { S::list(&service, request, responses).await },
            ),
            ::dreammesh_core::codegen::client_streaming(
                &self.service,
                &leaves_methods::RECORD,
                |service, requests| async move { S::record(&service, requests).await },
            ),
            ::dreammesh_core::codegen::bidi(
                &self.service,
                &leaves_methods::CHAT,
                |service, requests, responses| async move {
                    S::chat(&service, requests, responses).await
                },
            ),
        ]
    }

    fn file_descriptor_set(&self) -> &'static [u8] {
        FILE_DESCRIPTOR_SET
    }
}

/// Calls `sample.v1.Leaves`; clones share the channel.
#[derive(Clone, Debug)]
pub struct LeavesClient {
    channel: ::dreammesh_core::codegen::Channel,
}

impl LeavesClient {
    /// Calls through `channel`.
    pub const fn new(channel: ::dreammesh_core::codegen::Channel) -> Self {
        Self { channel }
    }

    /// Calls `service` in this process, with no network.
    pub fn in_process(service: impl Leaves) -> Self {
        Self::new(::dreammesh_core::codegen::in_process(&LeavesServer::new(
            service,
        )))
    }

    /// Finds one leaf.
    pub fn find(
        &self,
        request: impl ::dreammesh_core::codegen::IntoMessage<Leaf>,
    ) -> ::dreammesh_core::codegen::UnaryCall<Leaf> {
        ::dreammesh_core::codegen::UnaryCall::new::<Leaf>(
            &self.channel,
            &leaves_methods::FIND,
            request,
        )
    }

    /// `List`
    pub fn list(
        &self,
        request: impl ::dreammesh_core::codegen::IntoMessage<Leaf>,
    ) -> ::dreammesh_core::codegen::ServerStreamingCall<Leaf> {
        ::dreammesh_core::codegen::ServerStreamingCall::new::<Leaf>(
            &self.channel,
            &leaves_methods::LIST,
            request,
        )
    }

    /// `Record`
    pub fn record(&self) -> ::dreammesh_core::codegen::ClientStreamingCall<Leaf, Leaf> {
        ::dreammesh_core::codegen::ClientStreamingCall::new(&self.channel, &leaves_methods::RECORD)
    }

    /// `Chat`
    pub fn chat(&self) -> ::dreammesh_core::codegen::BidiCall<Leaf, Leaf> {
        ::dreammesh_core::codegen::BidiCall::new(&self.channel, &leaves_methods::CHAT)
    }
}

/// The serialised `FileDescriptorSet` of the file and what it imports.
pub static FILE_DESCRIPTOR_SET: &[u8] = b"";
