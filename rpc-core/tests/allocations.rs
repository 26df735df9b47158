//! How many allocations a call costs, each with its reason.
//!
//! The counts are of the in-process path, which holds all that a call costs outside of its
//! carrier: building, archiving, validating, the handler and the response.
#![allow(
    clippy::unwrap_used,
    reason = "handlers of a test are outside of its test functions"
)]

#[path = "sample_service/leaves.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    unnameable_types,
    reason = "emitted for a crate's root"
)]
mod leaves;
#[path = "../wire/tests/wire/gen/sample.rs"]
#[allow(
    clippy::all,
    clippy::use_self,
    clippy::too_many_lines,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::or_fun_call,
    dead_code,
    unnameable_types,
    unreachable_pub,
    reason = "made for a crate's root"
)]
mod sample;
#[path = "sample_service/tree.rs"]
mod tree;

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dreammesh_core::balance::{Load, Member, Picker, Policy, Random};
use dreammesh_core::call::Timeout;
use dreammesh_core::channel::{Channel, ClientCall};
use dreammesh_core::in_process::InProcess;
use dreammesh_core::layer::Metrics;
use dreammesh_core::port::ServerCall;
use dreammesh_core::server::Router;
use leaves::{LeavesClient, LeavesServer};
use sample::LeafArgs;
use tree::Tree;

/// One call whose handler answers at once; gives the id of the answer.
fn call(client: &LeavesClient) -> i32 {
    let args = LeafArgs {
        id: 1,
        name: "an oak, not an elm",
        ..Default::default()
    };
    let mut call = pin!(client.find(args).into_future());
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response.unwrap().view().id(),
        Poll::Pending => unreachable!("the handler answers at once"),
    }
}

fn count(client: &LeavesClient) -> u64 {
    // The first calls fill the pools of buffers and the slots.
    (0..8).for_each(|_| assert_eq!(call(client), 2));
    let info = allocation_counter::measure(|| assert_eq!(call(client), 2));
    assert_eq!(info.count_current, 0, "something is kept");
    info.count_total
}

#[test]
fn a_call_without_extras() {
    let client = LeavesClient::in_process(Tree);
    // The call on its way out and the call as it arrived, boxed since they are handed on many
    // times; the handler's future, kept in one place whether it ends inline or not; and one
    // buffer each that the request and the response are read in place from and own. What is
    // built, sent and recycled in between lives in pooled buffers and reused slots.
    assert_eq!(count(&client), 5);
}

#[test]
fn metrics_cost_none() {
    let metrics = Metrics::new();
    let router = Router::builder()
        .service(&LeavesServer::new(Tree))
        .metrics(metrics.clone());
    let source = InProcess::new(router.build()).into_source();
    let plain = count(&LeavesClient::in_process(Tree));
    let client = LeavesClient::new(Channel::builder(source).metrics(metrics).build());
    assert_eq!(count(&client), plain);
}

#[test]
fn the_plain_data_of_a_call_is_small() {
    // A call moves these by value a few times.
    assert_eq!(size_of::<dreammesh_core::call::Status>(), 8);
    assert_eq!(size_of::<dreammesh_core::call::Metadata>(), 8);
    assert_eq!(size_of::<dreammesh_core::call::CallError>(), 8);
    assert_eq!(size_of::<Timeout>(), 8);
    assert_eq!(size_of::<ClientCall>(), 8);
    assert_eq!(size_of::<ServerCall>(), 8);
}

#[expect(clippy::disallowed_methods, reason = "the origin of what is measured")]
#[test]
fn to_pick_an_endpoint_allocates_nothing() {
    for policy in [Policy::PeakEwma, Policy::RoundRobin, Policy::Random] {
        let now = std::time::Instant::now();
        let members =
            (1..=1_000).map(|weight| Member::new(Arc::new(Load::new(now))).weight(weight));
        let picker = Picker::new(policy, members.collect(), 0);
        let mut random = Random::seeded(1);
        let counted = allocation_counter::measure(|| {
            for _ in 0..1_000 {
                let picked = picker.pick(now, &mut random).unwrap();
                picker.members()[picked].load().handle_begun(now);
            }
        });
        assert_eq!(counted.count_total, 0, "{policy:?}");
    }
}
