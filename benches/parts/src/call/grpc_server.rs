//! Calls of plain gRPC to a server, from a client that is nothing but `h2`.

use std::hint::black_box;

use bytes::Bytes;
use dreammesh::{MemoryHub, Protobuf, Server};
use h2::client::SendRequest;
use http::Request;
use tokio::runtime::Builder;

use super::{Answers, BATCH};
use crate::Body;
use crate::contract::PartsServer;
use crate::message::small;

/// As many calls at a time as over the other links.
pub(super) fn small_calls() -> Body {
    let message = small().to_protobuf().expect("it is no message of its own");
    let body = [&[0], &(message.len() as u32).to_be_bytes()[..], &message].concat();
    let body = Bytes::from(body);
    // As for the other links, a clock that stands still shows no method to be slow.
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.expect("a runtime without I/O needs memory alone");
    let requests = runtime.block_on(async {
        let hub = MemoryHub::new();
        let server = Server::builder().service(PartsServer::new(Answers::new()));
        let server = server.memory(&hub).bind("memory://parts").await;
        tokio::spawn(server.expect("the hub is empty").serve());
        let link = hub.dial("parts").expect("it is served");
        let (requests, connection) = h2::client::handshake(link).await.expect("it speaks HTTP/2");
        tokio::spawn(connection);
        requests
    });
    Box::new(move || runtime.block_on(calls(&requests, &body)))
}

async fn calls(requests: &SendRequest<Bytes>, body: &Bytes) {
    let mut answers = Vec::with_capacity(BATCH as usize);
    for _ in 0..BATCH {
        let request = Request::post("http://parts/dreammesh.bench.v1.Parts/Small")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a lawful request");
        let mut requests = requests.clone();
        let (answer, mut send) = requests
            .send_request(request, false)
            .expect("there is room");
        send.send_data(body.clone(), true).expect("it is open");
        answers.push(answer);
    }
    for answer in answers {
        let mut answer = answer.await.expect("the handler answers").into_body();
        while let Some(data) = answer.data().await {
            let data = data.expect("a message");
            let _ = answer.flow_control().release_capacity(data.len());
            black_box(data);
        }
        let trailers = answer.trailers().await.expect("the end of a call");
        let status = trailers.as_ref().and_then(|it| it.get("grpc-status"));
        assert_eq!(status.map(|it| it.as_bytes()), Some(&b"0"[..]));
    }
}
