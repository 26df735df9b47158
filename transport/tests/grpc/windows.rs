//! Answers that nobody reads.

use std::future::poll_fn;
use std::task::{Context, Waker};

use bytes::Bytes;
use h2::SendStream;

use crate::raw::{Site, framed, list, protobuf, trailers, unary};

/// What the client takes of a call that is not read, and of all together.
const CALL_WINDOW_BYTES: usize = 4 << 20;
const CONNECTION_WINDOW_BYTES: usize = 64 << 20;

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
    let all = Bytes::from(message.repeat(5));
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
    assert_eq!(read, 5);
}
