//! The services that every server has for tools.

use std::sync::Arc;

use dreammesh_core::call::{Code, Status};
use dreammesh_core::codegen::{Handler, Service};
use dreammesh_services::proto::health_v1::health_check_response::ServingStatus as Stated;
use dreammesh_services::proto::health_v1::{HealthCheckRequest, HealthClient};
use dreammesh_services::proto::reflection_v1::server_reflection_request::MessageRequest;
use dreammesh_services::proto::reflection_v1::server_reflection_response::MessageResponse;
use dreammesh_services::proto::reflection_v1::{ServerReflectionClient, ServerReflectionRequest};
use dreammesh_services::{Health, ServingStatus};
use dreammesh_transport::{MemoryHub, Server};

use crate::echo::Echo;
use crate::media::{Medium, Site};

const ECHO: &str = "test.Echo";

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
        ..Default::default()
    }
}

async fn check(client: &HealthClient, service: &str) -> Result<Stated, Status> {
    let answer = client.check(about(service)).await;
    answer
        .map(|answer| answer.view().status())
        .map_err(|error| error.status().clone())
}

#[tokio::test(start_paused = true)]
async fn a_server_says_of_its_services_that_they_serve_until_it_drains() {
    let mut site = Site::new(Medium::Memory).await;
    let client = HealthClient::new(site.channel.clone());
    assert_eq!(check(&client, "").await, Ok(Stated::SERVING));
    assert_eq!(check(&client, ECHO).await, Ok(Stated::SERVING));
    let unknown = check(&client, "shop.v1.Catalog").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watched = client.watch(about(ECHO)).await.unwrap();
    let first = watched.next().await.unwrap().unwrap();
    assert_eq!(first.view().status(), Stated::SERVING);
    let begun = tokio::time::Instant::now();
    site.stop();
    let last = watched.next().await.unwrap().unwrap();
    assert_eq!(last.view().status(), Stated::NOT_SERVING);
    let end = watched.next().await.unwrap_err();
    assert_eq!(end.status().code(), Code::Unavailable);
    // Who watches holds no drain up: the period of 30 s has not passed.
    assert_eq!(site.serving.await.unwrap().calls_ended, 0);
    assert!(begun.elapsed().as_secs() < 30);
}

#[tokio::test]
async fn a_program_says_itself_what_serves() {
    let health = Health::new();
    health.set(ECHO, ServingStatus::NotServing);
    let handed_in = health.clone();
    let site = Site::with(
        Medium::Memory,
        Echo::default(),
        move |server| server.health(&handed_in),
        |connector| connector,
    )
    .await;
    let client = HealthClient::new(site.channel.clone());
    assert_eq!(check(&client, ECHO).await, Ok(Stated::NOT_SERVING));
    health.set(ECHO, ServingStatus::Serving);
    assert_eq!(check(&client, ECHO).await, Ok(Stated::SERVING));
}

#[tokio::test]
async fn reflection_is_there_when_it_is_asked_for() {
    for served in [false, true] {
        let site = Site::with(
            Medium::Memory,
            Echo::default(),
            |server| server.reflection(served),
            |connector| connector,
        )
        .await;
        let client = ServerReflectionClient::new(site.channel.clone());
        let asked = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..Default::default()
        };
        let (requests, mut responses) = client.server_reflection_info().await.unwrap();
        let sent = requests.send_last(&asked).await;
        let response = responses.next().await;
        if !served {
            let refused = response.unwrap_err();
            assert_eq!(refused.status().code(), Code::Unimplemented);
            continue;
        }
        sent.unwrap();
        let response = response.unwrap().unwrap().into_owned();
        let Some(MessageResponse::ListServicesResponse(list)) = response.message_response else {
            panic!("no list: {response:?}");
        };
        let names: Vec<_> = list.service.iter().map(|service| &*service.name).collect();
        let expected = [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            ECHO,
        ];
        assert_eq!(names, expected);
    }
}

/// A service by the name of the one for health, with no methods and with what is no descriptor set.
struct Own(&'static [u8]);

impl Service for Own {
    fn name(&self) -> &'static str {
        "grpc.health.v1.Health"
    }

    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        Vec::new()
    }

    fn file_descriptor_set(&self) -> &'static [u8] {
        self.0
    }
}

#[tokio::test]
async fn what_the_program_serves_itself_is_left_alone() {
    let site = Site::with(
        Medium::Memory,
        Echo::default(),
        |server| server.service(Own(&[])),
        |connector| connector,
    )
    .await;
    let client = HealthClient::new(site.channel.clone());
    let missing = check(&client, "").await.unwrap_err();
    assert_eq!(missing.code(), Code::Unimplemented);
}

#[tokio::test]
async fn descriptors_that_are_none_are_an_error_of_bind() {
    let hub = MemoryHub::new();
    let bound = |served| {
        let server = Server::builder().memory(&hub).service(Own(&[0xff]));
        server.reflection(served).bind("memory://broken")
    };
    let error = bound(true).await.unwrap_err().to_string();
    let wrong = "reflection cannot be served: the descriptors of grpc.health.v1.Health cannot be";
    assert!(error.starts_with(wrong), "{error}");
    assert!(bound(false).await.is_ok());
}
