//! UDP sockets, and what the kernel gave of the buffers that were asked for.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::link::succession;

/// A bound socket and the sizes of its buffers, as the kernel says.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) socket: UdpSocket,
    /// What was asked for.
    pub(super) asked_bytes: usize,
    /// What there is for packets that were received and not yet read.
    pub(super) receive_bytes: usize,
    /// What there is for packets that were sent and not yet taken by the device.
    pub(super) send_bytes: usize,
}

impl Bound {
    /// Whether the kernel gave less than was asked for.
    pub(super) fn is_short(&self) -> bool {
        self.receive_bytes.min(self.send_bytes) < self.asked_bytes
    }

    /// Tells the operator that packets may be dropped in bursts.
    pub(super) fn warn(&self) {
        tracing::warn!(
            asked_bytes = self.asked_bytes,
            receive_bytes = self.receive_bytes,
            send_bytes = self.send_bytes,
            "the kernel gave the socket smaller buffers than were asked for, so bursts may lose \
             packets; on Linux, raise net.core.rmem_max and net.core.wmem_max"
        );
    }
}

/// Binds a socket, asks for its buffers and reads back what they are.
pub(super) fn bind(address: SocketAddr, buffer_bytes: Option<usize>) -> io::Result<Bound> {
    bind_by(address, buffer_bytes, |socket| socket.bind(&address.into()))
}

/// The same for a server, which can be succeeded, and may take over from one that still serves the
/// port.
pub(super) fn bind_served(
    address: SocketAddr,
    buffer_bytes: Option<usize>,
    take_over: bool,
) -> io::Result<Bound> {
    bind_by(address, buffer_bytes, |socket| {
        succession::bind_udp(socket, address, take_over)
    })
}

fn bind_by(
    address: SocketAddr,
    buffer_bytes: Option<usize>,
    bind: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<Bound> {
    let asked_bytes = buffer_bytes.unwrap_or(BUFFER_BYTES);
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // A system that cannot serve both families from one socket serves IPv6 alone.
        let _ = socket.set_only_v6(false);
    }
    // Less than was asked for is no reason to fail; it is read back.
    let _ = socket.set_recv_buffer_size(asked_bytes);
    let _ = socket.set_send_buffer_size(asked_bytes);
    bind(&socket)?;
    Ok(Bound {
        receive_bytes: usable(socket.recv_buffer_size()?),
        send_bytes: usable(socket.send_buffer_size()?),
        asked_bytes,
        socket: socket.into(),
    })
}

/// Linux doubles what is asked for, to have room for its own bookkeeping, and says the double.
const fn usable(reported_bytes: usize) -> usize {
    if cfg!(target_os = "linux") {
        reported_bytes / 2
    } else {
        reported_bytes
    }
}

/// What a burst of a few connections fills: four lanes' windows.
///
/// Linux gives an ordinary process no more than `net.core.rmem_max`, by default 208 KiB, in which
/// some 90 full packets have room.
const BUFFER_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffers_are_read_back_and_a_short_one_is_known() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let modest = bind(any, Some(16 << 10)).unwrap();
        assert!(!modest.is_short(), "{modest:?}");
        // No kernel gives an ordinary process a buffer of 1 GiB.
        let greedy = bind(any, Some(1 << 30)).unwrap();
        assert!(greedy.is_short(), "{greedy:?}");
        assert!(greedy.receive_bytes > 0 && greedy.send_bytes > 0);
    }
}
