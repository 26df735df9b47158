//! A request of HTTP/1 and its answer, which may last.
//!
//! `hyper` asks for the head of an answer and then for pieces of its body; a call hands both over
//! when it has them. Between the two is what has been handed over and not been asked for.

use std::collections::VecDeque;
use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use dreammesh_core::call::Status;
use http::Response;
use hyper::body::{Body, Frame, SizeHint};

use super::requested::Requested;
use crate::grpc::server::exchange::{Gone, Receive, Transfer};

/// The call's end.
#[derive(Debug)]
pub(super) struct Http1 {
    /// None once somebody else takes the rest.
    receive: Option<Requested>,
    shared: Arc<Shared>,
}

/// The head of an answer, which is still to come.
#[derive(Debug)]
pub(super) struct Answering(Option<Connection>);

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Answer(Connection);

/// The connection's end; dropping it says that nothing more is wanted.
#[derive(Debug)]
struct Connection(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    head: Option<Response<()>>,
    data: VecDeque<Bytes>,
    /// The call has ended the answer.
    ended: bool,
    /// The call is over, whether it has ended the answer or not.
    left: bool,
    /// The connection wants nothing more.
    gone: bool,
    /// Who waits for the answer.
    connection: Option<Waker>,
    /// Who waits for the end of the connection.
    call: Option<Waker>,
}

/// Both ends of the answer to a request with that body.
pub(super) fn pair(receive: Requested) -> (Http1, Answering) {
    let shared = Arc::<Shared>::default();
    let call = Http1 {
        receive: Some(receive),
        shared: Arc::clone(&shared),
    };
    (call, Answering(Some(Connection(shared))))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands something over, and wakes who waits for it.
    fn hand_over(&self, change: impl FnOnce(&mut State)) -> Result<(), Gone> {
        let waiting = {
            let mut state = self.lock();
            if state.gone {
                return Err(Gone);
            }
            change(&mut state);
            state.connection.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        Ok(())
    }
}

impl Receive for Http1 {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        let Some(receive) = &mut self.receive else {
            return Poll::Ready(None);
        };
        loop {
            return match std::task::ready!(Pin::new(&mut *receive).poll_frame(cx)) {
                None => Poll::Ready(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(Ok(data))),
                    // Trailers of a request say nothing in any protocol that is spoken here.
                    Err(_) => continue,
                },
                Some(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    // Nobody waits for the rest, so that the connection ends with the answer.
                    self.receive = None;
                    let text = "the request stopped coming before it was whole";
                    Poll::Ready(Some(Err(Status::deadline_exceeded(text))))
                }
                Some(Err(error)) => Poll::Ready(Some(Err(failure(&error)))),
            };
        }
    }

    // Nothing is read of a body before it is asked for.
    fn release(&mut self, _: usize) {}

    fn is_end(&self) -> bool {
        self.receive.as_ref().is_none_or(Body::is_end_stream)
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let mut state = self.shared.lock();
        if state.gone {
            return Poll::Ready(Status::cancelled("the connection is lost"));
        }
        state.call = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Why a body did not come whole: its chunks are none, or its caller went away.
fn failure(error: &io::Error) -> Status {
    let cause = error.source().and_then(|it| it.downcast_ref::<io::Error>());
    let is_damaged = cause.is_some_and(|cause| {
        let kind = cause.kind();
        matches!(
            kind,
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
        )
    });
    let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
    let text = format!("the request did not come whole: {cause}");
    match is_damaged {
        true => Status::internal(text),
        false => Status::cancelled(text),
    }
}

impl Transfer for Http1 {
    fn send_head(&mut self, head: Response<()>, ends: bool) -> Result<(), Gone> {
        self.shared.hand_over(|state| {
            state.head = Some(head);
            state.ended = ends;
        })
    }

    fn send_body(&mut self, data: Bytes, ends: bool) -> Result<(), Gone> {
        self.shared.hand_over(|state| {
            state.data.push_back(data);
            state.ended = ends;
        })
    }

    fn leave_rest(&mut self) {
        if let Some(rest) = self.receive.take() {
            swallow(rest);
        }
    }
}

impl Drop for Http1 {
    fn drop(&mut self) {
        // Whoever is gone does not wait.
        let _ = self.shared.hand_over(|state| state.left = true);
    }
}

/// Reads on in a task of its own, within bounds, so that who sends a request to its end before it
/// reads the answer is not cut off, and the connection can be used again.
pub(super) fn swallow(body: Requested) {
    if !body.is_end_stream() {
        tokio::spawn(tokio::time::timeout(REST, read(body)));
    }
}

async fn read(mut body: Requested) {
    let mut total = 0;
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        total += frame.data_ref().map_or(0, Bytes::len);
        if total > REST_BYTES_MAX {
            return;
        }
    }
}

impl Answering {
    /// An answer that is known.
    pub(super) fn of(answer: Response<&'static str>) -> Self {
        let (head, text) = answer.into_parts();
        let state = State {
            head: Some(Response::from_parts(head, ())),
            data: (!text.is_empty())
                .then(|| Bytes::from_static(text.as_bytes()))
                .into_iter()
                .collect(),
            ended: true,
            left: true,
            ..State::default()
        };
        let shared = Arc::new(Shared(Mutex::new(state)));
        Self(Some(Connection(shared)))
    }
}

impl Future for Answering {
    type Output = io::Result<Response<Answer>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let connection = self.0.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut state = connection.0.lock();
        if let Some(head) = state.head.take() {
            drop(state);
            return Poll::Ready(Ok(head.map(|()| Answer(connection))));
        }
        if state.left {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        state.connection = Some(cx.waker().clone());
        drop(state);
        self.0 = Some(connection);
        Poll::Pending
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut state = self.0.0.lock();
        if let Some(data) = state.data.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        if state.left {
            // The connection ends with it, so that its peer sees that the answer is not whole.
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        state.connection = Some(cx.waker().clone());
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.0.lock();
        state.ended && state.data.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.0.0.lock();
        let bytes = state.data.iter().map(|data| data.len() as u64).sum();
        match state.ended {
            true => SizeHint::with_exact(bytes),
            false => SizeHint::default(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (waiting, left) = {
            let mut state = self.0.lock();
            state.gone = true;
            (state.call.take(), std::mem::take(&mut state.data))
        };
        drop(left);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

/// What is read of a request that has been answered.
const REST_BYTES_MAX: usize = 1 << 20;
/// For so long.
const REST: Duration = Duration::from_secs(5);
