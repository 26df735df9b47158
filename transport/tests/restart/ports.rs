//! Who may have a port that is in use, and what outlives a drain.

use std::time::Duration;

use dreammesh_core::call::{Begun, CallError, Code, Receiver};
use dreammesh_core::channel::{Channel, ServerStreamingCall, UnaryCall};
use dreammesh_core::wkt::Any;
use dreammesh_transport::Connector;

use crate::process::{Process, Settings};
use crate::service::{TAKE, WATCH, ask};

const ADDRESSES: [&str; 4] = [
    "dreammesh+tcp://127.0.0.1:0",
    "dreammesh+tls://127.0.0.1:0",
    "dreammesh+quic://127.0.0.1:0",
    "127.0.0.1:0",
];

/// A channel of its own to a server.
async fn channel(settings: &Settings, target: &str) -> Channel {
    let connector = Connector::new().tls(settings.made.client());
    connector.connect(target).await.unwrap()
}

/// A stream of so many messages of which one has arrived.
async fn stream(channel: &Channel, count: u32) -> Receiver<Any, CallError> {
    let call = ServerStreamingCall::<Any>::new(channel, &WATCH, ask(count));
    let mut stream = call.await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream
}

/// Which process answers a call.
async fn answerer(channel: &Channel) -> String {
    let answer = UnaryCall::<Any>::new(channel, &TAKE, ask(0)).await.unwrap();
    answer.view().type_url().to_owned()
}

/// A server that is started by mistake does not get the port, neither from a first nor from a
/// second one.
#[tokio::test]
async fn a_port_is_taken_over_only_by_who_asks_for_it() {
    let settings = Settings::new();
    for address in ADDRESSES {
        let mut first = Process::start(address, false, &settings).unwrap();
        let address = first.target.clone();
        let in_use = |what: &str| {
            let error = Process::start(&address, false, &settings).unwrap_err();
            assert!(error.contains("in use"), "{address}, {what}: {error}");
        };
        in_use("from the first");
        let mut second = Process::start(&address, true, &settings).unwrap();
        in_use("from both");
        first.stop();
        first.ended().await;
        in_use("from the second");
        second.stop();
        second.ended().await;
        let mut free = Process::start(&address, false, &settings).unwrap();
        free.stop();
        free.ended().await;
    }
}

#[test]
fn a_server_takes_over_a_port_that_it_names() {
    let settings = Settings::new();
    for address in ADDRESSES {
        let error = Process::start(address, true, &settings).unwrap_err();
        assert!(error.contains("a port that it names"), "{error}");
    }
}

#[tokio::test]
async fn a_stream_that_outlives_the_drain_is_told_to_resume_elsewhere() {
    let settings = Settings {
        drain_period: Duration::from_millis(1500),
        ..Settings::new()
    };
    for address in ADDRESSES {
        let mut first = Process::start(address, false, &settings).unwrap();
        let address = first.target.clone();
        let channel = channel(&settings, &address).await;
        let mut streams = Vec::new();
        for count in [u32::MAX, u32::MAX, 10] {
            streams.push(stream(&channel, count).await);
        }
        let mut second = Process::start(&address, true, &settings).unwrap();
        first.stop();
        let mut whole = streams.pop().unwrap();
        while whole.next().await.unwrap().is_some() {}
        for mut stream in streams {
            let error = loop {
                match stream.next().await {
                    Ok(message) => assert!(message.is_some(), "{address}: it has no end"),
                    Err(error) => break error,
                }
            };
            let told = (error.code(), error.begun());
            assert_eq!(told, (Code::Unavailable, Begun::Maybe), "{address}");
            assert!(error.is_drained(), "{address}");
            let message = error.message();
            assert!(message.contains("resume elsewhere"), "{address}: {message}");
        }
        let drained: u64 = channel
            .connections()
            .iter()
            .map(|it| it.calls_drained)
            .sum();
        assert_eq!(drained, 2, "{address}");
        // Elsewhere is where the channel goes by itself.
        assert_eq!(answerer(&channel).await, second.id().to_string());
        let report = first.ended().await;
        assert_eq!((report.done, report.cut), (3, 2), "{address}");
        second.stop();
        assert_eq!(second.ended().await.cut, 0);
    }
}

/// A QUIC port, which a server cannot free while it has connections, is left as soon as somebody
/// asks for it.
#[tokio::test]
async fn a_successor_may_come_while_the_server_drains() {
    let settings = Settings::new();
    let mut first = Process::start("dreammesh+quic://127.0.0.1:0", false, &settings).unwrap();
    let address = first.target.clone();
    let old = channel(&settings, &address).await;
    let mut running = stream(&old, u32::MAX).await;
    first.stop();
    // It refuses whoever comes, and so it drains by now.
    let connector = Connector::new().tls(settings.made.client());
    while connector.connect(&address).await.is_ok() {}
    let mut second = Process::start(&address, true, &settings).unwrap();
    let new = connector.connect_lazy(&address).unwrap();
    let answered = loop {
        match UnaryCall::<Any>::new(&new, &TAKE, ask(0)).await {
            Ok(answer) => break answer.view().type_url().to_owned(),
            Err(error) => assert_eq!(error.begun(), Begun::No, "{error}"),
        }
    };
    assert_eq!(answered, second.id().to_string());
    let message = running.next().await.unwrap().unwrap();
    assert_eq!(message.view().type_url(), first.id().to_string());
    drop(running);
    assert_eq!(first.ended().await.cut, 0);
    second.stop();
    second.ended().await;
}

/// Each QUIC connection takes a descriptor while its server drains, up to half of all; those
/// beyond keep the port until they end.
#[tokio::test]
async fn where_descriptors_are_scarce_the_successor_waits_for_connections_to_end() {
    let settings = Settings {
        descriptors: 60,
        ..Settings::new()
    };
    for (connections, waits) in [(30, false), (31, true)] {
        let mut first = Process::start("dreammesh+quic://127.0.0.1:0", false, &settings).unwrap();
        let address = first.target.clone();
        let connector = Connector::new().tls(settings.made.client());
        let connector = connector.connect_timeout(Duration::from_secs(2));
        let mut streams = Vec::new();
        for _ in 0..connections {
            let channel = connector.connect(&address).await.unwrap();
            streams.push((stream(&channel, u32::MAX).await, channel));
        }
        let mut second = Process::start(&address, true, &settings).unwrap();
        first.stop();
        // One of the channels is told to go, and asks for another connection.
        let channel = streams[0].1.clone();
        let answered = loop {
            match UnaryCall::<Any>::new(&channel, &TAKE, ask(0)).await {
                // It has yet to be told to stop.
                Ok(answer) if answer.view().type_url() == first.id().to_string() => {}
                Ok(answer) => break Some(answer.view().type_url().to_owned()),
                Err(error) => {
                    assert_eq!(error.begun(), Begun::No, "{error}");
                    break None;
                }
            }
        };
        assert_eq!(answered.is_none(), waits, "{connections} connections");
        streams.truncate(30);
        let new = connector.connect_lazy(&address).unwrap();
        assert_eq!(answerer(&new).await, second.id().to_string());
        drop(streams);
        assert_eq!(first.ended().await.cut, 0);
        second.stop();
        second.ended().await;
    }
}
