//! TCP, in plaintext or below something that encrypts.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use super::{BoxLink, Link, succession};

/// What is asked of the kernel for each TCP socket, and for what else is bound beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TcpOptions {
    /// Send and receive buffer; absent leaves the kernel's automatic tuning on, which is best
    /// almost everywhere.
    pub(crate) buffer_bytes: Option<usize>,
    /// How many accepted connections may wait for the program.
    pub(crate) backlog: u32,
    /// A predecessor may listen on the address still.
    pub(crate) take_over: bool,
}

impl Default for TcpOptions {
    fn default() -> Self {
        // 1024 is what most daemons ask for; Linux cuts it to net.core.somaxconn (4096).
        Self {
            buffer_bytes: None,
            backlog: 1024,
            take_over: false,
        }
    }
}

impl Link for TcpStream {
    fn peer(&self) -> String {
        self.peer_addr()
            .map_or_else(|_| "tcp".to_owned(), |address| address.to_string())
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        places: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            match self.try_read_vectored(places) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn is_plaintext(&self) -> bool {
        // Traffic to the same host stays on it, so nobody on the network can read along.
        !self
            .peer_addr()
            .is_ok_and(|address| address.ip().is_loopback())
    }
}

/// Connects to the host as [`connect`] does, for use in plaintext.
pub(crate) async fn dial(host: &str, port: u16, options: &TcpOptions) -> io::Result<BoxLink> {
    Ok(Box::new(connect(host, port, options).await?))
}

/// Connects to the first address of the host that answers.
pub(crate) async fn connect(host: &str, port: u16, options: &TcpOptions) -> io::Result<TcpStream> {
    let mut failure = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                adopt(&stream, options)?;
                return Ok(stream);
            }
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("the name `{host}` has no address"),
        )
    }))
}

/// Binds the first address of the host that can be bound.
pub(crate) async fn bind(host: &str, port: u16, options: &TcpOptions) -> io::Result<TcpListener> {
    first_of(host, port, |address| bind_address(address, options)).await
}

/// Binds the first address of the host that can be bound, in some way.
pub(crate) async fn first_of<T>(
    host: &str,
    port: u16,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut failure = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        match bind(address) {
            Ok(bound) => return Ok(bound),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("the name `{host}` has no address"),
        )
    }))
}

/// Sets the options that every connected socket gets, dialled or accepted.
pub(crate) fn adopt(stream: &TcpStream, options: &TcpOptions) -> io::Result<()> {
    // Batches are made by the driver; Nagle's delay would only hold the last one back.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    // The session pings too; the kernel's probe covers a connection whose process is stopped.
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)))?;
    set_buffers(&socket, options)
}

fn bind_address(address: SocketAddr, options: &TcpOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // On Windows the option would let another process take the port over.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit the buffers, and the window scale is fixed by the handshake, so
    // they are set before listening.
    set_buffers(&SockRef::from(&socket), options)?;
    let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
    succession::bind_tcp(&socket, address, backlog, options.take_over)?;
    TcpListener::from_std(socket.into())
}

fn set_buffers(socket: &SockRef<'_>, options: &TcpOptions) -> io::Result<()> {
    if let Some(bytes) = options.buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(())
}
