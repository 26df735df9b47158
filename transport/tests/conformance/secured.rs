//! Targets that leave the medium open, where UDP is blocked, comes to be blocked, or comes back.

use std::sync::Arc;
use std::time::Duration;

use dreammesh_core::channel::{Channel, UnaryCall};
use dreammesh_core::wkt::Any;
use dreammesh_transport::{Connector, Medium, Server, ServerBuilder};
use tokio::task::JoinHandle;

use crate::certificates;
use crate::echo::{Echo, EchoServer, IDEMPOTENT, Probe, QUERY, ask, call};
use crate::udp_relay::{UdpRelay, Weather};

/// Nothing gets through.
const BLOCKED: Weather = Weather {
    lost_per_mille: 1_000,
    ..Weather::CLEAR
};

/// A server by TLS and, through a relay, by QUIC under one port number.
struct Place {
    probe: Arc<Probe>,
    relay: UdpRelay,
    target: String,
    serving: JoinHandle<()>,
}

impl Place {
    async fn new() -> Self {
        Self::with(|server| server).await
    }

    async fn with(settings: fn(ServerBuilder) -> ServerBuilder) -> Self {
        loop {
            let (tls, _) = certificates::pair();
            let echo = Echo::default();
            let probe = Arc::clone(&echo.probe);
            let server = Server::builder().service(EchoServer(Arc::new(echo)));
            let server = settings(server)
                .tls(tls)
                .bind("dreammesh+quic://127.0.0.1:0")
                .await
                .unwrap();
            let relay = UdpRelay::new(server.local_addr().unwrap(), 7).await;
            let place = relay.address;
            // The kernel chose a port that is free for UDP; for TCP it may be in use.
            let Ok(server) = server.bind(&format!("dreammesh+tls://{place}")).await else {
                continue;
            };
            return Self {
                probe,
                relay,
                target: format!("dreammesh://{place}"),
                serving: tokio::spawn(server.serve()),
            };
        }
    }

    fn connector(&self) -> Connector {
        Connector::new()
            .tls(certificates::pair().1)
            .media([Medium::Quic, Medium::Tls])
    }

    /// Makes calls until the datagrams that they cause are as many as asked for, or none.
    async fn goes_by(&self, channel: &Channel) -> Medium {
        let before = self.relay.to_server().datagrams();
        for _ in 0..10 {
            assert!(call(channel, &ask("echo")).await.is_ok());
        }
        match self.relay.to_server().datagrams() - before {
            0..10 => Medium::Tls,
            _ => Medium::Quic,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tokio::test]
async fn what_is_preferred_is_used_where_it_works() {
    let place = Place::new().await;
    for (media, used) in [
        (vec![Medium::Quic, Medium::Tls], Medium::Quic),
        (vec![Medium::Tls, Medium::Quic], Medium::Tls),
        // What is named twice is named once.
        (vec![Medium::Quic, Medium::Quic, Medium::Tls], Medium::Quic),
        (vec![Medium::Tls, Medium::Quic, Medium::Tls], Medium::Tls),
        (vec![Medium::Quic], Medium::Quic),
        (vec![Medium::Tls], Medium::Tls),
        // Loopback is near.
        (vec![], Medium::Tls),
    ] {
        let connector = place.connector().media(media.clone());
        let channel = connector.connect(&place.target).await.unwrap();
        assert_eq!(place.goes_by(&channel).await, used, "{media:?}");
    }
}

#[tokio::test]
async fn where_udp_is_blocked_calls_go_by_tcp() {
    let place = Place::new().await;
    place.relay.set(BLOCKED);
    let channel = place.connector().connect(&place.target).await.unwrap();
    assert!(place.relay.to_server().datagrams() > 0, "QUIC was tried");
    assert_eq!(place.goes_by(&channel).await, Medium::Tls);
}

#[tokio::test]
async fn a_medium_asked_for_alone_has_no_substitute() {
    let place = Place::new().await;
    place.relay.set(BLOCKED);
    for media in [vec![Medium::Quic], vec![Medium::Quic; 3]] {
        let connector = place.connector().media(media);
        let connector = connector.connect_timeout(Duration::from_millis(200));
        let error = connector.connect(&place.target).await.unwrap_err();
        assert!(error.to_string().contains("cannot be reached"), "{error}");
    }
}

/// The ticket of the server that was lets calls go before anybody has answered by QUIC.
#[tokio::test]
async fn calls_that_went_early_where_nobody_answers_go_by_tcp() {
    let builder = || {
        let tls = certificates::pair().0.early_data(true);
        let service = EchoServer(Arc::new(Echo::default()));
        Server::builder().service(service).tls(tls)
    };
    let quic = builder()
        .bind("dreammesh+quic://127.0.0.1:0")
        .await
        .unwrap();
    let (relay, tls) = loop {
        let relay = UdpRelay::new(quic.local_addr().unwrap(), 8).await;
        let target = format!("dreammesh+tls://{}", relay.address);
        if let Ok(tls) = builder().bind(&target).await {
            break (relay, tls);
        }
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (quic, tls) = (
        tokio::spawn(quic.serve_until(stopped)),
        tokio::spawn(tls.serve()),
    );
    let connector = Connector::new()
        .tls(certificates::pair().1.early_data(true))
        .media([Medium::Quic, Medium::Tls]);
    let target = format!("dreammesh://{}", relay.address);
    let channel = connector.connect(&target).await.unwrap();
    let query = || {
        let channel = channel.clone();
        async move { UnaryCall::<Any>::new(&channel, &QUERY, ask("echo")).await }
    };
    assert!(query().await.is_ok());
    stop.send(()).unwrap();
    quic.await.unwrap();
    relay.set(BLOCKED);
    let calls: Vec<_> = (0..50).map(|_| tokio::spawn(query())).collect();
    for call in calls {
        let answer = call.await.unwrap();
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert!(relay.early() > 0);
    tls.abort();
}

/// What the channel does not repeat, or may repeat no more of, waits for the path to come back.
#[tokio::test]
async fn calls_that_are_not_made_again_wait_for_udp() {
    let place = Place::new().await;
    let connector = place.connector().media_retry(Duration::from_secs(3600));
    for (retries, count) in [(false, 1), (true, 300)] {
        place.relay.set(Weather::CLEAR);
        let channel = connector.channel_builder(&place.target).unwrap();
        let channel = channel.retries(retries).build();
        assert_eq!(place.goes_by(&channel).await, Medium::Quic);
        place.relay.set(BLOCKED);
        let calls: Vec<_> = (0..count)
            .map(|_| {
                let channel = channel.clone();
                tokio::spawn(async move {
                    UnaryCall::<Any>::new(&channel, &IDEMPOTENT, ask("echo")).await
                })
            })
            .collect();
        // Those that begin when the path was left are not held up.
        let patience = Duration::from_millis(200);
        while call(&channel, &ask("echo"))
            .timeout(patience)
            .await
            .is_err()
        {}
        assert!(!calls.iter().all(|call| call.is_finished()));
        place.relay.set(Weather::CLEAR);
        for call in calls {
            let answer = call.await.unwrap();
            assert!(answer.is_ok(), "{answer:?}");
        }
    }
}

/// Several connections that go the same way are left together, and what runs on them goes on when
/// the way is back.
#[tokio::test]
async fn several_connections_are_left_together() {
    const CALLS: usize = 64;
    let place = Place::with(|server| server.max_concurrent_calls(CALLS as u32)).await;
    let connector = place.connector().media_retry(Duration::from_secs(3600));
    let channel = connector.connect(&place.target).await.unwrap();
    assert_eq!(place.goes_by(&channel).await, Medium::Quic);
    let mut calls: Vec<_> = (0..2 * CALLS - 10)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move { call(&channel, &ask("gate")).await })
        })
        .collect();
    place.probe.alive_is(2 * CALLS - 10).await;
    let [counts] = channel.connections().try_into().unwrap();
    assert_eq!(counts.open, [("tls", 0), ("quic", 2), ("grpcs", 0)]);
    // The first connection has room again, beside the second one that is in use.
    calls.drain(..CALLS).for_each(|calling| calling.abort());
    place.probe.alive_is(CALLS - 10).await;
    assert_eq!(place.goes_by(&channel).await, Medium::Quic);
    place.relay.set(BLOCKED);
    // What is lost on the second is not sent to the first, to be lost once more.
    let answer = UnaryCall::<Any>::new(&channel, &IDEMPOTENT, ask("echo")).await;
    assert!(answer.is_ok(), "{answer:?}");
    let [counts] = channel.connections().try_into().unwrap();
    assert_eq!((counts.medium, counts.calls_repeated), (Some("tls"), 1));
    place.relay.set(Weather::CLEAR);
    for calling in calls {
        while !calling.is_finished() {
            place.probe.gate.notify_waiters();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(calling.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn calls_outlive_udp_and_return_to_it() {
    let place = Place::new().await;
    let connector = place.connector().media_retry(Duration::from_millis(50));
    let channel = connector.connect(&place.target).await.unwrap();
    assert_eq!(place.goes_by(&channel).await, Medium::Quic);
    place.relay.set(BLOCKED);
    // Nothing says that the first ones are lost but that nothing comes back.
    let lost: Vec<_> = (0..3)
        .map(|_| {
            let channel = channel.clone();
            let request = ask("echo");
            tokio::spawn(
                async move { UnaryCall::<Any>::new(&channel, &IDEMPOTENT, &request).await },
            )
        })
        .collect();
    for lost in lost {
        let answer = lost.await.unwrap();
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(place.goes_by(&channel).await, Medium::Tls);
    let [counts] = channel.connections().try_into().unwrap();
    assert_eq!((counts.medium, counts.stalls), (Some("tls"), 1));
    assert_eq!((counts.reconnects, counts.calls_repeated), (1, 3));
    assert_eq!(counts.switched, [("tls", 1), ("quic", 0), ("grpcs", 0)]);
    place.relay.set(Weather::CLEAR);
    while place.goes_by(&channel).await != Medium::Quic {
        tokio::task::yield_now().await;
    }
    let [counts] = channel.connections().try_into().unwrap();
    assert_eq!((counts.medium, counts.reconnects), (Some("quic"), 1));
    assert_eq!(counts.switched, [("tls", 1), ("quic", 1), ("grpcs", 0)]);
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_believed_is_reached_by_no_medium() {
    let place = Place::new().await;
    let (_, tls) = certificates::pair();
    let connector = place
        .connector()
        .tls(tls.server_name("other.example").unwrap());
    let error = connector.connect(&place.target).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("certificate"), "{text}");
}

#[tokio::test]
async fn one_port_number_serves_both() {
    let (tls, _) = certificates::pair();
    let server = Server::builder()
        .service(EchoServer(Arc::new(Echo::default())))
        .tls(tls)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let target = server.target();
    assert!(target.starts_with("dreammesh://127.0.0.1:"), "{target}");
    assert_eq!(server.addresses().count(), 1);
    let serving = tokio::spawn(server.serve());
    for medium in [Medium::Tls, Medium::Quic] {
        let connector = Connector::new().tls(certificates::pair().1);
        let channel = connector.media([medium]).connect(&target).await.unwrap();
        assert!(call(&channel, &ask("echo")).await.is_ok(), "{medium:?}");
    }
    serving.abort();
}

/// A server whose handshake is done proves little: a load balancer may have done it.
#[tokio::test]
async fn what_does_not_say_hello_takes_the_place_of_nothing() {
    let (serving, udp, address) = loop {
        let (tls, _) = certificates::pair();
        let server = Server::builder().service(EchoServer(Arc::new(Echo::default())));
        let server = server.tls(tls).bind("dreammesh+tls://127.0.0.1:0");
        let server = server.await.unwrap();
        let address = server.local_addr().unwrap();
        // The kernel chose a port that is free for TCP; for UDP it may be in use.
        if let Ok(udp) = std::net::UdpSocket::bind(address) {
            break (tokio::spawn(server.serve()), udp, address);
        }
    };
    let connector = Connector::new()
        .tls(certificates::pair().1)
        .media([Medium::Quic, Medium::Tls])
        .media_retry(Duration::from_millis(50));
    let target = format!("dreammesh://{address}");
    let channel = connector.connect(&target).await.unwrap();
    assert!(call(&channel, &ask("echo")).await.is_ok());

    let settings = Some(certificates::bare_server(b"dreammesh/1"));
    let runtime = Arc::new(quinn::TokioRuntime);
    let mute = quinn::Endpoint::new(quinn::EndpointConfig::default(), settings, udp, runtime);
    let mute = mute.unwrap();
    let (connection, (_send, mut receive)) = loop {
        // The attempts that were given up before it could answer have come too.
        if let Ok(connection) = mute.accept().await.unwrap().await
            && let Ok(lane) = connection.accept_bi().await
        {
            break (connection, lane);
        }
    };
    // The client's hello has come, and nothing answers it.
    receive.read_exact(&mut [0; 8]).await.unwrap();
    for _ in 0..10 {
        assert!(call(&channel, &ask("echo")).await.is_ok());
    }
    let [counts] = channel.connections().try_into().unwrap();
    assert_eq!(counts.medium, Some("tls"));
    assert_eq!(counts.switched, [("tls", 0), ("quic", 0), ("grpcs", 0)]);

    // It is tried again, and no more than that.
    connection.close(0_u32.into(), b"");
    let again = mute.accept().await.unwrap().await.unwrap();
    assert!(call(&channel, &ask("echo")).await.is_ok());
    drop(again);
    serving.abort();
}
