//! What becomes of connections and of the calls on them.

use std::time::Duration;

use dreammesh_core::call::{Begun, Code, Status};
use dreammesh_core::layer::ConnectionEnd;
use h2::Reason;
use h2::server::Builder;
use tokio::io::AsyncWriteExt;

use crate::frames::{
    ACK, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, goaway, greet, read_requests, read_until,
};
use crate::raw::{Site, list, unary};

#[tokio::test]
async fn calls_beyond_the_servers_maximum_wait_within_their_deadline() {
    let site = Site::new().await;
    let mut builder = Builder::new();
    builder.max_concurrent_streams(1);
    let channel = site.channel.clone();
    let first = tokio::spawn(async move { unary(&channel).await });
    let mut peer = site.accept_with(&builder).await;
    let running = peer.call().await;
    let late = unary(&site.channel)
        .timeout(Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(
        (late.code(), late.begun()),
        (Code::DeadlineExceeded, Begun::No)
    );
    let channel = site.channel.clone();
    let second = tokio::spawn(async move { unary(&channel).await });
    tokio::task::yield_now().await;
    running.echo().await;
    first.await.unwrap().unwrap();
    // The one that was given up never came.
    peer.call().await.echo().await;
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_is_let_go_makes_room_for_the_next() {
    let site = Site::new().await;
    let mut builder = Builder::new();
    builder.max_concurrent_streams(1);
    let channel = site.channel.clone();
    let first = tokio::spawn(async move { unary(&channel).await });
    let mut peer = site.accept_with(&builder).await;
    let mut running = peer.call().await;
    for _ in 0..20 {
        let channel = site.channel.clone();
        let next = tokio::spawn(async move { unary(&channel).await });
        next.abort();
    }
    let channel = site.channel.clone();
    let next = tokio::spawn(async move { unary(&channel).await });
    tokio::task::yield_now().await;
    first.abort();
    assert_eq!(running.reset().await, Reason::CANCEL);
    peer.call().await.echo().await;
    next.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_goes_away_finishes_and_new_calls_go_elsewhere() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let first = tokio::spawn(async move { unary(&channel).await });
    let mut peer = site.accept().await;
    let running = peer.call().await;
    peer.go_away();
    // Until the client has heard of it, it may call here; the server then takes it.
    let second = loop {
        let channel = site.channel.clone();
        let next = tokio::spawn(async move { unary(&channel).await });
        tokio::select! {
            call = peer.calls.recv() => {
                call.unwrap().echo().await;
                next.await.unwrap().unwrap();
            }
            successor = site.accept() => break (successor, next),
        }
    };
    let (mut successor, next) = second;
    successor.call().await.echo().await;
    next.await.unwrap().unwrap();
    running.echo().await;
    first.await.unwrap().unwrap();
    let counts = site.channel.connections();
    assert_eq!(counts[0].opened, [("grpc", 2)]);
    assert_eq!(counts[0].medium, Some("grpc"));
}

#[tokio::test]
async fn calls_beyond_the_last_stream_of_a_goodbye_did_not_begin() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let calls = tokio::spawn(async move {
        let (first, second) = tokio::join!(unary(&channel), unary(&channel));
        (first.unwrap_err(), second.unwrap_err())
    });
    let mut stream = site.accept_raw().await;
    greet(&mut stream).await;
    read_requests(&mut stream, 2).await;
    // What came on stream 1 may have begun, and what came on stream 3 has not.
    stream
        .write_all(&goaway(1, Reason::NO_ERROR, b""))
        .await
        .unwrap();
    drop(stream);
    let (first, second) = calls.await.unwrap();
    // Either of them may have been the first.
    let mut begun = [&first, &second].map(|error| format!("{:?}", error.begun()));
    begun.sort();
    assert_eq!(begun, ["Maybe", "No"]);
    assert_eq!(
        (first.code(), second.code()),
        (Code::Unavailable, Code::Unavailable)
    );
}

#[tokio::test]
async fn a_connection_that_is_lost_fails_its_calls_and_is_made_again() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let call = tokio::spawn(async move { list(&channel).await.unwrap().next().await });
    let mut peer = site.accept().await;
    let running = peer.call().await;
    peer.abort(Reason::INTERNAL_ERROR);
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::Unavailable, Begun::Maybe)
    );
    drop(running);
    let channel = site.channel.clone();
    let next = tokio::spawn(async move { unary(&channel).wait_for_ready(true).await });
    site.accept().await.call().await.echo().await;
    next.await.unwrap().unwrap();
    let counts = &site.channel.connections()[0];
    assert_eq!(counts.reconnects, 1);
    let ended: u64 = counts.ended.iter().map(|(_, count)| count).sum();
    assert_eq!(ended, 1);
}

#[tokio::test]
async fn what_a_client_takes_is_said_at_its_beginning() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let _calling = tokio::spawn(async move { unary(&channel).await.map(drop) });
    let mut stream = site.accept_raw().await;
    greet(&mut stream).await;
    let settings = read_until(&mut stream, SETTINGS).await;
    let told: Vec<_> = settings[9..]
        .chunks(6)
        .map(|it| {
            let [a, b, value @ ..] = <[u8; 6]>::try_from(it).unwrap();
            (u16::from_be_bytes([a, b]), u32::from_be_bytes(value))
        })
        .collect();
    // RFC 9113 section 6.5.2: no push, the windows of streams, the longest frame, the header list.
    let frame_bytes = (1 << 20) + 1024;
    let expected = [(2, 0), (4, 2 << 20), (5, frame_bytes), (6, 16 << 10)];
    assert_eq!(told, expected);
    let window = read_until(&mut stream, WINDOW_UPDATE).await;
    let more = u32::from_be_bytes(window[9..].try_into().unwrap());
    assert_eq!(more + 65_535, 32 << 20);
}

#[tokio::test]
async fn what_speaks_no_http_2_is_not_connected() {
    for hello in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\0\0\0\x06\0\0\0\0\0\0\0\0\0",
        b"",
    ] {
        let site = Site::new().await;
        let channel = site.channel.clone();
        let call = tokio::spawn(async move { unary(&channel).await });
        let mut stream = site.accept_raw().await;
        stream.write_all(hello).await.unwrap();
        stream.shutdown().await.unwrap();
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{hello:?}");
        let failed: u64 = site.channel.connections()[0]
            .failed
            .iter()
            .map(|it| it.1)
            .sum();
        assert_eq!(failed, 1, "{hello:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_asked_for_a_sign_of_life_while_calls_run() {
    let second = Duration::from_secs(1);
    let site = Site::with(|connector| connector.keepalive(20 * second, 10 * second)).await;
    let channel = site.channel.clone();
    let call = tokio::spawn(async move { unary(&channel).await.map(drop) });
    let mut stream = site.accept_raw().await;
    greet(&mut stream).await;
    read_requests(&mut stream, 1).await;
    let begun = tokio::time::Instant::now();
    let ping = read_until(&mut stream, PING).await;
    assert!(begun.elapsed() >= 19 * second);
    // It is answered once, and then no more.
    let mut pong = ping.clone();
    pong[4] = ACK;
    stream.write_all(&pong).await.unwrap();
    read_until(&mut stream, PING).await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(
        (error.code(), error.begun()),
        (Code::Unavailable, Begun::Maybe)
    );
    assert!(begun.elapsed() >= 49 * second, "{:?}", begun.elapsed());
    let ended = &site.channel.connections()[0].ended;
    assert!(ended.contains(&(ConnectionEnd::Silent, 1)), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_calls_and_one_by_default_is_not_asked() {
    let second = Duration::from_secs(1);
    let idle = Site::with(|connector| connector.keepalive(20 * second, 10 * second)).await;
    let unset = Site::new().await;
    for (site, runs) in [(&idle, false), (&unset, true)] {
        let channel = site.channel.clone();
        let call = tokio::spawn(async move { unary(&channel).await.map(drop) });
        let mut stream = site.accept_raw().await;
        greet(&mut stream).await;
        read_requests(&mut stream, 1).await;
        if !runs {
            call.abort();
            read_until(&mut stream, RST_STREAM).await;
        }
        // Servers of gRPC punish whoever asks more than every five minutes.
        let quiet = tokio::time::timeout(300 * second, read_until(&mut stream, PING)).await;
        assert!(quiet.is_err(), "{runs}");
        if runs {
            read_until(&mut stream, PING).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_asked_too_often_is_asked_half_as_often() {
    let second = Duration::from_secs(1);
    let site = Site::with(|connector| connector.keepalive(20 * second, 10 * second)).await;
    for interval in [20, 40, 80] {
        let channel = site.channel.clone();
        let call = tokio::spawn(async move { unary(&channel).await.map(drop) });
        let mut stream = site.accept_raw().await;
        greet(&mut stream).await;
        read_requests(&mut stream, 1).await;
        let begun = tokio::time::Instant::now();
        read_until(&mut stream, PING).await;
        let waited = begun.elapsed();
        assert!(
            (interval - 1) * second <= waited && waited < (interval + 2) * second,
            "{waited:?}"
        );
        let calm = goaway(1, Reason::ENHANCE_YOUR_CALM, b"too_many_pings");
        stream.write_all(&calm).await.unwrap();
        drop(stream);
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        assert_ne!(error.status(), &Status::ok());
    }
}

#[tokio::test(start_paused = true)]
async fn only_servers_that_were_asked_mind_it_and_those_that_bear_it_are_asked_again() {
    let second = Duration::from_secs(1);
    let site = Site::with(|connector| connector.keepalive(20 * second, 10 * second)).await;
    let calm = goaway(1, Reason::ENHANCE_YOUR_CALM, b"too_many_somethings");
    let bye = goaway(1, Reason::NO_ERROR, b"");
    let mut waited = Vec::new();
    for (pings, end) in [(0, &calm), (1, &calm), (2, &bye), (1, &bye)] {
        // The pause after a connection that ended at once.
        tokio::time::sleep(second).await;
        let channel = site.channel.clone();
        let call = tokio::spawn(async move { unary(&channel).await.map(drop) });
        let mut stream = site.accept_raw().await;
        greet(&mut stream).await;
        read_requests(&mut stream, 1).await;
        let begun = tokio::time::Instant::now();
        for nth in 0..pings {
            let mut pong = read_until(&mut stream, PING).await;
            if nth == 0 {
                waited.push((begun.elapsed() + second / 2).as_secs());
            }
            pong[4] = ACK;
            stream.write_all(&pong).await.unwrap();
        }
        stream.write_all(end).await.unwrap();
        // What has come is read before the connection is found to be lost.
        tokio::time::sleep(second).await;
        drop(stream);
        call.await.unwrap().unwrap_err();
    }
    assert_eq!(waited, [20, 40, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_connections_at_once_is_not_dialled_without_a_pause() {
    let site = Site::new().await;
    for reason in [Reason::INTERNAL_ERROR, Reason::NO_ERROR] {
        let channel = site.channel.clone();
        let call = tokio::spawn(async move { unary(&channel).await });
        let mut stream = site.accept_raw().await;
        greet(&mut stream).await;
        read_requests(&mut stream, 1).await;
        stream.write_all(&goaway(0, reason, b"")).await.unwrap();
        drop(stream);
        call.await.unwrap().unwrap_err();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let begun = tokio::time::Instant::now();
        let error = unary(&site.channel).await.unwrap_err();
        assert!(error.message().contains("cannot be reached"), "{error}");
        assert_eq!(
            (error.begun(), begun.elapsed()),
            (Begun::No, Duration::ZERO)
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
