//! Clients of QUIC that are not ours: aioquic and ngtcp2's gtlsclient.

use std::process::Command;
use std::sync::Arc;

use dreammesh_transport::Server;
use dreammesh_transport::tls::{Certificate, ServerTls};

use crate::calls::Pem;
use crate::echo::{Echo, EchoServer};
use crate::programs::{Room, debian, python};

/// The alert of TLS no_application_protocol as an error of QUIC (RFC 9001 §4.8).
const NO_PROTOCOL: &str = "0x178";

/// Has a server serve while a client runs, and gives what that said.
async fn said(client: impl FnOnce(&str, &Room) -> Command) -> String {
    let (pem, room) = (Pem::new(), Room::new());
    room.write("roots.pem", &pem.certificate);
    let certificate = Certificate::from_pem(&pem.certificate, &pem.key).unwrap();
    let server = Server::builder()
        .service(EchoServer(Arc::new(Echo::default())))
        .tls(ServerTls::new(certificate))
        .bind("dreammesh+quic://127.0.0.1:0")
        .await
        .unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let serving = tokio::spawn(server.serve());
    let mut command = client(&port, &room);
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = ran.await.unwrap();
    serving.abort();
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

async fn aioquic(what: &str) -> String {
    let what = what.to_owned();
    said(move |port, room| {
        let mut command = python();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxies/quic_client.py");
        command.arg(script).arg(room.path().join("roots.pem"));
        command.args(["127.0.0.1", port, &what]);
        command
    })
    .await
}

#[tokio::test]
#[ignore = "needs aioquic, see DREAMMESH_TEST_PROXIES"]
async fn aioquic_is_told_that_its_protocol_is_not_spoken() {
    for what in ["h3", "nothing"] {
        let said = aioquic(what).await;
        let expected = format!("ended by the transport with {NO_PROTOCOL}:");
        assert!(said.starts_with(&expected), "{what}: {said}");
    }
}

#[tokio::test]
#[ignore = "needs aioquic, see DREAMMESH_TEST_PROXIES"]
async fn aioquic_makes_a_call() {
    let said = aioquic("session").await;
    let mut lines = said.lines();
    let expected = ["connected", "hello of version 1 to 1", "pong", "answered"];
    for expected in expected {
        assert_eq!(lines.next(), Some(expected), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs aioquic, see DREAMMESH_TEST_PROXIES"]
async fn aioquic_is_told_that_what_it_says_is_no_session() {
    let said = aioquic("garbage").await;
    let expected = "connected\nended by the application with 0x2: ";
    assert!(said.starts_with(expected), "{said}");
}

#[tokio::test]
#[ignore = "needs ngtcp2, see DREAMMESH_TEST_PROXIES"]
async fn ngtcp2_is_told_that_its_protocol_is_not_spoken() {
    let said = said(|port, _| {
        let mut command = debian("usr/bin/gtlsclient");
        command.args(["--exit-on-first-stream-close", "127.0.0.1", port]);
        command.arg(format!("https://127.0.0.1:{port}/"));
        command
    })
    .await;
    assert!(said.contains(NO_PROTOCOL), "{said}");
}
