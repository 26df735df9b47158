//! Requests of gRPC, gRPC-Web and Connect that are nearly right, over HTTP/1.1 and HTTP/2, to a
//! server: each is answered or its connection ended, within a bound of memory, and the next one
//! that is right is served.
//!
//! The framing of HTTP/2 is that of `h2`'s own client, so that the input is spent on what is in the
//! frames, and since `h2` has debug assertions that a client which breaks the framing can fail.
#![no_main]

#[path = "http_request/asked.rs"]
mod asked;

use std::sync::Arc;
use std::time::Duration;

use asked::{Asked, End, Script};
use bytes::Bytes;
use dreammesh_core::call::{
    Idempotency, MethodInfo, MethodKind, Receiver, Request, Response, Sender, Status,
};
use dreammesh_core::port::Handler;
use dreammesh_core::server::{Service, bidi, client_streaming, server_streaming, unary};
use dreammesh_core::wire::{LayoutHash, Message};
use dreammesh_core::wkt::Any;
use dreammesh_transport::{MemoryHub, Server};
use h2::client::SendRequest;
use http::{HeaderMap, Response as Answer};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

const fn method(path: &'static str, kind: MethodKind) -> MethodInfo {
    let hash = LayoutHash([7; 16]);
    MethodInfo::new(path, kind, Any::LAYOUT, Any::LAYOUT).with_closures(hash, hash)
}

/// The one that may be asked in a query.
static UNARY: MethodInfo =
    method("/f.F/Unary", MethodKind::Unary).with_idempotency(Idempotency::NoSideEffects);
static LIST: MethodInfo = method("/f.F/List", MethodKind::ServerStreaming);
static RECORD: MethodInfo = method("/f.F/Record", MethodKind::ClientStreaming);
static CHAT: MethodInfo = method("/f.F/Chat", MethodKind::Bidi);

#[derive(Debug)]
struct Echo;

impl Service for Echo {
    fn name(&self) -> &'static str {
        "f.F"
    }

    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        let echo = &Arc::new(Self);
        vec![
            unary(echo, &UNARY, |_, request: Request<Any>| async move {
                Ok::<_, Status>(Response::new(request.message()))
            }),
            server_streaming(echo, &LIST, |_, request: Request<Any>, items| async move {
                items.send(request.message()).await
            }),
            client_streaming(echo, &RECORD, |_, mut points: Receiver<Any>| async move {
                let mut last = Any::default();
                while let Some(point) = points.next().await? {
                    last = point.into_owned();
                }
                Ok::<_, Status>(Response::new(last))
            }),
            bidi(echo, &CHAT, |_, mut notes: Receiver<Any>, answers: Sender<Any>| async move {
                while let Some(note) = notes.next().await? {
                    answers.send(note).await?;
                }
                Ok::<_, Status>(())
            }),
        ]
    }
}

/// A server that lasts as long as the process, on a clock that moves when nothing else does.
struct Site {
    runtime: Runtime,
    hub: MemoryHub,
}

thread_local! {
    static SITE: Site = Site::new();
}

impl Site {
    fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without sockets");
        let hub = MemoryHub::new();
        let server = Server::builder().service(Echo).memory(&hub).max_message_bytes(BYTES_MAX);
        let server = server.browser_origins(["https://shop.example"]);
        let server = runtime.block_on(server.bind("memory://fuzz")).expect("it is free");
        runtime.spawn(server.serve());
        Self { runtime, hub }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut script = Script(data);
    SITE.with(|site| {
        let held =
            allocation_counter::measure(|| site.runtime.block_on(attempt(&site.hub, &mut script)));
        assert!(held.bytes_max <= HELD_BYTES_MAX, "{} bytes at once", held.bytes_max);
        let well = async {
            tokio::time::timeout(PATIENCE, is_well(&site.hub)).await.expect("an answer in time");
        };
        site.runtime.block_on(well);
    });
});

/// Makes what the input asks for, and waits until the server is done with it.
async fn attempt(hub: &MemoryHub, script: &mut Script<'_>) {
    let asking = async {
        match script.byte() % 4 {
            0 => one(hub, &Asked::new(script)).await,
            count => two(hub, (0..count).map(|_| Asked::new(script)).collect()).await,
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("an answer or an end");
    // What is still read of requests that were answered is over then, too.
    tokio::time::sleep(LINGERING).await;
}

async fn one(hub: &MemoryHub, asked: &Asked) {
    let mut link = hub.dial("fuzz").expect("it is served");
    let mut head =
        format!("{} {} HTTP/1.1\r\nhost: x\r\n", asked.method, asked.target).into_bytes();
    for (name, value) in &asked.headers {
        head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    let in_chunks = asked.end == End::Trailers;
    match in_chunks {
        true => head.extend(b"transfer-encoding: chunked\r\n"),
        false => head.extend(format!("content-length: {}\r\n", asked.body.len()).bytes()),
    }
    head.extend(b"connection: close\r\n\r\n");
    // A server that has answered need not take the rest.
    let _ = link.write_all(&head).await;
    for piece in asked.pieces() {
        tokio::task::yield_now().await;
        if in_chunks {
            let _ = link.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await;
        }
        let _ = link.write_all(piece).await;
        if in_chunks {
            let _ = link.write_all(b"\r\n").await;
        }
    }
    if in_chunks {
        let _ = link.write_all(b"0\r\nx-end: 1\r\n\r\n").await;
    }
    if asked.end == End::Reset {
        return;
    }
    let mut answer = Vec::new();
    let _ = link.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 "), "every request of HTTP is answered");
}

async fn two(hub: &MemoryHub, all: Vec<Asked>) {
    let link = hub.dial("fuzz").expect("it is served");
    let (requests, connection) = h2::client::handshake(link).await.expect("it speaks HTTP/2");
    let driven = tokio::spawn(connection);
    let calls: Vec<_> =
        all.into_iter().map(|asked| tokio::spawn(call(requests.clone(), asked))).collect();
    drop(requests);
    for call in calls {
        call.await.expect("what is looked for holds");
    }
    // It ends by itself, as nothing runs on it.
    let _ = driven.await;
}

async fn call(mut requests: SendRequest<Bytes>, asked: Asked) {
    let uri = format!("http://x{}", asked.target);
    let mut request = http::Request::builder().method(asked.method).uri(uri);
    for (name, value) in &asked.headers {
        request = request.header(*name, &value[..]);
    }
    // What this side's library does not send is nothing to be tried.
    let Ok(request) = request.body(()) else { return };
    let Ok((answer, mut send)) = requests.send_request(request, false) else { return };
    for piece in asked.pieces() {
        tokio::task::yield_now().await;
        let _ = send.send_data(Bytes::copy_from_slice(piece), false);
    }
    match asked.end {
        End::Whole => drop(send.send_data(Bytes::new(), true)),
        End::Trailers => {
            let trailers = [("x-end", "1")].map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            });
            let _ = send.send_trailers(HeaderMap::from_iter(trailers));
        }
        End::Reset => send.send_reset(h2::Reason::CANCEL),
        End::Open => {}
    }
    let answered = async {
        if let Ok(answer) = answer.await {
            look_at(answer).await;
        }
    };
    // A server waits for the rest of a request for as long as its caller keeps the stream open.
    if tokio::time::timeout(OPEN, answered).await.is_err() {
        assert!(asked.end == End::Open, "a request that has ended is answered");
        send.send_reset(h2::Reason::CANCEL);
    }
}

/// Reads an answer, and sees that it says how the call ended.
async fn look_at(answer: Answer<h2::RecvStream>) {
    let (head, mut stream) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let Ok(data) = data else { return };
        let _ = stream.flow_control().release_capacity(data.len());
        body.extend(data);
    }
    let Ok(trailers) = stream.trailers().await else { return };
    let kind = head.headers.get("content-type").map_or(&b""[..], |it| it.as_bytes());
    if head.status != 200 {
        return;
    }
    if kind.starts_with(b"application/grpc-web") {
        // Trailers that came with the head, or the last message of the body.
        assert!(head.headers.contains_key("grpc-status") || !body.is_empty(), "a status");
    } else if kind.starts_with(b"application/grpc") {
        let said = trailers.as_ref().unwrap_or(&head.headers).get("grpc-status");
        let code = said.and_then(|it| it.to_str().ok()?.parse::<u8>().ok());
        assert!(code.is_some_and(|it| it <= 16), "{said:?}");
    } else if kind.starts_with(b"application/connect+") {
        assert!(last_flag(&body).is_some_and(|it| it & 2 != 0), "the end of the stream");
    }
}

/// The flag of the last message of a body that is made of whole ones.
fn last_flag(mut body: &[u8]) -> Option<u8> {
    let mut last = None;
    while !body.is_empty() {
        let length = u32::from_be_bytes(body.get(1..5)?.try_into().ok()?);
        last = Some(body[0]);
        body = body.get(5 + length as usize..)?;
    }
    last
}

/// Makes a call that is right, and looks at its answer.
async fn is_well(hub: &MemoryHub) {
    let mut link = hub.dial("fuzz").expect("it is served");
    let request = b"POST /f.F/Unary HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        content-type: application/proto\r\ncontent-length: 3\r\n\r\n\x0a\x01a";
    link.write_all(request).await.expect("it is read");
    let mut answer = Vec::new();
    link.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\x0a\x01a"), "it is well");
}

/// The largest message, which the longest inputs exceed.
const BYTES_MAX: u32 = 1_000;
/// Longer than anything that a server waits for.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// How long a request stays open that its caller does not end.
const OPEN: Duration = Duration::from_secs(60);
/// What is read for after an answer, and then some.
const LINGERING: Duration = Duration::from_secs(10);
/// What both sides of a connection and up to three calls on it hold at once, with messages of 1,000
/// bytes: mostly buffers of a size that no input has a say in.
const HELD_BYTES_MAX: u64 = 8 << 20;
