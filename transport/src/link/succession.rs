//! How a server takes a port over from another process that still serves it.
//!
//! Both processes hold a socket of their own on the port, which the kernel allows to processes of
//! one user that set `SO_REUSEPORT`. By itself it would then deal new connections, and packets,
//! out by a hash of their addresses; a rule in its packet filter language says otherwise, and
//! belongs to all sockets of the port together:
//!
//! - As long as the older process serves, everything is for the socket that came first.
//! - Over TCP, the older one says when it drains that whoever comes is for the second. What has
//!   come to its own socket by then is still accepted; closing at once would reset it.
//! - Over UDP, the older one gives each of its connections a socket of its own, which the kernel
//!   prefers for packets of that peer, and closes the one that it shares with the successor.
//!
//! A second start that does not ask for the port fails as it would without all this. That is why
//! the option is set only once a socket is bound.

use std::io;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{
    bind_tcp, bind_udp, connect_udp, descriptors_max, give_way, is_succeeded,
};
#[cfg(target_os = "linux")]
pub(crate) use linux::{bind_tcp, bind_udp, connect_udp, descriptors_max, give_way, is_succeeded};

/// Which port of a host, by which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

/// A port that the kernel is to choose belongs to nobody yet.
fn check_port(port: u16) -> io::Result<()> {
    match port {
        0 => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a server takes over a port that it names",
        )),
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{self, BufRead, BufReader};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::os::fd::AsFd;

    use nix::libc;
    use nix::sys::resource::{Resource, getrlimit};
    use nix::sys::socket::{setsockopt, sockopt};
    use socket2::{Domain, Socket, Type};

    use super::{Protocol, check_port};

    /// Binds a TCP socket and listens, so that a successor can do the same.
    pub(crate) fn bind_tcp(
        socket: &Socket,
        address: SocketAddr,
        backlog: i32,
        take_over: bool,
    ) -> io::Result<()> {
        if take_over {
            check_port(address.port())?;
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        if take_over {
            // Without the rule the kernel deals connections out by hash, which loses none.
            prefer(socket, FIRST);
        }
        // Not sooner: two that start together must not both succeed.
        socket.set_reuse_port(true)
    }

    /// Binds a UDP socket, so that a successor can do the same.
    pub(crate) fn bind_udp(
        socket: &Socket,
        address: SocketAddr,
        take_over: bool,
    ) -> io::Result<()> {
        socket.set_reuse_port(true)?;
        if take_over {
            check_port(address.port())?;
            // The connected sockets of a server that drains are bound so, see `connect_udp`.
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            prefer(socket, FIRST);
            return socket.set_reuse_address(false);
        }
        // The rule is there before a successor can be, so that no packet ever goes astray.
        let has_rule = prefer(socket, FIRST);
        socket.set_reuse_port(false)?;
        socket.bind(&address.into())?;
        // Where there is no such rule, a second socket would be given packets of live connections.
        socket.set_reuse_port(has_rule)
    }

    /// Leaves new connections to the successor, if there is one.
    pub(crate) fn give_way(listener: impl AsFd) {
        prefer(&listener, SECOND);
    }

    /// Whether another socket waits for what comes to this address.
    ///
    /// Where the kernel's table cannot be read, the answer is that there is none.
    pub(crate) fn is_succeeded(address: SocketAddr, protocol: Protocol) -> bool {
        let (file, unconnected) = match (protocol, address.is_ipv4()) {
            (Protocol::Tcp, true) => ("/proc/self/net/tcp", "0A"),
            (Protocol::Tcp, false) => ("/proc/self/net/tcp6", "0A"),
            (Protocol::Udp, true) => ("/proc/self/net/udp", "07"),
            (Protocol::Udp, false) => ("/proc/self/net/udp6", "07"),
        };
        File::open(file).is_ok_and(|file| {
            let wanted = in_table(address);
            let is_one = |line: &io::Result<String>| {
                line.as_ref()
                    .is_ok_and(|line| is_entry(line, &wanted, unconnected))
            };
            BufReader::new(file).lines().filter(is_one).take(2).count() == 2
        })
    }

    /// Whether a line of the table is of such an address in that state.
    fn is_entry(line: &str, address: &str, state: &str) -> bool {
        let mut fields = line.split_ascii_whitespace().skip(1);
        fields.next() == Some(address) && fields.nth(1) == Some(state)
    }

    /// An address as the kernel's tables have it: words as the machine stores them.
    fn in_table(address: SocketAddr) -> String {
        let words = |bytes: &[u8]| {
            let words = bytes.chunks_exact(4).map(|word| {
                let word = word.try_into().expect("a chunk has four bytes");
                format!("{:08X}", u32::from_ne_bytes(word))
            });
            words.collect::<String>()
        };
        let ip = match address.ip() {
            IpAddr::V4(ip) => words(&ip.octets()),
            IpAddr::V6(ip) => words(&ip.octets()),
        };
        format!("{ip}:{:04X}", address.port())
    }

    /// A socket for the packets of one peer alone, on the port of one that is bound to `bound`.
    ///
    /// It is bound to any address at first, where that of the server goes before it; connecting
    /// takes it out of the group to which the rule applies. `local` is the address that the peer
    /// knows, if known.
    ///
    /// # Errors
    /// When there are no more descriptors, or the kernel would send from another address.
    pub(crate) fn connect_udp(
        bound: SocketAddr,
        local: Option<IpAddr>,
        peer: SocketAddr,
    ) -> io::Result<std::net::UdpSocket> {
        let local = local.map(|local| local.to_canonical());
        let any = match bound {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let socket = connected(SocketAddr::new(any, bound.port()), peer)?;
        let chosen = socket.local_addr()?.as_socket();
        let chosen = chosen.map(|chosen| chosen.ip().to_canonical());
        if local.is_none() || chosen == local {
            return Ok(socket.into());
        }
        match local {
            // On a host with several addresses the route's own may be another one.
            Some(local) if bound.ip().is_unspecified() => {
                let local = match (bound, local) {
                    (SocketAddr::V6(_), IpAddr::V4(local)) => local.to_ipv6_mapped().into(),
                    _ => local,
                };
                connected(SocketAddr::new(local, bound.port()), peer).map(Into::into)
            }
            // Bound to that address, it would stay in the group.
            _ => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    fn connected(from: SocketAddr, peer: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(
            Domain::for_address(from),
            Type::DGRAM,
            Some(socket2::Protocol::UDP),
        )?;
        if from.is_ipv6() {
            let _ = socket.set_only_v6(false);
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&from.into())?;
        socket.connect(&peer.into())?;
        // A successor would make a group with this one if it found it first.
        socket.set_reuse_port(false)?;
        Ok(socket)
    }

    /// How many descriptors this process may have.
    pub(crate) fn descriptors_max() -> usize {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// Has whoever is not connected go to the socket of that place in the group; whether it can be
    /// said. A place that there is not means any.
    fn prefer(socket: &impl AsFd, place: u32) -> bool {
        let mut rule = [libc::sock_filter {
            code: RETURN_CONSTANT,
            jt: 0,
            jf: 0,
            k: place,
        }];
        let program = libc::sock_fprog {
            len: 1,
            filter: rule.as_mut_ptr(),
        };
        let set = setsockopt(socket, sockopt::AttachReusePortCbpf, &program);
        set.inspect_err(|error| tracing::debug!(%error, "no rule can be set for the port"))
            .is_ok()
    }

    /// `BPF_RET | BPF_K`.
    const RETURN_CONSTANT: u16 = 0x06;
    const FIRST: u32 = 0;
    const SECOND: u32 = 1;

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn addresses_are_found_in_the_kernels_table() {
            let own = ["127.0.0.1:0", "[::1]:0"];
            for address in own.map(|own| own.parse::<SocketAddr>().unwrap()) {
                let socket = std::net::UdpSocket::bind(address).unwrap();
                let address = socket.local_addr().unwrap();
                assert!(!is_succeeded(address, Protocol::Udp));
                let table = match address {
                    SocketAddr::V4(_) => "/proc/self/net/udp",
                    SocketAddr::V6(_) => "/proc/self/net/udp6",
                };
                let table = std::fs::read_to_string(table).unwrap();
                let wanted = in_table(address);
                let found = table.lines().filter(|line| is_entry(line, &wanted, "07"));
                assert_eq!(found.count(), 1, "{wanted} in {table}");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;
    use std::net::{IpAddr, SocketAddr};

    use socket2::Socket;

    use super::{Protocol, check_port};

    pub(crate) fn bind_tcp(
        socket: &Socket,
        address: SocketAddr,
        backlog: i32,
        take_over: bool,
    ) -> io::Result<()> {
        check(address, take_over)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)
    }

    pub(crate) fn bind_udp(
        socket: &Socket,
        address: SocketAddr,
        take_over: bool,
    ) -> io::Result<()> {
        check(address, take_over)?;
        socket.bind(&address.into())
    }

    fn check(address: SocketAddr, take_over: bool) -> io::Result<()> {
        match take_over {
            true => check_port(address.port()).and(Err(unsupported())),
            false => Ok(()),
        }
    }

    pub(crate) fn give_way<T>(_: T) {}

    pub(crate) fn is_succeeded(_: SocketAddr, _: Protocol) -> bool {
        false
    }

    pub(crate) fn connect_udp(
        _: SocketAddr,
        _: Option<IpAddr>,
        _: SocketAddr,
    ) -> io::Result<std::net::UdpSocket> {
        Err(unsupported())
    }

    pub(crate) fn descriptors_max() -> usize {
        0
    }

    fn unsupported() -> io::Error {
        let text = "only on Linux can a server take over a port that another one serves";
        io::Error::new(io::ErrorKind::Unsupported, text)
    }
}
