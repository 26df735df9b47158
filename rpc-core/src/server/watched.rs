//! A handler whose calls are counted, timed and given spans.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use crate::call::MethodInfo;
use crate::layer::{Cells, Metrics, Observation, Side};
use crate::port::{Handler, HandlerFuture, ServerCall};

/// A handler whose calls are watched when somebody wants to know.
///
/// It is outermost, so that its figures hold what layers refused and its span holds their events.
pub(super) struct Watched {
    inner: Arc<dyn Handler>,
    cells: Option<Arc<Cells>>,
}

impl Watched {
    pub(super) fn around(inner: Arc<dyn Handler>, metrics: Option<&Metrics>) -> Arc<dyn Handler> {
        let cells = metrics.map(|metrics| metrics.cells(Side::Server, inner.method()));
        Arc::new(Self { inner, cells })
    }
}

impl Handler for Watched {
    fn method(&self) -> &'static MethodInfo {
        self.inner.method()
    }

    fn call(&self, mut call: ServerCall) -> HandlerFuture {
        let Some(observation) = Observation::of_handling(self.cells.as_ref(), &mut call) else {
            return self.inner.call(call);
        };
        let mut handling = observation.enter(|| self.inner.call(call));
        Box::pin(async move {
            let poll = poll_fn(|cx| observation.enter(|| handling.as_mut().poll(cx)));
            let outcome = poll.await;
            observation.finish_handling(&outcome);
            outcome
        })
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
