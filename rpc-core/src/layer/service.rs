//! What `tower` layers wrap: a call on its way out, and a call on its way to its handler.
//!
//! Without layers neither exists at run time. With them, one boxed future a layer stack and call.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::call::{Begun, CallError, Initiator, MethodInfo, Status};
use crate::channel::{Attempt, ClientCall, ClientReply, Core};
use crate::port::{Handler, HandlerFuture, Outcome, ServerCall};
use crate::server::{Contained, context_of};

type BoxError = Box<dyn Error + Send + Sync>;
type BoxReply = Pin<Box<dyn Future<Output = Result<ClientReply, CallError>> + Send>>;

/// What a client layer wraps: it takes a [`ClientCall`] and gives a [`ClientReply`].
#[derive(Clone)]
pub struct CallService(Inner);

#[derive(Clone)]
enum Inner {
    Attempt(Arc<Core>),
    Layered(Arc<dyn SharedCall>),
}

impl CallService {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self(Inner::Attempt(core))
    }
}

impl Service<ClientCall> for CallService {
    type Response = ClientReply;
    type Error = CallError;
    type Future = CallServiceFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: ClientCall) -> CallServiceFuture {
        CallServiceFuture(match &self.0 {
            Inner::Attempt(core) => Running::Attempt(Attempt::new(Arc::clone(core), call)),
            Inner::Layered(service) => Running::Layered(service.call(call)),
        })
    }
}

impl fmt::Debug for CallService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallService")
    }
}

/// A call on its way through the layers; dropping it cancels the call.
pub struct CallServiceFuture(Running);

#[allow(
    clippy::large_enum_variant,
    reason = "the large one is the common one, kept unboxed"
)]
enum Running {
    Attempt(Attempt),
    Layered(BoxReply),
}

impl CallServiceFuture {
    pub(crate) const fn direct(attempt: Attempt) -> Self {
        Self(Running::Attempt(attempt))
    }
}

impl Future for CallServiceFuture {
    type Output = Result<ClientReply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Running::Attempt(attempt) => Pin::new(attempt).poll(cx),
            Running::Layered(reply) => reply.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for CallServiceFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallServiceFuture")
    }
}

/// A layer stack behind a shared reference; each call runs on a clone of it.
trait SharedCall: Send + Sync {
    fn call(&self, call: ClientCall) -> BoxReply;
}

impl<S> SharedCall for S
where
    S: Service<ClientCall, Response = ClientReply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    fn call(&self, call: ClientCall) -> BoxReply {
        let mut service = self.clone();
        Box::pin(async move {
            let ready = poll_fn(|cx| service.poll_ready(cx)).await;
            ready.map_err(|error| call_error(error.into()))?;
            // Named in full, since this trait's own method would be found first.
            Service::call(&mut service, call)
                .await
                .map_err(|error| call_error(error.into()))
        })
    }
}

/// A layer around the calls of a channel.
pub(crate) fn layered_call<S>(service: S) -> CallService
where
    S: Service<ClientCall, Response = ClientReply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    CallService(Inner::Layered(Arc::new(service)))
}

/// A layer's error as the caller's: itself if it is one, else the status it is or hides.
fn call_error(error: BoxError) -> CallError {
    match error.downcast::<CallError>() {
        Ok(error) => *error,
        Err(error) => CallError::new(status_of(&*error), Initiator::Library, Begun::Maybe),
    }
}

/// The status an error is, or the first one along its sources, or `INTERNAL` with its text.
fn status_of(error: &(dyn Error + 'static)) -> Status {
    let mut at = Some(error);
    while let Some(current) = at {
        if let Some(status) = current.downcast_ref::<Status>() {
            return status.clone();
        }
        if let Some(error) = current.downcast_ref::<CallError>() {
            return Status::from(error.clone());
        }
        at = current.source();
    }
    Status::internal(error.to_string())
}

/// What a server layer wraps: it takes a [`ServerCall`] and gives an [`Outcome`].
///
/// A layer that refuses a call returns a [`Status`] as its error or an outcome of that status.
#[derive(Clone, Debug)]
pub struct HandlerService(Arc<dyn Handler>);

impl HandlerService {
    pub(crate) const fn new(handler: Arc<dyn Handler>) -> Self {
        Self(handler)
    }
}

impl Service<ServerCall> for HandlerService {
    type Response = Outcome;
    type Error = Status;
    type Future = ServedFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: ServerCall) -> ServedFuture {
        ServedFuture(self.0.call(call))
    }
}

/// A call in its handler; dropping it cancels the handler.
pub struct ServedFuture(HandlerFuture);

impl Future for ServedFuture {
    type Output = Result<Outcome, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Ok)
    }
}

impl fmt::Debug for ServedFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServedFuture")
    }
}

/// A handler inside of layers.
pub(crate) struct LayeredHandler<S> {
    pub(crate) service: S,
    pub(crate) method: &'static MethodInfo,
}

impl<S> Handler for LayeredHandler<S>
where
    S: Service<ServerCall, Response = Outcome> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    fn method(&self) -> &'static MethodInfo {
        self.method
    }

    fn call(&self, call: ServerCall) -> HandlerFuture {
        let mut service = self.service.clone();
        let context = context_of(&call);
        // A layer may make calls of its own and may panic, just as a handler may.
        HandlerFuture::new(Contained::new(context, async move {
            if let Err(error) = poll_fn(|cx| service.poll_ready(cx)).await {
                return Outcome::failed(status_of(&*error.into()));
            }
            match service.call(call).await {
                Ok(outcome) => outcome,
                Err(error) => Outcome::failed(status_of(&*error.into())),
            }
        }))
    }
}

impl<S> fmt::Debug for LayeredHandler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayeredHandler({})", self.method.path())
    }
}
