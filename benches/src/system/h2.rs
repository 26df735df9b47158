//! Raw h2: one HTTP/2 stream a call, with bytes in place of messages.
//!
//! What HTTP/2 costs before any RPC library comes on top: no codec, no status, no trailers, two
//! header fields a request. Windows of 1 MiB a stream and 4 MiB a connection, as tonic has here,
//! so that flow control never stalls a call. Each stream is answered by a task of its own. The
//! bytes that return are as many as were sent, and their ends are checked.

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::client::Client;
use crate::failure::Failure;
use crate::handler::Handler;
use crate::message::{blob, order, small};
use crate::run::{self, Seen, Task};
use crate::system::{Ready, System, Work};
use crate::transport::{Address, Transport};
use crate::workload::Workload;

/// Raw h2.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct H2;

const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// More than any workload has outstanding.
const STREAMS_MAX: u32 = 2048;

impl System for H2 {
    fn name(&self) -> &'static str {
        "h2-stream-per-call"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["h2"]
    }

    fn settings(&self) -> &'static str {
        "a stream a call, bytes in place of messages; TCP_NODELAY; windows of 1 MiB a stream and \
         4 MiB a connection"
    }

    fn transports(&self) -> &'static [Transport] {
        &[Transport::Tcp, Transport::Unix]
    }

    fn skips(&self, _transport: Transport, workload: &Workload) -> Option<&'static str> {
        (!workload.suits_floors()).then_some("bytes that are sent back make no such calls")
    }

    fn is_floor(&self) -> bool {
        true
    }

    fn serve<'a>(
        &'a self,
        transport: Transport,
        _workload: &'static Workload,
        ready: Ready<'a>,
    ) -> Work<'a, ()> {
        Box::pin(async move {
            if transport == Transport::Unix {
                let path = Address::own_socket();
                let listener = UnixListener::bind(&path).map_err(Failure::io("binding"))?;
                ready(Address::Path(path));
                loop {
                    let accepted = listener.accept().await;
                    let (stream, _) = accepted.map_err(Failure::io("accepting"))?;
                    tokio::spawn(serve(stream));
                }
            }
            let listener = TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.map_err(Failure::io("binding"))?;
            let address = listener.local_addr().map_err(Failure::io("binding"))?;
            ready(Address::Port(address));
            loop {
                let accepted = listener.accept().await;
                let (stream, _) = accepted.map_err(Failure::io("accepting"))?;
                (stream.set_nodelay(true)).map_err(Failure::io("setting TCP_NODELAY"))?;
                tokio::spawn(serve(stream));
            }
        })
    }

    fn load<'a>(&'a self, task: &'a Task) -> Work<'a, Seen> {
        let address = task.address.clone();
        Box::pin(run::rpc(task, move || Caller::connect(address.clone())))
    }
}

/// Answers the streams of one connection until the client leaves.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<(), h2::Error> {
    let mut connection = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .handshake(stream)
        .await?;
    while let Some(call) = connection.accept().await {
        let (request, respond) = call?;
        tokio::spawn(answer(request.into_body(), respond));
    }
    Ok(())
}

async fn answer(body: RecvStream, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let bytes = read(body).await?;
    let stream = respond.send_response(Response::new(()), false)?;
    send(stream, bytes).await
}

/// Reads a body to its end; one that came in one piece is not copied.
async fn read(mut body: RecvStream) -> Result<Bytes, h2::Error> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        if first.is_empty() {
            first = part;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&part);
        }
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

/// Sends a body as its window allows.
async fn send(mut stream: SendStream<Bytes>, mut bytes: Bytes) -> Result<(), h2::Error> {
    stream.reserve_capacity(bytes.len());
    while stream.capacity() < bytes.len() {
        let granted = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let Some(granted) = granted.transpose()? else {
            return Ok(());
        };
        if granted < bytes.len() {
            stream.send_data(bytes.split_to(granted), false)?;
            stream.reserve_capacity(bytes.len());
        }
    }
    stream.send_data(bytes, true)
}

/// A connection of its own.
#[derive(Clone)]
struct Caller {
    requests: SendRequest<Bytes>,
    payloads: std::sync::Arc<blob::Payloads>,
}

impl Caller {
    async fn connect(address: Address) -> Result<Self, Failure> {
        match address {
            Address::Port(address) => {
                let stream = TcpStream::connect(address).await;
                let stream = stream.map_err(Failure::io("connecting"))?;
                (stream.set_nodelay(true)).map_err(Failure::io("setting TCP_NODELAY"))?;
                Self::over(stream).await
            }
            Address::Path(path) => {
                let stream = UnixStream::connect(path).await;
                Self::over(stream.map_err(Failure::io("connecting"))?).await
            }
        }
    }

    async fn over<S>(stream: S) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .handshake(stream)
            .await;
        let (requests, connection) = handshake.map_err(Failure::call)?;
        tokio::spawn(connection);
        Ok(Self {
            requests,
            payloads: std::sync::Arc::default(),
        })
    }

    /// There and back.
    async fn bounce(&self, bytes: Bytes) -> Result<Bytes, h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = http::Uri::from_static("http://localhost/bench");
        let (response, stream) = requests.send_request(request, false)?;
        send(stream, bytes).await?;
        read(response.await?.into_body()).await
    }
}

impl Client for Caller {
    async fn small(&self, _: Handler) -> Result<(), Failure> {
        self.blob(small::PROTOBUF_BYTES).await
    }

    async fn order(&self) -> Result<(), Failure> {
        self.blob(order::PROTOBUF_BYTES).await
    }

    async fn blob(&self, bytes: usize) -> Result<(), Failure> {
        let answer = self.bounce(self.payloads.of(bytes)).await;
        blob::read(&answer.map_err(Failure::call)?).expect(blob::digest(bytes))
    }
}
