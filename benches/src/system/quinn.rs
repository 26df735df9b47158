//! Raw quinn: QUIC with bytes in place of messages, in the two ways that calls can use it.
//!
//! *A stream a call*: what an RPC library gets that maps calls to streams. *One stream*: all bytes
//! on a single stream, as the byte echo of TCP has it, with whatever batching that allows. Both
//! with quinn's defaults for windows and path MTU; its bound on concurrent streams is raised to
//! what the workloads need. Its loss detection, pacing and encryption are always on.

use bytes::Bytes;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig, TransportConfig, VarInt};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::client::Client;
use crate::failure::Failure;
use crate::handler::Handler;
use crate::message::{blob, order, small};
use crate::run::{self, Lanes, Seen, Task};
use crate::system::echo::{bounce, return_bytes};
use crate::system::{Ready, System, Work};
use crate::tls;
use crate::transport::{Address, Transport};
use crate::workload::Workload;

/// Raw quinn.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Quinn {
    name: &'static str,
    settings: &'static str,
    stream_per_call: bool,
}

impl Quinn {
    /// A stream for each call.
    pub const STREAM_PER_CALL: Self = Self {
        name: "quinn-stream-per-call",
        settings: "a stream a call, bytes in place of messages; up to 2,048 streams at once",
        stream_per_call: true,
    };
    /// One stream for everything.
    pub const ONE_STREAM: Self = Self {
        name: "quinn-one-stream",
        settings: "bytes sent back on one stream; reads of up to 256 KiB",
        stream_per_call: false,
    };
}

/// More than any workload has outstanding.
const STREAMS_MAX: u32 = 2048;
const PROTOCOL: &[u8] = b"bench";
const BYTES_MAX: usize = 16 << 20;

impl System for Quinn {
    fn name(&self) -> &'static str {
        self.name
    }

    fn packages(&self) -> &'static [&'static str] {
        &["quinn", "rustls", "aws-lc-rs"]
    }

    fn settings(&self) -> &'static str {
        self.settings
    }

    fn transports(&self) -> &'static [Transport] {
        &[Transport::Quic]
    }

    fn skips(&self, _transport: Transport, workload: &Workload) -> Option<&'static str> {
        (!workload.suits_floors()).then_some("bytes that are sent back make no such calls")
    }

    fn is_floor(&self) -> bool {
        true
    }

    fn serve<'a>(
        &'a self,
        _transport: Transport,
        _workload: &'static Workload,
        ready: Ready<'a>,
    ) -> Work<'a, ()> {
        Box::pin(async move {
            let crypto =
                QuicServerConfig::try_from(tls::server(PROTOCOL)?).map_err(Failure::call)?;
            let mut config = ServerConfig::with_crypto(Arc::new(crypto));
            let mut transport = TransportConfig::default();
            transport.max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX));
            config.transport_config(Arc::new(transport));
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let endpoint = Endpoint::server(config, any).map_err(Failure::io("binding"))?;
            ready(Address::Port(
                endpoint.local_addr().map_err(Failure::io("binding"))?,
            ));
            while let Some(incoming) = endpoint.accept().await {
                let connection = incoming.await.map_err(Failure::call)?;
                tokio::spawn(serve(connection, self.stream_per_call));
            }
            Ok(())
        })
    }

    fn load<'a>(&'a self, task: &'a Task) -> Work<'a, Seen> {
        Box::pin(async move {
            let address = task.address.port()?;
            if self.stream_per_call {
                return run::rpc(task, move || Caller::connect(address)).await;
            }
            let mut lanes = Lanes::of(task.workload);
            let mut callers = Vec::new();
            for _ in 0..task.workload.connections {
                let caller = Caller::connect(address).await?;
                let (send, receive) = caller.connection.open_bi().await.map_err(Failure::call)?;
                let stream = tokio::io::join(receive, send);
                lanes.start(|meter| bounce(stream, task.workload, meter));
                callers.push(caller);
            }
            lanes.run(task.plan).await
        })
    }
}

/// Answers the streams of one connection until the client leaves.
async fn serve(connection: Connection, stream_per_call: bool) {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        if !stream_per_call {
            tokio::spawn(return_bytes(tokio::io::join(receive, send)));
            continue;
        }
        tokio::spawn(async move {
            let bytes = receive
                .read_to_end(BYTES_MAX)
                .await
                .map_err(Failure::call)?;
            send.write_chunk(bytes.into())
                .await
                .map_err(Failure::call)?;
            send.finish().map_err(Failure::call)
        });
    }
}

/// A connection of its own, on a socket of its own.
#[derive(Clone)]
struct Caller {
    connection: Connection,
    payloads: Arc<blob::Payloads>,
    /// Kept, since it drives the connection.
    _endpoint: Endpoint,
}

impl Caller {
    async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let crypto = QuicClientConfig::try_from(tls::client(PROTOCOL)?).map_err(Failure::call)?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint = Endpoint::client(any).map_err(Failure::io("binding"))?;
        let config = ClientConfig::new(Arc::new(crypto));
        let connecting = endpoint.connect_with(config, address, tls::NAME);
        let connection = connecting.map_err(Failure::call)?.await;
        Ok(Self {
            connection: connection.map_err(Failure::call)?,
            payloads: Arc::default(),
            _endpoint: endpoint,
        })
    }

    /// There and back.
    async fn bounce(&self, bytes: Bytes) -> Result<Vec<u8>, Failure> {
        let stream = self.connection.open_bi().await;
        let (mut send, mut receive) = stream.map_err(Failure::call)?;
        send.write_chunk(bytes).await.map_err(Failure::call)?;
        send.finish().map_err(Failure::call)?;
        receive.read_to_end(BYTES_MAX).await.map_err(Failure::call)
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
        let answer = self.bounce(self.payloads.of(bytes)).await?;
        blob::read(&answer).expect(blob::digest(bytes))
    }
}
