//! Who may have a port that is in use, and what outlives a drain.

use std::time::Duration;

use dreammesh_core::call::{Begun, Code};
use dreammesh_core::channel::{ServerStreamingCall, UnaryCall};
use dreammesh_core::wkt::Any;
use dreammesh_transport::Connector;

use crate::certificate::Made;
use crate::process::{Process, Settings};
use crate::service::{TAKE, WATCH, ask};

const ADDRESSES: [&str; 4] = [
    "dreammesh+tcp://127.0.0.1:0",
    "dreammesh+tls://127.0.0.1:0",
    "dreammesh+quic://127.0.0.1:0",
    "127.0.0.1:0",
];

fn settings(drain_period: Duration) -> Settings {
    Settings {
        made: Made::new(),
        drain_period,
    }
}

/// A server that is started by mistake does not get the port, neither from a first nor from a
/// second one.
#[test]
fn a_port_is_taken_over_only_by_who_asks_for_it() {
    let settings = settings(Duration::from_secs(30));
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
        first.ended();
        in_use("from the second");
        second.stop();
        second.ended();
        let mut free = Process::start(&address, false, &settings).unwrap();
        free.stop();
        free.ended();
    }
}

#[test]
fn a_server_takes_over_a_port_that_it_names() {
    let settings = settings(Duration::from_secs(30));
    for address in ADDRESSES {
        let error = Process::start(address, true, &settings).unwrap_err();
        assert!(error.contains("a port that it names"), "{error}");
    }
}

#[tokio::test]
async fn a_stream_that_outlives_the_drain_is_told_to_resume_elsewhere() {
    let settings = settings(Duration::from_millis(1500));
    for address in ADDRESSES {
        let mut first = Process::start(address, false, &settings).unwrap();
        let address = first.target.clone();
        let connector = Connector::new().tls(settings.made.client());
        let channel = connector.connect(&address).await.unwrap();
        let mut streams = Vec::new();
        for count in [u32::MAX, u32::MAX, 10] {
            let call = ServerStreamingCall::<Any>::new(&channel, &WATCH, ask(count));
            let mut stream = call.await.unwrap();
            stream.next().await.unwrap().unwrap();
            streams.push(stream);
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
            let message = error.message();
            assert!(message.contains("resume elsewhere"), "{address}: {message}");
        }
        // Elsewhere is where the channel goes by itself.
        let answer = UnaryCall::<Any>::new(&channel, &TAKE, ask(0))
            .await
            .unwrap();
        assert_eq!(answer.view().type_url(), second.id().to_string());
        let report = first.ended();
        assert_eq!((report.done, report.cut), (3, 2), "{address}");
        second.stop();
        assert_eq!(second.ended().cut, 0);
    }
}
