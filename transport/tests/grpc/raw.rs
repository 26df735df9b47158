//! A server of HTTP/2 that hands each request to the test.

use std::future::poll_fn;

use bytes::Bytes;
use dreammesh_core::call::{MethodInfo, MethodKind};
use dreammesh_core::channel::{BidiCall, Channel, ServerStreamingCall, UnaryCall};
use dreammesh_core::wire::{LayoutHash, Message};
use dreammesh_core::wkt::Any;
use dreammesh_transport::Connector;
use h2::server::{Builder, Connection, SendResponse};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const fn method(path: &'static str, kind: MethodKind) -> MethodInfo {
    let hash = LayoutHash([7; 16]);
    MethodInfo::new(path, kind, Any::LAYOUT, Any::LAYOUT).with_closures(hash, hash)
}

pub(crate) static UNARY: MethodInfo = method("/test.Echo/Unary", MethodKind::Unary);
pub(crate) static LIST: MethodInfo = method("/test.Echo/List", MethodKind::ServerStreaming);
pub(crate) static CHAT: MethodInfo = method("/test.Echo/Chat", MethodKind::Bidi);

/// A server, and a channel to it.
pub(crate) struct Site {
    pub(crate) channel: Channel,
    listener: TcpListener,
}

/// One connection of a client.
pub(crate) struct Peer {
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
    orders: mpsc::UnboundedSender<Order>,
}

/// What a test has done to a connection.
enum Order {
    /// To say that nothing that comes from here on is taken, and to go on with what has come.
    GoAway,
    /// To end it with a reason.
    Abort(h2::Reason),
}

/// A request and what answers it.
pub(crate) struct Call {
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(|connector| connector).await
    }

    pub(crate) async fn with(settings: impl FnOnce(Connector) -> Connector) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("grpc://{}", listener.local_addr().unwrap());
        let channel = settings(Connector::new()).connect_lazy(&target).unwrap();
        Self { channel, listener }
    }

    pub(crate) async fn accept(&self) -> Peer {
        self.accept_with(&Builder::new()).await
    }

    pub(crate) async fn accept_with(&self, builder: &Builder) -> Peer {
        Peer::on(self.accept_raw().await, builder).await
    }

    pub(crate) async fn accept_raw(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }
}

impl Peer {
    pub(crate) async fn on<S>(stream: S, builder: &Builder) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = builder.handshake(stream).await.unwrap();
        let (call, calls) = mpsc::unbounded_channel();
        let (orders, ordered) = mpsc::unbounded_channel();
        tokio::spawn(serve(connection, call, ordered));
        Self { calls, orders }
    }

    pub(crate) async fn call(&mut self) -> Call {
        self.calls.recv().await.unwrap()
    }

    pub(crate) fn go_away(&self) {
        let _ = self.orders.send(Order::GoAway);
    }

    pub(crate) fn abort(&self, reason: h2::Reason) {
        let _ = self.orders.send(Order::Abort(reason));
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<S, Bytes>,
    calls: mpsc::UnboundedSender<Call>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::GoAway) => connection.graceful_shutdown(),
                Some(Order::Abort(reason)) => connection.abrupt_shutdown(reason),
                // The test has dropped its end, and the connection goes on without it.
                None => {
                    while let Some(Ok(_)) = connection.accept().await {}
                    return;
                }
            },
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => drop(calls.send(Call { request, respond })),
                _ => return,
            },
        }
    }
}

impl Call {
    /// The whole body of the request, and whether it has ended.
    pub(crate) async fn body(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        while let Some(data) = self.request.body_mut().data().await {
            let data = data.unwrap();
            let flow = self.request.body_mut().flow_control();
            flow.release_capacity(data.len()).unwrap();
            whole.extend_from_slice(&data);
        }
        whole
    }

    /// The beginning of an answer that is gRPC's.
    pub(crate) fn begin(&mut self) -> SendStream<Bytes> {
        self.begin_with(&[])
    }

    pub(crate) fn begin_with(&mut self, headers: &[(&'static str, &str)]) -> SendStream<Bytes> {
        let response = head(200, headers);
        self.respond.send_response(response, false).unwrap()
    }

    /// All of an answer in headers alone.
    pub(crate) fn only(&mut self, status: u16, headers: &[(&'static str, &str)]) {
        let response = head(status, headers);
        self.respond.send_response(response, true).unwrap();
    }

    /// The answer that is right: what was sent.
    pub(crate) async fn echo(mut self) {
        let body = self.body().await;
        let mut send = self.begin();
        send.send_data(body.into(), false).unwrap();
        send.send_trailers(trailers(&[("grpc-status", "0")]))
            .unwrap();
    }

    /// An answer of one message, of text.
    pub(crate) fn echo_of(&mut self, text: &str) {
        let mut send = self.begin();
        send.send_data(framed(0, &protobuf(text)).into(), false)
            .unwrap();
        send.send_trailers(trailers(&[("grpc-status", "0")]))
            .unwrap();
    }

    /// Waits until the client resets the stream, and says why it does.
    pub(crate) async fn reset(&mut self) -> h2::Reason {
        poll_fn(|cx| self.respond.poll_reset(cx)).await.unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    }
}

/// Waits until the client resets the stream of an answer that has begun, and says why it does.
pub(crate) async fn reset(send: &mut SendStream<Bytes>) -> h2::Reason {
    poll_fn(|cx| send.poll_reset(cx)).await.unwrap()
}

fn head(status: u16, headers: &[(&'static str, &str)]) -> Response<()> {
    let mut response = Response::builder().status(status);
    let typed = headers.iter().any(|(name, _)| *name == "content-type");
    if !typed {
        response = response.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap()
}

pub(crate) fn trailers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect()
}

/// A message with its prefix.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

/// A message of text as protobuf: its first field, the only one.
pub(crate) fn protobuf(text: &str) -> Vec<u8> {
    let mut out = vec![0x0a];
    let mut length = text.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(text.as_bytes());
    out
}

pub(crate) fn ask(what: &str) -> Any {
    Any {
        type_url: what.to_owned(),
        ..Any::default()
    }
}

pub(crate) fn unary(channel: &Channel) -> UnaryCall<Any> {
    UnaryCall::new(channel, &UNARY, ask("x"))
}

pub(crate) fn list(channel: &Channel) -> ServerStreamingCall<Any> {
    ServerStreamingCall::new(channel, &LIST, ask("x"))
}

pub(crate) fn chat(channel: &Channel) -> BidiCall<Any, Any> {
    BidiCall::new(channel, &CHAT)
}
