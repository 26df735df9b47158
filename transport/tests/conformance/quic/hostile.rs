//! Peers that speak something else, that do nothing, and that do too much.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Buf;
use dreammesh_core::call::Code;
use dreammesh_session::{Config, Output, Session};
use dreammesh_transport::{Connector, ServerBuilder};
use quinn::{Connection, ConnectionError, Endpoint};

use super::{address_of, through_relay};
use crate::certificates;
use crate::echo::{Echo, ask, call};
use crate::media::{Medium, Site};
use crate::udp_relay::{UdpRelay, Weather};

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A client without sessions.
async fn bare(address: SocketAddr) -> Connection {
    bare_offering(b"dreammesh/1", address).await.unwrap()
}

async fn bare_offering(
    protocol: &[u8],
    address: SocketAddr,
) -> Result<Connection, ConnectionError> {
    let endpoint = Endpoint::client(loopback()).unwrap();
    let config = certificates::bare_client(protocol);
    let connecting = endpoint.connect_with(config, address, "localhost");
    connecting.unwrap().await
}

#[tokio::test]
async fn a_client_of_another_protocol_is_told_so() {
    let site = Site::new(Medium::Quic).await;
    let error = bare_offering(b"h3", address_of(&site)).await.unwrap_err();
    // RFC 9001 section 8.1: no_application_protocol, alert 120.
    assert!(error.to_string().contains("error 120"), "{error}");
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

#[tokio::test]
async fn a_server_of_another_protocol_is_named_as_the_reason() {
    let server = Endpoint::server(certificates::bare_server(b"h3"), loopback()).unwrap();
    let target = format!("dreammesh+quic://{}", server.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        while let Some(incoming) = server.accept().await {
            assert!(incoming.await.is_err());
        }
    });
    let connector = Connector::new().tls(certificates::pair().1);
    let error = connector.connect(&target).await.unwrap_err().to_string();
    assert!(
        error.contains("none of the protocols that were offered (ALPN)"),
        "{error}"
    );
    serving.abort();
}

#[tokio::test]
async fn the_reason_for_which_a_server_closes_reaches_the_caller() {
    let config = certificates::bare_server(b"dreammesh/1");
    let server = Endpoint::server(config, loopback()).unwrap();
    let target = format!("dreammesh+quic://{}", server.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        while let Some(incoming) = server.accept().await {
            let connection = incoming.await.unwrap();
            let _lane = connection.accept_bi().await.unwrap();
            connection.close(8_u32.into(), b"as the test wants it");
        }
    });
    let connector = Connector::new().tls(certificates::pair().1);
    let channel = connector.connect_lazy(&target).unwrap();
    let error = call(&channel, &ask("echo")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("as the test wants it"), "{error}");
    serving.abort();
}

fn impatient(server: ServerBuilder) -> ServerBuilder {
    server.hello_timeout(Duration::from_millis(300))
}

#[tokio::test]
async fn a_connection_without_lanes_is_closed() {
    let site = Site::with(Medium::Quic, Echo::default(), impatient, |it| it).await;
    let ConnectionError::ApplicationClosed(close) = bare(address_of(&site)).await.closed().await
    else {
        panic!("it was not closed");
    };
    assert_eq!(&close.reason[..], b"no lane");
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

/// What a session begins with.
fn greeting() -> Vec<u8> {
    let now = tokio::time::Instant::now().into_std();
    let mut session = Session::<()>::client(Config::default(), now);
    let mut output = Output::new();
    session.poll_output(&mut output, usize::MAX);
    output.copy_to_bytes(output.remaining()).to_vec()
}

#[tokio::test]
async fn lanes_that_say_half_a_hello_or_nothing_end_alone() {
    let site = Site::with(Medium::Quic, Echo::default(), impatient, |it| it).await;
    let connection = bare(address_of(&site)).await;
    let (mut first, _first) = connection.open_bi().await.unwrap();
    let greeting = greeting();
    first.write_all(&greeting).await.unwrap();
    for half in [1, 4, 8, 20, greeting.len() - 1] {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&greeting[..half]).await.unwrap();
        let said = receive.read_to_end(4096).await.unwrap();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains("no hello in time"), "{said:?}");
    }
    assert!(connection.close_reason().is_none());
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

#[tokio::test]
async fn a_connection_whose_first_lane_says_nothing_is_closed() {
    let site = Site::with(Medium::Quic, Echo::default(), impatient, |it| it).await;
    let connection = bare(address_of(&site)).await;
    let (mut first, _first) = connection.open_bi().await.unwrap();
    first.write_all(&greeting()[..4]).await.unwrap();
    let ConnectionError::ApplicationClosed(close) = connection.closed().await else {
        panic!("it was not closed");
    };
    assert_eq!(&close.reason[..], b"no hello in time");
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

#[tokio::test]
async fn a_lane_that_breaks_the_protocol_ends_its_connection_with_the_code() {
    let site = Site::new(Medium::Quic).await;
    let connection = bare(address_of(&site)).await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let ConnectionError::ApplicationClosed(close) = connection.closed().await else {
        panic!("it was not closed");
    };
    assert_eq!(close.error_code, 2_u32.into());
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

#[tokio::test]
async fn one_way_streams_and_datagrams_are_not_taken() {
    let site = Site::new(Medium::Quic).await;
    let connection = bare(address_of(&site)).await;
    assert_eq!(connection.max_datagram_size(), None);
    let opened = connection.open_uni();
    tokio::select! {
        biased;
        _ = opened => panic!("a stream was allowed"),
        // The handshake has said how many there may be.
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn lanes_opened_and_reset_without_end_are_a_flood() {
    let site = Site::new(Medium::Quic).await;
    let connection = bare(address_of(&site)).await;
    let mut opened = 0;
    let error = loop {
        match connection.open_bi().await {
            Ok((mut send, mut receive)) => {
                opened += 1;
                send.write_all(b"\xd7").await.unwrap_or_default();
                let _ = send.reset(0_u32.into());
                let _ = receive.stop(0_u32.into());
            }
            Err(error) => break error,
        }
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
    };
    let ConnectionError::ApplicationClosed(close) = error else {
        panic!("{error}");
    };
    assert_eq!(close.error_code, 8_u32.into(), "{close}");
    assert!((256..4_096).contains(&opened), "{opened}");
}

/// The frame is one that the session may ignore, so it is nothing but the way it comes that is
/// wrong.
#[tokio::test]
async fn lanes_that_send_byte_by_byte_are_a_flood() {
    /// Kind 200, with a head of no bytes and the most that a payload may have.
    const FRAME: [u8; 16] = [0, 0, 1, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let site = Site::new(Medium::Quic).await;
    let connection = bare(address_of(&site)).await;
    let mut lanes = Vec::new();
    for _ in 0..16 {
        let (mut send, receive) = connection.open_bi().await.unwrap();
        send.write_all(&greeting()).await.unwrap();
        lanes.push((send, receive));
    }
    let mut frame = FRAME.to_vec();
    frame.resize(FRAME.len() + 65_536, 0);
    let mut crumbs = frame.iter().cycle();
    let error = 'sending: loop {
        let crumb = crumbs.next().unwrap();
        for (send, _) in &mut lanes {
            if let Err(error) = send.write_all(&[*crumb]).await {
                break 'sending error;
            }
        }
        tokio::task::yield_now().await;
    };
    assert!(
        matches!(error, quinn::WriteError::ConnectionLost(_)),
        "{error}"
    );
    let Some(ConnectionError::ApplicationClosed(close)) = connection.close_reason() else {
        panic!("it was not closed");
    };
    assert_eq!(close.error_code, 8_u32.into(), "{close}");
    assert!(
        String::from_utf8_lossy(&close.reason).contains("hardly any bytes"),
        "{close}"
    );
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

/// A server answers an address that nobody has shown to be the client's with little.
#[tokio::test]
async fn an_address_that_is_not_proven_gets_three_times_what_it_sent_at_most() {
    let site = Site::new(Medium::Quic).await;
    let relay = UdpRelay::new(address_of(&site), 3).await;
    let lost = Weather {
        lost_per_mille: 1_000,
        ..Weather::default()
    };
    relay.set_each(Weather::default(), lost);
    let target = format!("dreammesh+quic://{}", relay.address);
    let connector = site.connector().connect_timeout(Duration::from_secs(2));
    assert!(connector.connect(&target).await.is_err());
    let (sent, answered) = (relay.to_server().bytes(), relay.to_client().bytes());
    assert!(answered > 0, "the server did not answer");
    assert!(answered <= 3 * sent, "{answered} for {sent}");
}

#[tokio::test]
async fn with_many_handshakes_under_way_an_address_has_to_be_proven_first() {
    /// `UNPROVEN_MAX` of the listener.
    const UNPROVEN: usize = 64;
    let site = Site::new(Medium::Quic).await;
    let (fine, channel) = through_relay(&site, 4).await;
    assert!(call(&channel, &ask("echo")).await.is_ok());
    assert_eq!(fine.retries(), 0);
    let silent = UdpRelay::new(address_of(&site), 5).await;
    let lost = Weather {
        lost_per_mille: 1_000,
        ..Weather::default()
    };
    silent.set_each(Weather::default(), lost);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..UNPROVEN {
        let address = silent.address;
        waiting.spawn(async move { bare_offering(b"dreammesh/1", address).await.is_ok() });
    }
    // Each of them has been answered at least once, so the server works on it.
    while silent.answered_clients() < UNPROVEN {
        tokio::task::yield_now().await;
    }
    let (proven, channel) = through_relay(&site, 6).await;
    assert!(call(&channel, &ask("echo")).await.is_ok());
    assert_eq!(proven.retries(), 1);
    assert!(site.probe.begun.load(Ordering::SeqCst) >= 2);
}
