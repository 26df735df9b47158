//! Servers in a mesh, and calls to them.

use dreammesh_agent_api::mesh::MeshBuilder;
use dreammesh_agent_api::proto::{self, AgentClient};
use dreammesh_services::{Health, ServingStatus};
use dreammesh_transport::{Connector, Server};
use proto::InstanceStatus as Status;
use tokio::sync::oneshot;

use crate::agent::{Host, Said, Stream, To, service};

fn taken(stream: &Stream, key: u32, status: Status) {
    stream.say(Said::Registered(proto::Registered {
        key,
        instance: Some(proto::Instance {
            status,
            ..Default::default()
        }),
        ..Default::default()
    }));
}

async fn amended(stream: &mut Stream) -> (u32, Status) {
    match stream.hear().await {
        To::Amend(amend) => (amend.key, amend.status),
        said => panic!("{said:?}"),
    }
}

#[tokio::test]
async fn a_server_is_found_called_drained_and_gone() {
    let host = Host::new("serving");
    let mut agent = host.agent().await;
    let (theirs, ours) = (host.mesh(), host.mesh());
    let health = Health::new();
    let server = Server::builder()
        .service(service())
        .health(&health)
        .announce(theirs.member("catalog").version("2"))
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = server.local_addr().unwrap().port();
    let (stop, stopping) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(stopping));
    let mut of_server = agent.welcomed("e").await;
    let register = of_server.registered().await;
    let mut instance = register.instance.unwrap();
    assert_eq!((&*instance.service, &*instance.version), ("catalog", "2"));
    assert_eq!(instance.addresses, ["127.0.0.1"]);
    assert_eq!(instance.ports[0].number, u32::from(port));
    assert_eq!(instance.layouts[0].service, "dreammesh.agent.v1.Agent");
    assert_eq!(instance.status, Status::UP);
    taken(&of_server, register.key, Status::UP);

    let connector = Connector::new().mesh(&ours);
    let connecting = tokio::spawn(async move { connector.connect("mesh://catalog").await });
    let mut of_client = agent.welcomed("e").await;
    let watch = of_client.watched().await;
    instance.host = "here".into();
    of_client.say(Said::Update(proto::Update {
        key: watch.key,
        version: 1,
        complete: true,
        changed: vec![instance],
        ..Default::default()
    }));
    let client = AgentClient::new(connecting.await.unwrap().unwrap());
    client
        .status(proto::StatusRequest::default())
        .await
        .unwrap();

    health.set("", ServingStatus::NotServing);
    assert_eq!(
        amended(&mut of_server).await,
        (register.key, Status::MAINTENANCE)
    );
    health.set("", ServingStatus::Serving);
    assert_eq!(amended(&mut of_server).await, (register.key, Status::UP));
    stop.send(()).unwrap();
    assert_eq!(
        amended(&mut of_server).await,
        (register.key, Status::DRAINING)
    );
    // Until the agent has taken that in, calls are taken as ever.
    client
        .status(proto::StatusRequest::default())
        .await
        .unwrap();
    taken(&of_server, register.key, Status::DRAINING);
    serving.await.unwrap();
    drop(theirs);
    of_server.ended().await;
}

#[tokio::test]
async fn a_server_is_registered_under_the_same_id_with_the_next_agent() {
    let host = Host::new("again");
    let mut agent = host.agent().await;
    let mesh = host.mesh();
    let server = Server::builder().service(service());
    let server = server.announce(mesh.member("catalog").locality("eu", "eu-1"));
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let serving = tokio::spawn(server.serve());
    let first = agent.welcomed("e").await.registered().await;
    agent.kill().await;
    let mut agent = host.agent().await;
    let mut stream = agent.welcomed("f").await;
    let second = stream.registered().await;
    assert_eq!(first, second);
    // The end of a server without a word takes its instance back.
    serving.abort();
    assert!(matches!(stream.hear().await, To::Deregister(it) if it.key == second.key));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_answer_holds_up_no_end() {
    let host = Host::new("mute");
    let mut agent = host.agent().await;
    let mesh = host.mesh();
    let (stop, stopping) = oneshot::channel::<()>();
    let server = Server::builder()
        .service(service())
        .announce(mesh.member("catalog"));
    let address = format!("unix://{}/x", host.directory.display());
    let server = server.bind(&address).await.unwrap();
    let serving = tokio::spawn(server.serve_until(stopping));
    let mut stream = agent.welcomed("e").await;
    let register = stream.registered().await.instance.unwrap();
    assert!(register.ports[0].unix_path.ends_with("/x") && register.addresses.is_empty());
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_member_makes_binding_fail() {
    let host = Host::new("member");
    let mut environment = host.environment();
    environment.advertise = Some("0.0.0.0".into());
    let mesh = host.mesh_of(MeshBuilder::of(environment));
    let server = Server::builder().announce(mesh.member("catalog"));
    let error = server.bind("127.0.0.1:0").await.unwrap_err().to_string();
    assert!(error.contains("`0.0.0.0` is no place"), "{error}");
}
