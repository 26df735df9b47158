//! Tests of checks against real servers on this host.

use std::net::SocketAddr;

use dreammesh_core::port::Handler;
use dreammesh_core::server::Service;
use dreammesh_services::{Health, ServingStatus};
use dreammesh_transport::{Server, ServerBuilder};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

fn subject(kind: Kind, address: SocketAddr, service: &str) -> Subject {
    Subject {
        kind,
        target: format!("grpc://{address}").into(),
        service: service.into(),
    }
}

async fn answer(kind: Kind, address: SocketAddr, service: &str) -> Answer {
    let outcome = probe(&subject(kind, address, service)).await;
    eprintln!("{kind:?}: {outcome:?}");
    outcome.result
}

async fn serve(server: ServerBuilder) -> (SocketAddr, JoinHandle<()>) {
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let _ = server.serve_until(std::future::pending::<()>()).await;
    });
    (address, serving)
}

/// Takes the place of the health service, and knows no method.
struct Nothing;

impl Service for Nothing {
    fn name(&self) -> &'static str {
        "grpc.health.v1.Health"
    }

    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        Vec::new()
    }
}

#[tokio::test]
async fn who_accepts_and_is_silent_passes_for_tcp_alone() {
    // As a stopped process: the system accepts for it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tcp, session, grpc) = tokio::join!(
        answer(Kind::Tcp, address, ""),
        answer(Kind::Session, address, ""),
        answer(Kind::Grpc, address, ""),
    );
    assert_eq!(tcp, Answer::Passed);
    assert_eq!((session, grpc), (Answer::TimedOut, Answer::TimedOut));
}

#[tokio::test]
async fn where_nobody_listens_every_kind_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for kind in Kind::ALL {
        assert_eq!(answer(kind, address, "").await, Answer::Refused);
    }
    let mut gone = subject(Kind::Session, address, "");
    gone.target = "unix:///nowhere/at/all.sock".into();
    assert_eq!(probe(&gone).await.result, Answer::Refused);
}

#[tokio::test]
async fn a_server_says_of_each_service_whether_it_serves() {
    let health = Health::new();
    health.set("shop.v1.Catalog", ServingStatus::Serving);
    health.set("shop.v1.Cart", ServingStatus::NotServing);
    let (address, serving) = serve(Server::builder().health(&health)).await;
    assert_eq!(answer(Kind::Tcp, address, "").await, Answer::Passed);
    assert_eq!(answer(Kind::Session, address, "").await, Answer::Passed);
    for (service, expected) in [
        ("shop.v1.Catalog", Answer::Passed),
        ("shop.v1.Cart", Answer::Failed),
        ("shop.v1.Unknown", Answer::Passed),
    ] {
        assert_eq!(
            answer(Kind::Grpc, address, service).await,
            expected,
            "{service}"
        );
    }
    serving.abort();
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_is_asked_as_a_port_is() {
    let directory = std::env::temp_dir().join(format!("dreammesh-probe-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("server.sock");
    let path = path.display();
    let health = Health::new();
    health.set("shop.v1.Cart", ServingStatus::NotServing);
    let server = Server::builder().health(&health);
    let server = server.bind(&format!("unix://{path}")).await.unwrap();
    let serving = tokio::spawn(server.serve_until(std::future::pending::<()>()));
    for scheme in ["unix", "grpc+unix"] {
        let of = |kind, service: &str| Subject {
            kind,
            target: format!("{scheme}://{path}").into(),
            service: service.into(),
        };
        for kind in Kind::ALL {
            let outcome = probe(&of(kind, "")).await;
            assert_eq!(outcome.result, Answer::Passed, "{scheme}: {outcome:?}");
        }
        let outcome = probe(&of(Kind::Grpc, "shop.v1.Cart")).await;
        assert_eq!(outcome.result, Answer::Failed, "{scheme}: {outcome:?}");
    }
    serving.abort();
    let _ = serving.await;
    let gone = Subject {
        kind: Kind::Grpc,
        target: format!("grpc+unix://{path}").into(),
        service: "".into(),
    };
    assert_eq!(probe(&gone).await.result, Answer::Refused);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn a_server_of_grpc_without_the_health_service_answers_and_that_is_enough() {
    let (address, serving) = serve(Server::builder().service(Nothing)).await;
    let outcome = probe(&subject(Kind::Grpc, address, "")).await;
    assert_eq!(outcome.result, Answer::Passed);
    assert!(outcome.said.contains("knows nothing"), "{}", outcome.said);
    serving.abort();
}

#[tokio::test]
async fn who_speaks_something_else_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                use tokio::io::AsyncWriteExt as _;
                // It breaks off if the other side does.
                let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
            });
        }
    });
    for kind in [Kind::Session, Kind::Grpc] {
        assert_ne!(answer(kind, address, "").await, Answer::Passed);
    }
    serving.abort();
}
