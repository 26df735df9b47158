//! Answers and requests that nobody reads.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use dreammesh_core::channel::UnaryCall;
use dreammesh_core::wkt::Any;
use h2::server::Builder;
use h2::{Reason, SendStream};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::brake::brake;
use crate::frames::{
    ACK, DATA, END_HEADERS, HEADERS, PING, RST_STREAM, frame, goaway, greet, read_frame,
    read_requests, read_until,
};
use crate::raw::{Peer, Site, UNARY, ask, framed, list, protobuf, trailers, unary};

/// What the client takes of a call that is not read, and of all together, before anything was
/// measured.
const CALL_WINDOW_BYTES: usize = 2 << 20;
const CONNECTION_WINDOW_BYTES: usize = 32 << 20;
/// The most that it takes of one call.
const CALL_WINDOW_BYTES_MAX: usize = 16 << 20;
/// The preface of HTTP/2.
const PREFACE_BYTES: usize = 24;

/// Sends all of it as the client takes it.
async fn send_all(send: &mut SendStream<Bytes>, mut data: Bytes) {
    while !data.is_empty() {
        send.reserve_capacity(data.len());
        let room = poll_fn(|cx| send.poll_capacity(cx)).await.unwrap().unwrap();
        let part = data.split_to(room.min(data.len()));
        send.send_data(part, false).unwrap();
    }
}

/// Whether the client takes more of it now.
fn has_room(send: &mut SendStream<Bytes>) -> bool {
    send.reserve_capacity(1);
    let mut cx = Context::from_waker(Waker::noop());
    send.poll_capacity(&mut cx).is_ready()
}

#[tokio::test]
async fn calls_that_nobody_reads_leave_room_for_others() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let unread = CONNECTION_WINDOW_BYTES / CALL_WINDOW_BYTES - 1;
    let calling = tokio::spawn(async move {
        let mut calls = Vec::new();
        for _ in 0..unread {
            calls.push(list(&channel).await.unwrap());
            unary(&channel).await.unwrap();
        }
        // One that is read after all goes on.
        let mut read = 0;
        while calls[0].next().await.unwrap().is_some() {
            read += 1;
        }
        (calls, read)
    });
    let mut peer = site.accept().await;
    let message = framed(0, &protobuf(&"x".repeat(1 << 20)));
    let all = Bytes::from(message.repeat(3));
    let mut sent = Vec::new();
    for _ in 0..unread {
        let mut call = peer.call().await;
        let mut send = call.begin();
        send_all(&mut send, all.slice(..CALL_WINDOW_BYTES)).await;
        assert!(!has_room(&mut send));
        sent.push((call, send));
        peer.call().await.echo().await;
    }
    let (_, send) = &mut sent[0];
    send_all(send, all.slice(CALL_WINDOW_BYTES..)).await;
    send.send_trailers(trailers(&[("grpc-status", "0")]))
        .unwrap();
    let (_, read) = calling.await.unwrap();
    assert_eq!(read, 3);
}

#[tokio::test]
async fn a_server_that_is_far_away_and_fast_has_the_windows_opened_up_to_the_bound() {
    let site = Site::new().await;
    let channel = site.channel.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let calling = tokio::spawn(async move {
        let mut call = list(&channel).await.unwrap();
        let unread = list(&channel).await.unwrap();
        tokio::select! {
            biased;
            _ = stopped => {}
            // Nothing of it is kept.
            () = async { while let Ok(Some(_)) = call.next().await {} } => {}
        }
        unread
    });
    // So that every round trip brings whatever the windows let through, however wide they are.
    let trip_bytes = 2 * CALL_WINDOW_BYTES_MAX as u64;
    let way = brake(site.accept_raw().await, PREFACE_BYTES, trip_bytes);
    let mut settings = Builder::new();
    settings.max_send_buffer_size(4 * CALL_WINDOW_BYTES_MAX);
    let mut peer = Peer::on(way, &settings).await;
    let (mut read, mut unread) = (peer.call().await, peer.call().await);
    let (mut read, mut unread) = (read.begin(), unread.begin());
    let message = Bytes::from(framed(0, &protobuf(&"x".repeat(1 << 20))));
    unread.reserve_capacity(2 * CALL_WINDOW_BYTES_MAX);
    while unread.capacity() < CALL_WINDOW_BYTES_MAX {
        send_all(&mut read, message.clone()).await;
    }
    // It is as wide as it may be, and stays so.
    for _ in 0..64 {
        send_all(&mut read, message.clone()).await;
    }
    assert_eq!(unread.capacity(), CALL_WINDOW_BYTES_MAX);
    stop.send(()).unwrap();
    drop(calling.await.unwrap());
}

/// Makes a call whose request has so many bytes with its prefix, of which the server takes few before
/// it answers; whether the client gives up to send the rest.
async fn gives_up(site: &Site, peer: &mut Peer, bytes: usize) -> bool {
    // The prefix, the tag and the length.
    let text = "x".repeat(bytes - 5 - 1 - 2);
    assert_eq!(framed(0, &protobuf(&text)).len(), bytes);
    let call = UnaryCall::<Any>::new(&site.channel, &UNARY, ask(&text));
    let answering = async {
        let mut call = peer.call().await;
        call.echo_of("y");
        call
    };
    let (answered, mut unread) = tokio::join!(call, answering);
    answered.unwrap();
    // Whatever was said of that call is known when the next one comes.
    let (next, ()) = tokio::join!(unary(&site.channel), async {
        peer.call().await.echo().await;
    });
    next.unwrap();
    let body = unread.request.body_mut();
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match body.poll_data(&mut cx) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => break error.is_reset(),
            Poll::Ready(None) => panic!("it cannot have come whole"),
            Poll::Pending => break false,
        }
    }
}

#[tokio::test]
async fn a_long_request_that_the_server_did_not_want_is_given_up() {
    /// What is kept of a call that has been answered, at most.
    const STUCK_BYTES: usize = 16 << 10;
    let site = Site::new().await;
    let channel = site.channel.clone();
    let first = tokio::spawn(async move { unary(&channel).await });
    let mut builder = Builder::new();
    builder.initial_window_size(1 << 10);
    let mut peer = site.accept_with(&builder).await;
    peer.call().await.echo().await;
    first.await.unwrap().unwrap();
    assert!(!gives_up(&site, &mut peer, STUCK_BYTES - 1).await);
    assert!(gives_up(&site, &mut peer, STUCK_BYTES).await);
}

/// Has so much come on a new connection that it would be worth to know how far away the server is;
/// whether the client asks.
async fn measures(site: &Site) -> (bool, TcpStream) {
    let channel = site.channel.clone();
    let calling = tokio::spawn(async move {
        let mut items = list(&channel).wait_for_ready(true).await.unwrap();
        // The rest of the call is not wanted.
        items.next().await.unwrap().unwrap()
    });
    let mut stream = site.accept_raw().await;
    greet(&mut stream).await;
    read_requests(&mut stream, 1).await;
    // The status 200 of HPACK's table, and a literal that is not indexed.
    let mut head = vec![0x88, 0, 12];
    head.extend(b"content-type");
    head.push(16);
    head.extend(b"application/grpc");
    let text = "x".repeat(CALL_WINDOW_BYTES / 4);
    let message = framed(0, &protobuf(&text));
    let answer = [
        frame(HEADERS, END_HEADERS, 1, &head),
        frame(DATA, 0, 1, &message),
    ];
    stream.write_all(&answer.concat()).await.unwrap();
    // What comes is measured where it is read, before whoever called has it.
    let mut asked = false;
    loop {
        let frame = read_frame(&mut stream).await;
        asked |= frame[3] == PING && frame[4] != ACK;
        if frame[3] == RST_STREAM {
            break;
        }
    }
    calling.await.unwrap();
    (asked, stream)
}

async fn ends(mut stream: TcpStream, reason: Reason, data: &[u8]) {
    stream.write_all(&goaway(1, reason, data)).await.unwrap();
    // What has come is read before the connection is found to be lost, and then there is a pause.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(stream);
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_minds_is_measured_no_more_until_it_is_seen_to_bear_pings() {
    let second = Duration::from_secs(1);
    let site = Site::with(|connector| connector.keepalive(20 * second, 10 * second)).await;
    let (asked, stream) = measures(&site).await;
    assert!(asked);
    ends(stream, Reason::ENHANCE_YOUR_CALM, b"too_many_pings").await;
    for bears in [false, true] {
        let (asked, mut stream) = measures(&site).await;
        assert!(!asked, "{bears}");
        if bears {
            // One sign of life that is asked for, given, and not minded.
            let channel = site.channel.clone();
            let call = tokio::spawn(async move { unary(&channel).await.map(drop) });
            let mut pong = read_until(&mut stream, PING).await;
            pong[4] = ACK;
            stream.write_all(&pong).await.unwrap();
            ends(stream, Reason::NO_ERROR, b"").await;
            call.await.unwrap().unwrap_err();
        } else {
            ends(stream, Reason::NO_ERROR, b"").await;
        }
    }
    let (asked, _stream) = measures(&site).await;
    assert!(asked);
}
