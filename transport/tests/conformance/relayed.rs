//! What a relay between the two sides does to a connection over TCP.

use std::time::{Duration, Instant};

use dreammesh_core::call::Code;
use dreammesh_core::channel::{Channel, UnaryCall};
use dreammesh_core::wkt::Any;
use dreammesh_transport::{Connector, MemoryHub};

use crate::echo::{Echo, IDEMPOTENT, ask, call, list, record};
use crate::media::{Medium, Site, serve};
use crate::tcp_relay::{Conduct, TcpRelay, Way};

const RELAYED: [Medium; 3] = [
    Medium::RelayedTcp,
    Medium::RelayedTls,
    Medium::RelayedTunnel,
];

fn big(bytes: usize) -> Any {
    Any {
        value: vec![7; bytes].into(),
        ..ask("echo")
    }
}

/// A call that finds its way whatever happens to the connection before it.
async fn in_the_end(channel: &Channel) {
    let answer = call(channel, &ask("echo")).wait_for_ready(true);
    let answer = answer.timeout(Duration::from_secs(60)).await;
    // The connection may have been on its way down when the call was sent.
    if answer.is_err() {
        let again = call(channel, &ask("echo")).wait_for_ready(true).await;
        assert!(again.is_ok(), "{again:?}");
    }
}

#[tokio::test]
async fn messages_pass_a_slow_way_whole_and_small_ones_beside_them() {
    for medium in RELAYED {
        let site = Site::new(medium).await;
        let relay = site.relay.as_ref().unwrap();
        relay.set(Conduct {
            bytes_a_second: Some(4 << 20),
            piece_bytes_max: 8 << 10,
            ..Conduct::ROUGH
        });
        let channel = site.channel.clone();
        let large = tokio::spawn(async move { call(&channel, &big(1 << 20)).await });
        for _ in 0..10 {
            assert!(call(&site.channel, &ask("echo")).await.is_ok());
        }
        let large = large.await.unwrap().unwrap();
        assert_eq!(large.view().value(), vec![7; 1 << 20], "{medium:?}");
    }
}

#[tokio::test]
async fn byte_by_byte_is_as_good_as_at_once() {
    for medium in RELAYED {
        let site = Site::new(medium).await;
        site.relay.as_ref().unwrap().set(Conduct {
            piece_bytes_max: 1,
            ..Conduct::CALM
        });
        // The connection that is there, and one that begins so.
        let other = site.connector().connect(&site.target).await.unwrap();
        for channel in [&site.channel, &other] {
            let answer = call(channel, &big(3_000)).await.unwrap();
            assert_eq!(answer.view().value().len(), 3_000, "{medium:?}");
            let mut items = list(channel, 20, 100).await.unwrap();
            while items.next().await.unwrap().is_some() {}
        }
    }
}

#[tokio::test]
async fn what_is_cut_anywhere_ends_or_is_repeated_and_the_next_call_finds_a_way() {
    for (seed, medium) in (1..).zip(RELAYED) {
        let site = Site::new(medium).await;
        let server = site.relay.as_ref().unwrap().server();
        let cutting = Conduct {
            cut_after_bytes_max: Some(20_000),
            ..Conduct::CALM
        };
        let relay = TcpRelay::new(server, cutting, seed).await;
        let target = medium.target(&relay.in_place_of(&site.bound));
        let channel = site.connector().connect_lazy(&target).unwrap();
        let mut lost = 0;
        for number in 0..200_usize {
            let request = big(number * 37 % 4_000);
            let calling = UnaryCall::<Any>::new(&channel, &IDEMPOTENT, &request);
            match calling.wait_for_ready(true).await {
                Ok(answer) => assert_eq!(answer.view().value(), &request.value[..]),
                // Three connections in a row were cut under it.
                Err(error) => {
                    assert_eq!(error.code(), Code::Unavailable, "{medium:?}: {error}");
                    lost += 1;
                }
            }
        }
        assert!(relay.connections() > 20, "{medium:?}: hardly a cut");
        assert!(lost < 100, "{medium:?}: {lost} calls were lost");
        relay.set(Conduct::CALM);
        relay.cut();
        in_the_end(&channel).await;
        site.probe.alive_is(0).await;
    }
}

#[tokio::test]
async fn what_is_closed_in_one_direction_ends_and_the_next_call_finds_a_way() {
    for medium in RELAYED {
        for way in [Way::ToServer, Way::ToClient] {
            let site = Site::new(medium).await;
            let channel = site.channel.clone();
            let waiting = tokio::spawn(async move { call(&channel, &ask("never")).await });
            site.probe.alive_is(1).await;
            site.relay.as_ref().unwrap().half_close(way);
            let error = waiting.await.unwrap().unwrap_err();
            assert_eq!(error.code(), Code::Unavailable, "{medium:?}, {way:?}");
            site.probe.alive_is(0).await;
            in_the_end(&site.channel).await;
        }
    }
}

#[tokio::test]
async fn a_relay_whose_server_is_gone_for_a_while_is_dialled_again() {
    for medium in RELAYED {
        let mut site = Site::new(medium).await;
        site.stop();
        (&mut site.serving).await.unwrap();
        site.relay.as_ref().unwrap().set(Conduct::CALM);
        let error = call(&site.channel, &ask("echo")).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{medium:?}");
        let (_, _stop, _serving) = serve(&site.hub, &site.bound, Echo::default(), |it| it).await;
        in_the_end(&site.channel).await;
    }
}

/// Prints how fast one stream of messages of 1 MiB is over ways of different lengths.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which says nothing in a build without optimisations"]
async fn streams_over_long_ways_are_fast() {
    const MESSAGES: u32 = 256;
    let hub = MemoryHub::new();
    let (bound, _stop, _serving) =
        serve(&hub, "dreammesh+tcp://127.0.0.1:0", Echo::default(), |it| {
            it
        })
        .await;
    let server = bound.split_once("://").unwrap().1.parse().unwrap();
    println!("round trip, ms | requests, MB/s | answers, MB/s");
    for trip_ms in [0, 20, 100] {
        let conduct = Conduct {
            delay: Duration::from_millis(trip_ms) / 2,
            ..Conduct::CALM
        };
        let relay = TcpRelay::new(server, conduct, 1).await;
        let target = relay.in_place_of(&bound).replace("dreammesh+tcp", "grpc");
        let channel = Connector::new().connect(&target).await.unwrap();
        let speed =
            |begun: Instant| f64::from(MESSAGES << 20) / begun.elapsed().as_secs_f64() / 1e6;
        let begun = Instant::now();
        let sending = record(&channel).await.unwrap();
        for _ in 0..MESSAGES {
            sending.send(big(1 << 20)).await.unwrap();
        }
        sending.finish().await.unwrap();
        let requests = speed(begun);
        let begun = Instant::now();
        let mut items = list(&channel, MESSAGES, 1 << 20).await.unwrap();
        while items.next().await.unwrap().is_some() {}
        println!("{trip_ms:14} | {requests:14.0} | {:13.0}", speed(begun));
    }
}
