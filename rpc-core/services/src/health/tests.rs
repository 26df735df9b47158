#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use dreammesh_core::call::{CallError, Code};
use dreammesh_core::in_process::InProcess;
use dreammesh_core::server::Router;

use super::*;
use crate::proto::health_v1::{HealthCheckRequest, HealthClient, HealthListRequest};

const SHOP: &str = "shop.v1.Catalog";

fn client(health: &Health) -> HealthClient {
    let router = Router::of(&health.service());
    HealthClient::new(InProcess::new(router).into_channel())
}

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
        ..Default::default()
    }
}

async fn check(client: &HealthClient, service: &str) -> Result<Stated, CallError> {
    let answer = client.check(about(service)).await?;
    Ok(answer.view().status())
}

#[tokio::test]
async fn a_check_tells_what_was_said_last() {
    let health = Health::new();
    let client = client(&health);
    assert_eq!(check(&client, "").await.unwrap(), Stated::SERVING);
    let unknown = check(&client, SHOP).await.unwrap_err();
    assert_eq!(unknown.status().code(), Code::NotFound);
    health.introduce(SHOP);
    assert_eq!(check(&client, SHOP).await.unwrap(), Stated::SERVING);
    health.set(SHOP, ServingStatus::NotServing);
    health.introduce(SHOP);
    assert_eq!(check(&client, SHOP).await.unwrap(), Stated::NOT_SERVING);
    health.set("", ServingStatus::NotServing);
    assert_eq!(check(&client, "").await.unwrap(), Stated::NOT_SERVING);
}

#[tokio::test]
async fn a_name_is_bounded() {
    let client = client(&Health::new());
    let at = check(&client, &"s".repeat(NAME_BYTES_MAX)).await;
    assert_eq!(at.unwrap_err().status().code(), Code::NotFound);
    let past = check(&client, &"s".repeat(NAME_BYTES_MAX + 1)).await;
    assert_eq!(past.unwrap_err().status().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_list_has_all_states_up_to_its_bound() {
    let health = Health::new();
    let client = client(&health);
    for n in 1..LISTED_MAX {
        health.introduce(&format!("s{n}"));
    }
    health.set("s1", ServingStatus::NotServing);
    let listed = client.list(HealthListRequest::default()).await.unwrap();
    let statuses = listed.into_message().into_owned().statuses;
    assert_eq!(statuses.len(), LISTED_MAX);
    assert_eq!(statuses["s1"].status, Stated::NOT_SERVING);
    assert_eq!(statuses[""].status, Stated::SERVING);
    health.introduce("one more");
    let past = client.list(HealthListRequest::default()).await;
    assert_eq!(past.unwrap_err().status().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn who_watches_is_told_each_change_once() {
    let health = Health::new();
    let client = client(&health);
    let mut watched = client.watch(about(SHOP)).await.unwrap();
    let mut states = Vec::new();
    for change in 0..4 {
        let next = watched.next().await.unwrap().unwrap();
        states.push(next.view().status());
        match change {
            0 => health.introduce(SHOP),
            1 => health.set(SHOP, ServingStatus::NotServing),
            2 => health.set(SHOP, ServingStatus::Serving),
            _ => {}
        }
    }
    let seen = [
        Stated::SERVICE_UNKNOWN,
        Stated::SERVING,
        Stated::NOT_SERVING,
        Stated::SERVING,
    ];
    assert_eq!(states, seen);
    health.set(SHOP, ServingStatus::Serving);
    health.set("another", ServingStatus::NotServing);
    let mut next = pin!(watched.next());
    for _ in 0..3 {
        let polled = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending), "nothing has changed");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_drains_says_so_and_ends_the_watching() {
    let health = Health::new();
    let client = client(&health);
    health.introduce(SHOP);
    let mut watched = client.watch(about(SHOP)).await.unwrap();
    let mut whole = client.watch(about("")).await.unwrap();
    for watched in [&mut watched, &mut whole] {
        let first = watched.next().await.unwrap().unwrap();
        assert_eq!(first.view().status(), Stated::SERVING);
    }
    health.shut_down();
    health.set(SHOP, ServingStatus::Serving);
    health.introduce("late");
    for watched in [&mut watched, &mut whole] {
        let last = watched.next().await.unwrap().unwrap();
        assert_eq!(last.view().status(), Stated::NOT_SERVING);
        let end = watched.next().await.unwrap_err();
        assert_eq!(end.status().code(), Code::Unavailable);
    }
    assert_eq!(check(&client, SHOP).await.unwrap(), Stated::NOT_SERVING);
    assert_eq!(health.status("late"), None);
}

#[tokio::test]
async fn a_server_can_be_called_while_it_and_one_of_its_services_serve() {
    use ServingStatus::{NotServing, Serving};

    let health = Health::new();
    let mut changes = health.changes();
    assert!(changes.is_serving());
    for (service, status, serving) in [
        ("a", NotServing, false),
        ("b", Serving, true),
        ("", NotServing, false),
        ("", Serving, true),
        ("b", NotServing, false),
        ("a", Serving, true),
    ] {
        health.set(service, status);
        changes.changed().await;
        assert_eq!(changes.is_serving(), serving, "{service} {status:?}");
    }
    health.shut_down();
    changes.changed().await;
    assert!(!changes.is_serving());
}
