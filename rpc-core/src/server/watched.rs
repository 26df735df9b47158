//! A handler whose calls are counted, timed and given spans.

use std::fmt;
use std::sync::Arc;

use crate::call::MethodInfo;
use crate::layer::{Metrics, Observation, Side};
use crate::port::{Handler, HandlerFuture, ServerCall};

/// A handler whose calls are watched when somebody wants to know.
///
/// It is outermost, so that its figures hold what layers refused and its span holds their events.
pub(super) struct Watched {
    inner: Arc<dyn Handler>,
    metrics: Option<Metrics>,
}

impl Watched {
    pub(super) fn around(inner: Arc<dyn Handler>, metrics: Option<&Metrics>) -> Arc<dyn Handler> {
        let metrics = metrics.cloned();
        if let Some(metrics) = &metrics {
            metrics.announce(Side::Server, inner.method());
        }
        Arc::new(Self { inner, metrics })
    }
}

impl Handler for Watched {
    fn method(&self) -> &'static MethodInfo {
        self.inner.method()
    }

    fn call(&self, mut call: ServerCall) -> HandlerFuture {
        let metrics = self.metrics.as_ref();
        let tally = metrics.map(|metrics| metrics.tally(Side::Server, call.method));
        match Observation::of_handling(tally, &mut call) {
            None => self.inner.call(call),
            Some(observation) => observation
                .enter(|| self.inner.call(call))
                .watched(observation),
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
