//! What only encrypted media have: who may speak to whom, what either hears when it may not, and
//! certificates that are replaced.

use std::sync::Arc;
use std::time::Duration;

use dreammesh_core::call::Code;
use dreammesh_core::channel::Channel;
use dreammesh_transport::tls::{Certificate, ClientTls, Live, Roots, ServerTls};
use dreammesh_transport::{Connector, MemoryHub, Server, ServerBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::authority::{Authority, Made, Validity};
use crate::echo::{Echo, EchoServer, ask, call};

pub(crate) const TLS: &str = "dreammesh+tls://127.0.0.1:0";
const QUIC: &str = "dreammesh+quic://127.0.0.1:0";

pub(crate) fn certificate(made: &Made) -> Certificate {
    Certificate::from_pem(&made.chain, &made.key).unwrap()
}

pub(crate) fn roots(authority: &Authority) -> Roots {
    Roots::from_pem(authority.pem()).unwrap()
}

/// Serves an echo; returns its target and its task, which ends with the test.
pub(crate) async fn serve(builder: ServerBuilder, address: &str) -> (String, JoinHandle<()>) {
    let builder = builder.service(EchoServer(Arc::new(Echo::default())));
    let server = builder.bind(address).await.unwrap();
    (server.target(), tokio::spawn(server.serve()))
}

/// A server on TLS with a certificate for loopback, and a client that believes in it.
async fn site(authority: &Authority) -> (String, Connector) {
    let made = authority.issue(&["127.0.0.1"]);
    let tls = ServerTls::new(certificate(&made));
    let (target, _) = serve(Server::builder().tls(tls), TLS).await;
    (
        target,
        Connector::new().tls(ClientTls::new(roots(authority))),
    )
}

/// The text of an echo, or why there is none, from a call that would wait for no server.
async fn said(channel: &Channel, what: &str) -> Result<String, String> {
    match call(channel, &ask(what)).await {
        Ok(answer) => Ok(answer.view().type_url().to_owned()),
        Err(error) => {
            assert_eq!(error.code(), Code::Unavailable);
            Err(error.message().to_owned())
        }
    }
}

/// Connects and calls until there is a reason why it cannot be.
async fn reason(connector: &Connector, target: &str) -> String {
    let channel = match connector.connect(target).await {
        Ok(channel) => channel,
        Err(error) => return error.to_string(),
    };
    said(&channel, "echo").await.unwrap_err()
}

/// The names of a certificate, and what a handler takes from them.
pub(crate) const CALLERS: [(&[&str], &str); 3] = [
    (
        &["spiffe://example.org/till", "till.example"],
        "spiffe://example.org/till",
    ),
    (&["till.example", "other.example"], "till.example"),
    (&["10.0.0.7"], "nobody"),
];

#[tokio::test]
async fn a_handler_knows_its_caller_by_its_certificate() {
    let authority = Authority::new("root");
    let tls = ServerTls::new(certificate(&authority.issue(&["127.0.0.1"])));
    let tls = tls.client_roots_optional(roots(&authority));
    let (target, _) = serve(Server::builder().tls(tls), TLS).await;
    let client = ClientTls::new(roots(&authority));
    for scheme in ["dreammesh+tls", "grpcs"] {
        let target = target.replace("dreammesh+tls", scheme);
        for (names, identity) in CALLERS {
            let tls = client
                .clone()
                .certificate(certificate(&authority.issue(names)));
            let channel = Connector::new().tls(tls).connect(&target).await.unwrap();
            let said = said(&channel, "who").await;
            assert_eq!(said.as_deref(), Ok(identity), "{scheme}");
        }
        let connector = Connector::new().tls(client.clone());
        let channel = connector.connect(&target).await.unwrap();
        assert_eq!(said(&channel, "who").await.as_deref(), Ok("nobody"));
    }
}

#[tokio::test]
async fn a_client_says_why_it_does_not_believe_a_server() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    for (names, validity, believed, why) in [
        (
            "127.0.0.1",
            Validity::Past,
            &authority,
            "the server's certificate has expired",
        ),
        (
            "127.0.0.1",
            Validity::Future,
            &authority,
            "certificate is not valid yet",
        ),
        (
            "127.0.0.2",
            Validity::Now,
            &authority,
            "certificate is for another name",
        ),
        (
            "127.0.0.1",
            Validity::Now,
            &other,
            "does not lead to a root that is trusted here",
        ),
    ] {
        let made = authority.issue_valid(&[names], validity);
        let tls = ServerTls::new(certificate(&made));
        let connector = Connector::new().tls(ClientTls::new(roots(believed)));
        for address in [TLS, QUIC] {
            let (target, _) = serve(Server::builder().tls(tls.clone()), address).await;
            let reason = reason(&connector, &target).await;
            assert!(reason.contains(why), "{reason}");
            assert!(reason.contains(&target), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_client_says_whom_it_wants_and_whom_it_finds() {
    let authority = Authority::new("root");
    let made = authority.issue(&["127.0.0.1", "spiffe://example.org/one"]);
    let client = ClientTls::new(roots(&authority));
    let client = client
        .server_identity("spiffe://example.org/other")
        .unwrap();
    for address in [TLS, QUIC] {
        let tls = ServerTls::new(certificate(&made));
        let (target, _) = serve(Server::builder().tls(tls), address).await;
        let reason = reason(&Connector::new().tls(client.clone()), &target).await;
        let why = "is that of spiffe://example.org/one, not of spiffe://example.org/other";
        assert!(reason.contains(why), "{reason}");
    }
}

#[tokio::test]
async fn a_client_hears_why_a_server_does_not_believe_it() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let server = ServerTls::new(certificate(&authority.issue(&["127.0.0.1"])));
    let server = server.client_roots(roots(&authority));
    let client = ClientTls::new(roots(&authority));
    let past = authority.issue_valid(&["till.example"], Validity::Past);
    for (certificate, why) in [
        (None, "it requires a certificate, and none was presented"),
        (
            Some(certificate(&past)),
            "has expired, or is not valid yet, by its clock",
        ),
        (
            Some(certificate(&other.issue(&["a.b"]))),
            "does not lead to a root that it trusts",
        ),
    ] {
        let tls = match certificate {
            Some(certificate) => client.clone().certificate(certificate),
            None => client.clone(),
        };
        for address in [TLS, QUIC] {
            let (target, _) = serve(Server::builder().tls(server.clone()), address).await;
            let reason = reason(&Connector::new().tls(tls.clone()), &target).await;
            assert!(reason.contains(why), "{reason}");
        }
    }
}

#[tokio::test]
async fn plaintext_to_a_port_of_tls_is_told_so_in_its_own_words() {
    let (target, _) = site(&Authority::new("root")).await;
    let place = target.strip_prefix("dreammesh+tls://").unwrap();
    let plain = format!("dreammesh+tcp://{place}");
    let why = reason(&Connector::new(), &plain).await;
    assert!(why.contains("this port takes TLS only"), "{why}");
    for (words, answer) in [
        (
            &b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..],
            &b"HTTP/1.1 400 "[..],
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\x04"),
        (b"\0garbage", b"\xd7"),
    ] {
        let mut stream = TcpStream::connect(place).await.unwrap();
        stream.write_all(words).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        assert!(heard.starts_with(answer), "{heard:?}");
        let text = String::from_utf8_lossy(&heard);
        assert!(text.contains("this port takes TLS only"), "{text}");
    }
}

#[tokio::test]
async fn tls_to_a_port_without_a_certificate_is_told_so() {
    let (target, _) = serve(Server::builder(), "dreammesh+tcp://127.0.0.1:0").await;
    let target = target.replace("+tcp", "+tls");
    let client = ClientTls::new(roots(&Authority::new("root")));
    let why = reason(&Connector::new().tls(client), &target).await;
    assert!(
        why.contains("a server that has no certificate answers so"),
        "{why}"
    );
}

#[tokio::test]
async fn plaintext_is_served_beside_tls_where_it_is_permitted() {
    let authority = Authority::new("root");
    let tls = ServerTls::new(certificate(&authority.issue(&["127.0.0.1"])));
    let builder = Server::builder().tls(tls).permit_plaintext();
    let (target, _) = serve(builder, "127.0.0.1:0").await;
    let place = target.strip_prefix("dreammesh://").unwrap();
    let client = Connector::new().tls(ClientTls::new(roots(&authority)));
    for scheme in [
        "dreammesh+tcp",
        "dreammesh+tls",
        "dreammesh+quic",
        "dreammesh",
    ] {
        let target = format!("{scheme}://{place}");
        let channel = client.connect(&target).await.unwrap();
        assert_eq!(said(&channel, "echo").await.as_deref(), Ok("echo"));
    }
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_is_dialled_or_bound() {
    let error = Connector::new().connect("dreammesh+tls://x:1").await;
    let error = error.unwrap_err();
    assert!(error.is_target());
    assert!(error.to_string().contains("`Connector::tls`"), "{error}");
    let authority = Authority::new("root");
    let client = Connector::new().tls(ClientTls::new(roots(&authority)));
    let error = client.connect_lazy("dreammesh+tls://a_b:1").map(drop);
    assert!(error.is_ok(), "an underscore is in use");
    let error = client.connect_lazy("dreammesh+tls://-:1").unwrap_err();
    assert!(
        error.to_string().contains("no certificate can name"),
        "{error}"
    );
    let error = Server::builder().bind(TLS).await.unwrap_err();
    assert!(
        error.to_string().contains("`ServerBuilder::tls`"),
        "{error}"
    );
    let tls = ServerTls::new(certificate(&authority.issue(&["127.0.0.1"])));
    let server = Server::builder().tls(tls);
    let error = server
        .bind("dreammesh+tcp://127.0.0.1:0")
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`ServerBuilder::permit_plaintext`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_ends_none() {
    let authority = Authority::new("root");
    let issued = |name: &str| certificate(&authority.issue(&["127.0.0.1", name]));
    let presented = Live::new(issued("spiffe://example.org/one"));
    let tls = ServerTls::new(presented.clone());
    let (target, _) = serve(Server::builder().tls(tls), TLS).await;
    let expecting = |id: &str| {
        let tls = ClientTls::new(roots(&authority));
        Connector::new().tls(tls.server_identity(id).unwrap())
    };
    let (first, second) = ("spiffe://example.org/one", "spiffe://example.org/two");
    let old = expecting(first).connect(&target).await.unwrap();
    assert_eq!(said(&old, "echo").await.as_deref(), Ok("echo"));
    presented.replace(issued(second));
    let why = reason(&expecting(first), &target).await;
    assert!(
        why.contains(&format!("is that of {second}, not of {first}")),
        "{why}"
    );
    let new = expecting(second).connect(&target).await.unwrap();
    for channel in [new, old] {
        assert_eq!(said(&channel, "echo").await.as_deref(), Ok("echo"));
    }
}

#[tokio::test]
async fn replaced_roots_hold_for_new_connections_on_both_sides() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let believed = Live::new(roots(&before));
    let tls = ServerTls::new(certificate(&before.issue(&["127.0.0.1"])));
    let tls = tls.client_roots(believed.clone());
    let (target, _) = serve(Server::builder().tls(tls), TLS).await;
    let client = ClientTls::new(believed.clone());
    let old = client
        .clone()
        .certificate(certificate(&before.issue(&["old.example"])));
    let old = Connector::new().tls(old);
    let channel = old.connect(&target).await.unwrap();
    assert_eq!(said(&channel, "who").await.as_deref(), Ok("old.example"));
    believed.replace(roots(&before).and(&roots(&after)));
    let new = client.certificate(certificate(&after.issue(&["new.example"])));
    let new = Connector::new().tls(new);
    let channel = new.connect(&target).await.unwrap();
    assert_eq!(said(&channel, "who").await.as_deref(), Ok("new.example"));
    believed.replace(roots(&after));
    let why = reason(&new, &target).await;
    assert!(
        why.contains("does not lead to a root that is trusted here"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_reached_its_age_is_replaced_without_a_failed_call() {
    let hub = MemoryHub::new();
    let builder = Server::builder().memory(&hub);
    let builder = builder.max_connection_age(Duration::from_secs(100));
    let echo = Echo::default();
    let probe = Arc::clone(&echo.probe);
    let server = builder.service(EchoServer(Arc::new(echo)));
    let server = server.drain_period(Duration::from_secs(20));
    let server = server.bind("memory://aged").await.unwrap();
    let _serving = tokio::spawn(server.serve());
    let channel = Connector::new()
        .memory(&hub)
        .connect("memory://aged")
        .await
        .unwrap();
    // One call runs for as long as it is let, and ends when the drain period does.
    let running = tokio::spawn({
        let channel = channel.clone();
        async move { call(&channel, &ask("gate")).await }
    });
    probe.alive_is(1).await;
    let begun = tokio::time::Instant::now();
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(said(&channel, "echo").await.as_deref(), Ok("echo"));
    }
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(
        error.message().contains("the drain period is over"),
        "{error}"
    );
    assert!(begun.elapsed() >= Duration::from_secs(300));
}
