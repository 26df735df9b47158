//! What one call carries along when somebody watches: its span and its metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tracing::Span;

use super::metrics::Cells;
use super::{Metrics, Side, trace};
use crate::call::{Code, Status};
use crate::channel::{ClientCall, ClientReply, Reply};
use crate::clock;
use crate::port::{Outcome, ServerCall, WireMode};

/// The span and the metrics of one call; a call that nobody watches has none.
///
/// Dropping it unfinished counts the call as cancelled.
pub struct Observation {
    span: Option<Span>,
    timed: Option<Timed>,
    finished: bool,
}

struct Timed {
    cells: Arc<Cells>,
    begun: Instant,
    mode: WireMode,
}

impl Observation {
    /// Begins to watch a call made here.
    pub(crate) fn of_call(metrics: Option<&Metrics>, call: &mut ClientCall) -> Option<Box<Self>> {
        let span = trace::client_span(call.method, &mut call.trace);
        let timed = metrics.map(|metrics| {
            let cells = metrics.cells(Side::Client, call.method);
            cells.add_bytes(0, call.request_bytes().unwrap_or_default());
            Timed::begin(cells)
        });
        Self::new(span, timed)
    }

    /// Begins to watch a call handled here.
    pub(crate) fn of_handling(
        cells: Option<&Arc<Cells>>,
        call: &mut ServerCall,
    ) -> Option<Box<Self>> {
        let span = trace::server_span(call.method, &mut call.trace);
        let timed = cells.map(|cells| {
            let mut timed = Timed::begin(Arc::clone(cells));
            if let Some(first) = &call.first {
                timed.mode = first.mode;
                cells.add_bytes(first.bytes.len(), 0);
            }
            timed
        });
        Self::new(span, timed)
    }

    fn new(span: Option<Span>, timed: Option<Timed>) -> Option<Box<Self>> {
        if span.is_none() && timed.is_none() {
            return None;
        }
        Some(Box::new(Self {
            span,
            timed,
            finished: false,
        }))
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
            if let Some(timed) = &self.timed {
                timed.cells.add_bytes(answer.message.bytes.len(), 0);
            }
        }
    }

    /// Notes what a handler's outcome tells, and ends.
    pub(crate) fn finish_handling(self, outcome: &Outcome) {
        if let (Some(timed), Some(message)) = (&self.timed, &outcome.message) {
            timed.cells.add_bytes(0, message.len());
        }
        self.finish(Some(&outcome.status));
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
        if let Some(Timed { cells, begun, mode }) = &self.timed {
            let took = clock::now().saturating_duration_since(*begun);
            cells.end(status.map_or(Code::Ok, Status::code), *mode, took);
        }
    }
}

impl Timed {
    fn begin(cells: Arc<Cells>) -> Self {
        cells.begin();
        Self {
            cells,
            begun: clock::now(),
            mode: WireMode::Archive,
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.finished {
            self.end(Some(&Status::cancelled("dropped")));
        }
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observation")
    }
}
