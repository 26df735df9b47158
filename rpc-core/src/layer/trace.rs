//! Call scope: gives each call a span and its place in a trace.
//!
//! Without a subscriber that wants the span, a call's trace context passes through unchanged and
//! the cost is one relaxed load. With one, the call becomes a child in its trace, or the root of
//! a new one, and the child's context is what goes on the wire and into the handler's own calls.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use tracing::Span;
use tracing::field::Empty;

use crate::call::{MethodInfo, Status, TraceContext};

/// Begins the span of a call made here, and moves the call's trace to it.
pub(crate) fn client_span(
    method: &'static MethodInfo,
    trace: &mut Option<TraceContext>,
) -> Option<Span> {
    let span = tracing::info_span!(
        "rpc.client",
        rpc.system = "dreammesh",
        rpc.method = method.path(),
        rpc.response.status_code = Empty,
        trace_id = Empty,
        span_id = Empty,
        parent_span_id = Empty,
    );
    begin(span, trace)
}

/// Begins the span of a call handled here, and moves the call's trace to it.
pub(crate) fn server_span(
    method: &'static MethodInfo,
    trace: &mut Option<TraceContext>,
) -> Option<Span> {
    let span = tracing::info_span!(
        "rpc.server",
        rpc.system = "dreammesh",
        rpc.method = method.path(),
        rpc.response.status_code = Empty,
        trace_id = Empty,
        span_id = Empty,
        parent_span_id = Empty,
    );
    begin(span, trace)
}

/// Notes how the call of a span ended.
pub(crate) fn end(span: &Span, status: Option<&Status>) {
    let code = status.map_or(crate::call::Code::Ok, Status::code);
    span.record("rpc.response.status_code", code.name());
}

fn begin(span: Span, trace: &mut Option<TraceContext>) -> Option<Span> {
    if span.is_disabled() {
        return None;
    }
    let outer = trace.take();
    let span_id = random_id().to_be_bytes();
    let inner = match &outer {
        Some(outer) => outer.child(span_id),
        None => {
            let id = u128::from(random_id()) << 64 | u128::from(random_id());
            TraceContext::new(id.to_be_bytes(), span_id, TraceContext::SAMPLED)
        }
    };
    // Ids drawn here are never zero, so the context is always there.
    if let Ok(inner) = inner {
        let hex = inner.to_string();
        span.record("trace_id", &hex[3..35]);
        span.record("span_id", &hex[36..52]);
        if let Some(outer) = &outer {
            span.record("parent_span_id", &outer.to_string()[36..52]);
        }
        *trace = Some(inner);
    }
    Some(span)
}

/// An id that is not zero; unpredictable enough to be unique, and not a secret.
fn random_id() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0_u8));
    }
    // SplitMix64: each state gives another output, and the seeds differ by thread and process.
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31).max(1)
}
