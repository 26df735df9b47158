//! Typed handlers: from a call as it arrives to a service's method, and back to an outcome.
//!
//! Each of the four functions makes the handler of one method out of the service and a closure
//! that runs it. The handler validates the request, sets the context that the method's own calls
//! inherit, contains its panics and archives its response.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use dreammesh_wire::{Message, Msg};
use pin_project_lite::pin_project;

use crate::call::{MethodInfo, Receiver, Request, Response, Sender, SenderState, Status};
use crate::context::CallContext;
use crate::message;
use crate::port::{Handler, HandlerFuture, Outcome, Received, ServerCall};

/// The handler of a method with one request and one response.
pub fn unary<S, Q, A, F, R>(
    service: &Arc<S>,
    method: &'static MethodInfo,
    run: F,
) -> Arc<dyn Handler>
where
    S: Send + Sync + 'static,
    Q: Message + 'static,
    A: Message + 'static,
    F: Fn(Arc<S>, Request<Q>) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = Result<Response<A>, Status>> + Send,
{
    handler(service, method, move |service, mut call| async move {
        let message = match complete_request(&mut call) {
            Some(received) => read_request(received, &call),
            None => one_request(&mut call).await,
        };
        let request = match message {
            Ok((message, compressed)) => Request::received(message, compressed, call),
            Err(status) => return Outcome::of(status),
        };
        match run(service, request).await {
            Ok(response) => response.into_outcome(),
            Err(status) => Outcome::failed(failure(status)),
        }
    })
}

/// The handler of a method with one request and many responses.
pub fn server_streaming<S, Q, A, F, R>(
    service: &Arc<S>,
    method: &'static MethodInfo,
    run: F,
) -> Arc<dyn Handler>
where
    S: Send + Sync + 'static,
    Q: Message + 'static,
    A: Message + 'static,
    F: Fn(Arc<S>, Request<Q>, Sender<A>) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = Result<(), Status>> + Send,
{
    handler(service, method, move |service, mut call| async move {
        let (message, compressed) = match one_request(&mut call).await {
            Ok(message) => message,
            Err(status) => return Outcome::of(status),
        };
        let Some((sender, state)) = sender(&call) else {
            return no_stream();
        };
        let ended = run(
            service,
            Request::received(message, compressed, call),
            sender,
        )
        .await;
        streamed(ended, &state)
    })
}

/// The handler of a method with many requests and one response.
pub fn client_streaming<S, Q, A, F, R>(
    service: &Arc<S>,
    method: &'static MethodInfo,
    run: F,
) -> Arc<dyn Handler>
where
    S: Send + Sync + 'static,
    Q: Message + 'static,
    A: Message + 'static,
    F: Fn(Arc<S>, Receiver<Q>) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = Result<Response<A>, Status>> + Send,
{
    handler(service, method, move |service, call| async move {
        match run(service, Receiver::of_handler(call)).await {
            Ok(response) => response.into_outcome(),
            Err(status) => Outcome::failed(failure(status)),
        }
    })
}

/// The handler of a method with many requests and many responses.
pub fn bidi<S, Q, A, F, R>(
    service: &Arc<S>,
    method: &'static MethodInfo,
    run: F,
) -> Arc<dyn Handler>
where
    S: Send + Sync + 'static,
    Q: Message + 'static,
    A: Message + 'static,
    F: Fn(Arc<S>, Receiver<Q>, Sender<A>) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = Result<(), Status>> + Send,
{
    handler(service, method, move |service, call| async move {
        let Some((sender, state)) = sender(&call) else {
            return no_stream();
        };
        let ended = run(service, Receiver::of_handler(call), sender).await;
        streamed(ended, &state)
    })
}

fn handler<S, F, R>(service: &Arc<S>, method: &'static MethodInfo, run: F) -> Arc<dyn Handler>
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, ServerCall) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    Arc::new(Typed {
        service: Arc::clone(service),
        method,
        run,
        future: PhantomData,
    })
}

struct Typed<S, F, R> {
    service: Arc<S>,
    method: &'static MethodInfo,
    run: F,
    future: PhantomData<fn() -> R>,
}

impl<S, F, R> Handler for Typed<S, F, R>
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, ServerCall) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    fn method(&self) -> &'static MethodInfo {
        self.method
    }

    fn call(&self, call: ServerCall) -> HandlerFuture {
        let context = context_of(&call);
        // The one allocation that a handler costs: the carrier keeps its future in one place
        // whether it ends inline or as a task.
        HandlerFuture::new(Contained::new(
            context,
            (self.run)(Arc::clone(&self.service), call),
        ))
    }
}

impl<S, F, R> fmt::Debug for Typed<S, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handler({})", self.method.path())
    }
}

pub(crate) fn context_of(call: &ServerCall) -> CallContext {
    CallContext {
        deadline: call.deadline,
        trace: call.trace.clone(),
        priority: Some(call.priority),
        repeated: call.attempt > 0,
    }
}

pin_project! {
    /// Runs a handler in its context; a panic ends it as `INTERNAL` and is not passed on.
    ///
    /// An async function would hold the handler's future twice over: as its argument, and pinned.
    pub(crate) struct Contained<R> {
        context: CallContext,
        #[pin]
        run: R,
    }
}

impl<R> Contained<R> {
    pub(crate) const fn new(context: CallContext, run: R) -> Self {
        Self { context, run }
    }
}

impl<R: Future<Output = Outcome>> Future for Contained<R> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.project();
        // The future is not polled again after a panic, so a broken invariant is never seen.
        let poll = AssertUnwindSafe(|| this.context.enter(|| this.run.poll(cx)));
        catch_unwind(poll)
            .unwrap_or_else(|_| Poll::Ready(Outcome::of(Status::internal("the handler panicked"))))
    }
}

/// The only request of a method that takes one, when it came whole with the opening.
#[inline]
fn complete_request(call: &mut ServerCall) -> Option<Received> {
    if call.half_closed {
        call.first.take()
    } else {
        None
    }
}

/// A request, and whether it was compressed.
fn read_request<Q: Message>(
    received: Received,
    call: &ServerCall,
) -> Result<(Msg<Q>, bool), Status> {
    let compressed = received.compressed;
    let read = message::receive(received, &call.limits);
    read.map(|message| (message, compressed))
        .map_err(|error| message::unreadable(&error))
}

/// The only request of a method that takes one, and the proof that there is no second.
///
/// Another number is `UNIMPLEMENTED`, as gRPC's list of status codes has it: most likely the two
/// sides disagree about whether the method streams.
async fn one_request<Q: Message>(call: &mut ServerCall) -> Result<(Msg<Q>, bool), Status> {
    let received = match call.first.take() {
        Some(first) => first,
        None => next_request(call).await?.ok_or_else(|| {
            Status::unimplemented("the call has no request where exactly one belongs")
        })?,
    };
    if !call.half_closed && next_request(call).await?.is_some() {
        return Err(Status::unimplemented(
            "the call has a second request where exactly one belongs",
        ));
    }
    call.half_closed = true;
    read_request(received, call)
}

async fn next_request(call: &ServerCall) -> Result<Option<Received>, Status> {
    match &call.stream {
        Some(stream) if !call.half_closed => {
            let next = poll_fn(|cx| stream.port.poll_message(stream.key, cx)).await;
            next.map_err(|ended| ended.status)
        }
        _ => Ok(None),
    }
}

fn sender<A: Message>(call: &ServerCall) -> Option<(Sender<A>, Arc<SenderState>)> {
    let state = Arc::<SenderState>::default();
    let stream = call.stream.clone()?;
    Some((Sender::of_handler(stream, Arc::clone(&state)), state))
}

fn no_stream() -> Outcome {
    Outcome::of(Status::internal(
        "the carrier gave a streaming call no stream",
    ))
}

fn streamed(ended: Result<(), Status>, state: &SenderState) -> Outcome {
    let trailers = state.take_trailers();
    let outcome = match ended {
        Ok(()) => Outcome::of(Status::ok()),
        Err(status) => Outcome::failed(failure(status)),
    };
    if outcome.trailers.is_empty() {
        Outcome {
            trailers,
            ..outcome
        }
    } else {
        // Who attaches trailers to the failure says it last.
        outcome
    }
}

/// A handler's error is a failure even when it was built with the code of success.
fn failure(status: Status) -> Status {
    if status.is_ok() {
        Status::unknown("the handler failed with status OK")
    } else {
        status
    }
}
