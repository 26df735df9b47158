//! What one call carries along when somebody watches: its span and its metrics.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Span;

use super::counted::Counted;
use super::metrics::Tally;
use super::{Metrics, Side, trace};
use crate::call::{Code, Deadline, Status};
use crate::channel::{ClientCall, ClientReply, ClientStream, Reply};
use crate::clock;
use crate::port::{Outcome, Protocol, ServerCall, StreamPort, WireMode};

/// The span and the metrics of one call; a call that nobody watches has none.
///
/// Dropping it unfinished counts the call as ended by its deadline if that has passed, else as
/// cancelled.
pub struct Observation {
    /// Boxed, as only calls in a trace have one.
    span: Option<Box<Span>>,
    timed: Option<Timed>,
    /// By when the call must have ended; whoever carries it drops a handler that overruns.
    deadline: Option<Deadline>,
    finished: bool,
}

struct Timed {
    tally: Tally,
    begun: Instant,
    mode: WireMode,
    /// What a call came by that is handled here.
    protocol: Protocol,
    /// The bytes of the message that ends the call, received or sent, counted with its end.
    last_bytes: (usize, usize),
}

impl Observation {
    /// Begins to watch a call made here.
    pub(crate) fn of_call(
        metrics: Option<&Metrics>,
        call: &mut ClientCall,
        now: impl FnOnce() -> Instant,
    ) -> Option<Self> {
        let span = trace::client_span(call.method, &mut call.trace);
        let timed = metrics.map(|metrics| {
            let tally = metrics.tally(Side::Client, call.method);
            tally.begin(0, call.request_bytes().unwrap_or_default());
            Timed::new(tally, now())
        });
        Self::new(span, timed, call.deadline)
    }

    /// Begins to watch a call handled here.
    pub(crate) fn of_handling(tally: Option<Tally>, call: &mut ServerCall) -> Option<Self> {
        let span = trace::server_span(call.method, &mut call.trace);
        let timed = tally.map(|tally| {
            let begun = call.arrived.unwrap_or_else(clock::now);
            let mut timed = Timed::new(tally, begun);
            let first = call.first.as_ref();
            tally.begin(first.map_or(0, |first| first.bytes.len()), 0);
            timed.protocol = call.protocol;
            timed.mode = first.map_or_else(|| call.protocol.mode(), |first| first.mode);
            if let Some(stream) = &mut call.stream {
                stream.port = Arc::new(Counted::new(tally, Arc::clone(&stream.port)));
            }
            timed
        });
        Self::new(span, timed, call.deadline)
    }

    /// The port of a stream of this call, which counts its bytes if somebody wants to know.
    pub(crate) fn port_of(&self, stream: &ClientStream) -> Option<Arc<dyn StreamPort>> {
        let timed = self.timed.as_ref()?;
        let connection = Arc::clone(stream.connection());
        Some(Arc::new(Counted::new(timed.tally, connection)))
    }

    fn new(span: Option<Span>, timed: Option<Timed>, deadline: Option<Deadline>) -> Option<Self> {
        if span.is_none() && timed.is_none() {
            return None;
        }
        Some(Self {
            span: span.map(Box::new),
            timed,
            deadline,
            finished: false,
        })
    }

    /// Runs a poll of the call inside of its span.
    pub(crate) fn enter<R>(&self, poll: impl FnOnce() -> R) -> R {
        match &self.span {
            Some(span) => span.in_scope(poll),
            None => poll(),
        }
    }

    /// Notes the form of a response.
    pub(crate) const fn received(&mut self, mode: Option<WireMode>) {
        if let (Some(timed), Some(mode)) = (&mut self.timed, mode) {
            timed.mode = mode;
        }
    }

    /// Notes what a call's reply tells.
    pub(crate) fn replied(&mut self, reply: &ClientReply) {
        if let Reply::Answer(answer, _) = &reply.0 {
            self.received(Some(answer.message.mode));
            if let Some(timed) = &mut self.timed {
                timed.last_bytes.0 = answer.message.bytes.len();
            }
        }
    }

    /// Notes what a handler's outcome tells, and ends.
    pub(crate) fn finish_handling(mut self, outcome: &Outcome) {
        if let (Some(timed), Some(message)) = (&mut self.timed, &outcome.message) {
            timed.last_bytes.1 = message.len();
        }
        self.finish(Some(&outcome.status));
    }

    /// Whether an unfinished call was dropped because of its deadline.
    ///
    /// This side reckons the deadline from when the request arrived, so it is later than the
    /// caller's own by as long as the request travelled, and the caller's cancellation may come
    /// first. Hence what is dropped within the last tenth of its time counts as late too.
    fn is_late(&self) -> bool {
        let Some(end) = self.deadline else {
            return false;
        };
        let now = clock::now();
        let left = end.remaining(now);
        let spent = |timed: &Timed| now.saturating_duration_since(timed.begun);
        left <= self.timed.as_ref().map_or(Duration::ZERO, spent) / 9
    }

    /// Ends with a status; none is success.
    pub(crate) fn finish(mut self, status: Option<&Status>) {
        self.end(status);
    }

    fn end(&mut self, status: Option<&Status>) {
        self.finished = true;
        if let Some(span) = &self.span {
            trace::end(span, status);
        }
        if let Some(timed) = &self.timed {
            let took = clock::now().saturating_duration_since(timed.begun);
            let code = status.map_or(Code::Ok, Status::code);
            let form = (timed.protocol, timed.mode);
            timed.tally.end(code, form, took, timed.last_bytes);
        }
    }
}

impl Timed {
    const fn new(tally: Tally, begun: Instant) -> Self {
        Self {
            tally,
            begun,
            mode: WireMode::Archive,
            protocol: Protocol::InProcess,
            last_bytes: (0, 0),
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.finished {
            let late = self.is_late();
            self.end(Some(&if late {
                Status::deadline_exceeded("dropped after its deadline")
            } else {
                Status::cancelled("dropped")
            }));
        }
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observation")
    }
}
