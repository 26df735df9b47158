//! Raw byte echo: what the sockets alone allow, with no message, call or task at all.
//!
//! Each connection keeps its share of the outstanding messages in flight, of the size that the
//! workload's message has as protobuf, and sends as many as have come back in one go. So both
//! ends batch as well as any protocol could.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf,
};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::failure::Failure;
use crate::machine;
use crate::meter::Meter;
use crate::run::{Lanes, Seen, Task};
use crate::system::{Ready, System, Work};
#[cfg(feature = "tls")]
use crate::tls;
use crate::transport::{Address, Transport};
use crate::workload::Workload;

/// The byte echo.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Echo;

#[cfg(feature = "tls")]
const TRANSPORTS: &[Transport] = &[Transport::Tcp, Transport::Unix, Transport::Tls];
#[cfg(not(feature = "tls"))]
const TRANSPORTS: &[Transport] = &[Transport::Tcp, Transport::Unix];

/// What one read takes at most; larger ones gave no more bytes per second.
const BUFFER_BYTES: usize = 256 * 1024;

impl System for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["tokio"]
    }

    fn settings(&self) -> &'static str {
        "bytes sent back: no framing, no calls; reads of up to 256 KiB"
    }

    fn transports(&self) -> &'static [Transport] {
        TRANSPORTS
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
                    tokio::spawn(return_bytes(stream));
                }
            }
            #[cfg(feature = "tls")]
            let acceptor = match transport {
                Transport::Tls => Some(tls::acceptor()?),
                _ => None,
            };
            let listener = (TcpListener::bind("127.0.0.1:0").await).map_err(binding)?;
            ready(Address::Port(listener.local_addr().map_err(binding)?));
            loop {
                let accepted = listener.accept().await;
                let (stream, _) = accepted.map_err(Failure::io("accepting"))?;
                stream.set_nodelay(true).map_err(binding)?;
                #[cfg(feature = "tls")]
                if let Some(acceptor) = acceptor.clone() {
                    tokio::spawn(async move { return_bytes(acceptor.accept(stream).await?).await });
                    continue;
                }
                tokio::spawn(return_bytes(stream));
            }
        })
    }

    fn load<'a>(&'a self, task: &'a Task) -> Work<'a, Seen> {
        Box::pin(async move {
            let mut lanes = Lanes::of(task.workload);
            for _ in 0..task.workload.connections {
                match &task.address {
                    Address::Port(address) => {
                        let stream = TcpStream::connect(address).await.map_err(connecting)?;
                        stream.set_nodelay(true).map_err(connecting)?;
                        #[cfg(feature = "tls")]
                        if task.transport == Transport::Tls {
                            let stream = tls::connect(stream).await?;
                            lanes.start(|meter| bounce(stream, task.workload, meter));
                            continue;
                        }
                        lanes.start(|meter| bounce(stream, task.workload, meter));
                    }
                    Address::Path(path) => {
                        let stream = UnixStream::connect(path).await.map_err(connecting)?;
                        lanes.start(|meter| bounce(stream, task.workload, meter));
                    }
                }
            }
            lanes.run(task.plan).await
        })
    }
}

fn binding(error: io::Error) -> Failure {
    Failure::io("binding")(error)
}

fn connecting(error: io::Error) -> Failure {
    Failure::io("connecting")(error)
}

/// Sends everything back until the client leaves.
///
/// # Errors
/// When it leaves with bytes still on their way, which is how it usually ends.
pub async fn return_bytes<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            filled => {
                stream.write_all(&buffer[..filled]).await?;
                stream.flush().await?;
            }
        }
    }
}

/// Keeps one connection's share of a workload's messages in flight, and counts those that return.
///
/// # Errors
/// When the connection breaks.
pub fn bounce<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    workload: &Workload,
    meter: Meter,
) -> impl Future<Output = Result<u64, Failure>> + use<S> {
    let depth = workload.concurrency / workload.connections;
    let message = vec![7; workload.message.bytes()];
    async move {
        let (reader, writer) = tokio::io::split(stream);
        let mut flight = Flight {
            reader,
            writer,
            buffer: vec![0; BUFFER_BYTES],
            outgoing: message.repeat(depth.min(BUFFER_BYTES / message.len() + 1)),
            owed: message.len() * depth,
            message_bytes: message.len(),
            partial: 0,
            batches: VecDeque::from([(machine::now(), depth)]),
            meter,
        };
        std::future::poll_fn(|cx| flight.poll(cx))
            .await
            .map_err(Failure::io("bouncing bytes"))
    }
}

/// One connection's bytes under way.
struct Flight<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    buffer: Vec<u8>,
    /// Whole messages to write from, again and again.
    outgoing: Vec<u8>,
    /// Bytes that are to be written before the window is full again.
    owed: usize,
    message_bytes: usize,
    /// Bytes of a message that has returned in part; less than `message_bytes`.
    partial: usize,
    /// When messages were sent, and how many of those have yet to return.
    batches: VecDeque<(Instant, usize)>,
    meter: Meter,
}

impl<S: AsyncRead + AsyncWrite> Flight<S> {
    /// Writes and reads until neither goes on; ready with the count once the phase is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        loop {
            let wrote = self.poll_write(cx)?;
            let mut into = ReadBuf::new(&mut self.buffer);
            let read = Pin::new(&mut self.reader).poll_read(cx, &mut into)?;
            let filled = into.filled().len();
            match read {
                Poll::Ready(()) if filled == 0 => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Poll::Ready(()) => {
                    if self.take(filled) {
                        return Poll::Ready(Ok(self.meter.counted()));
                    }
                }
                Poll::Pending if !wrote => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }

    /// Writes what is owed as far as that goes; whether anything was written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut wrote = false;
        while self.owed > 0 {
            let most = self.owed.min(self.outgoing.len());
            match Pin::new(&mut self.writer).poll_write(cx, &self.outgoing[..most])? {
                Poll::Ready(written) => {
                    self.owed -= written;
                    wrote = true;
                }
                Poll::Pending => break,
            }
        }
        if wrote {
            // What a layer below still holds back goes out when this is polled the next time.
            let _ = Pin::new(&mut self.writer).poll_flush(cx)?;
        }
        Ok(wrote)
    }

    /// Takes in bytes that have returned and owes as many messages anew; whether the lane is over.
    fn take(&mut self, filled: usize) -> bool {
        let mut back = (self.partial + filled) / self.message_bytes;
        self.partial = (self.partial + filled) % self.message_bytes;
        self.owed += back * self.message_bytes;
        if back > 0 {
            let now = machine::now();
            if let Some((sent, _)) = self.batches.front() {
                self.meter.returned(back as u64, now - *sent);
            }
            self.batches.push_back((now, back));
        }
        while back > 0 {
            let Some((_, left)) = self.batches.front_mut() else {
                break;
            };
            let taken = back.min(*left);
            *left -= taken;
            back -= taken;
            if *left == 0 {
                self.batches.pop_front();
            }
        }
        self.meter.over()
    }
}
