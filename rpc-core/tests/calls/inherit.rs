//! What a handler's own calls inherit.

use std::future::IntoFuture;
use std::time::Duration;

use dreammesh_core::call::{
    Begun, CallError, Code, Deadline, Initiator, Priority, Request, Response, Status, TraceContext,
};
use dreammesh_core::context::CallContext;

use crate::leaves::LeavesClient;
use crate::sample::Leaf;
use crate::tree::{Find, Found, block_on, leaf};

#[expect(
    clippy::disallowed_methods,
    reason = "deadlines far off, of which no test waits for one"
)]
fn soon(after: Duration) -> Deadline {
    Deadline::after(std::time::Instant::now(), after).unwrap()
}

/// A client whose calls run `check` in a handler two services down.
fn two_deep(
    check: impl Fn(&Request<Leaf>) + Clone + Send + Sync + 'static,
    inner_timeout: Option<Duration>,
) -> LeavesClient {
    let inner = LeavesClient::in_process(Find(move |request: Request<Leaf>| -> Found {
        check(&request);
        Box::pin(async move { Ok(Response::new(request.message())) })
    }));
    LeavesClient::in_process(Find(move |request: Request<Leaf>| -> Found {
        let inner = inner.clone();
        Box::pin(async move {
            let mut call = inner.find(request.message());
            if let Some(timeout) = inner_timeout {
                call = call.timeout(timeout);
            }
            Ok(call.await?)
        })
    }))
}

#[test]
fn the_deadline_without_being_told() {
    let deadline = soon(Duration::from_millis(1500));
    let client = two_deep(move |r| assert_eq!(r.deadline(), Some(deadline)), None);
    block_on(client.find(leaf(1, "")).deadline(deadline).into_future()).unwrap();
}

#[test]
fn the_deadline_even_if_the_inner_call_asks_for_more() {
    let deadline = soon(Duration::from_secs(30));
    let check = move |r: &Request<Leaf>| assert_eq!(r.deadline(), Some(deadline));
    let client = two_deep(check, Some(Duration::from_secs(3600)));
    block_on(client.find(leaf(1, "")).deadline(deadline).into_future()).unwrap();
    let check = move |r: &Request<Leaf>| assert!(r.deadline().unwrap() < deadline);
    let client = two_deep(check, Some(Duration::from_secs(3)));
    block_on(client.find(leaf(1, "")).deadline(deadline).into_future()).unwrap();
}

#[test]
fn the_declared_deadline_when_nobody_says_anything() {
    let bound = soon(Duration::from_secs(60));
    let client = two_deep(move |r| assert!(r.deadline().unwrap() < bound), None);
    block_on(client.find(leaf(1, "")).into_future()).unwrap();
}

#[test]
fn priority_and_trace() {
    let trace = TraceContext::new([1; 16], [2; 8], 1)
        .unwrap()
        .with_state("a=1")
        .unwrap();
    let expected = trace.clone();
    let check = move |r: &Request<Leaf>| {
        assert_eq!(r.priority(), Priority::HIGH);
        assert_eq!(r.trace(), Some(&expected));
    };
    let call = two_deep(check, None)
        .find(leaf(1, ""))
        .priority(Priority::HIGH)
        .trace(trace);
    block_on(call.into_future()).unwrap();
}

#[test]
fn nothing_outside_of_a_handler() {
    let client = two_deep(|_| {}, None);
    block_on(client.find(leaf(1, "")).into_future()).unwrap();
    assert_eq!(CallContext::current(), CallContext::none());
}

#[test]
fn a_passed_deadline_ends_a_call_before_it_begins() {
    let client = two_deep(|_| panic!("it began"), None);
    let passed = soon(Duration::ZERO);
    let error = block_on(client.find(leaf(1, "")).deadline(passed).into_future()).unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::DeadlineExceeded, Begun::No)
    );
    assert_eq!(error.initiator(), Initiator::Caller);
}

#[test]
fn a_downstream_refusal_is_not_passed_on_by_a_question_mark() {
    let inner = LeavesClient::in_process(Find(|_| -> Found {
        Box::pin(async { Err(Status::unauthenticated("who are you")) })
    }));
    let outer = LeavesClient::in_process(Find(move |request: Request<Leaf>| -> Found {
        let inner = inner.clone();
        Box::pin(async move { Ok(inner.find(request.message()).await?) })
    }));
    let error: CallError = block_on(outer.find(leaf(1, "")).into_future()).unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert!(error.message().contains("UNAUTHENTICATED"), "{error}");
}

#[test]
fn a_response_passed_on_keeps_its_message_and_not_its_metadata() {
    let inner = LeavesClient::in_process(Find(|_| -> Found {
        let mut response = Response::new(leaf(5, "inner"));
        response.metadata_mut().append("x-secret", "inner").unwrap();
        response.trailers_mut().append("x-secret", "inner").unwrap();
        Box::pin(async { Ok(response) })
    }));
    let outer = LeavesClient::in_process(Find(move |request: Request<Leaf>| -> Found {
        let inner = inner.clone();
        Box::pin(async move { Ok(inner.find(request.message()).await?) })
    }));
    let response = block_on(outer.find(leaf(1, "")).into_future()).unwrap();
    assert_eq!(response.view().name(), "inner");
    assert!(response.metadata().is_empty() && response.trailers().is_empty());
}
