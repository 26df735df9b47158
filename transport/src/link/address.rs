//! What a target or a bind string names, and the table of schemes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A place that this version can dial or listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A TCP socket in plaintext, `dreammesh+tcp://host:port`.
    Tcp {
        /// A host name or an IP address; an IPv6 address stands without its brackets.
        host: String,
        /// The port; 0 lets the kernel choose when binding.
        port: u16,
    },
    /// TLS on a TCP socket, `dreammesh+tls://host:port`.
    Tls {
        /// A host name or an IP address; an IPv6 address stands without its brackets.
        host: String,
        /// The port; 0 lets the kernel choose when binding.
        port: u16,
    },
    /// QUIC on a UDP socket, `dreammesh+quic://host:port`.
    Quic {
        /// A host name or an IP address; an IPv6 address stands without its brackets.
        host: String,
        /// The port; 0 lets the kernel choose when binding.
        port: u16,
    },
    /// A session inside a request of HTTP/2 in plaintext, `dreammesh+h2c://host:port`, which may
    /// lead through proxies.
    H2c {
        /// A host name or an IP address; an IPv6 address stands without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// The same inside TLS, `dreammesh+h2://host:port`.
    H2 {
        /// A host name or an IP address; an IPv6 address stands without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// TLS on a TCP socket and QUIC on a UDP socket of the same number, `dreammesh://host:port`.
    Secure {
        /// A host name or an IP address; an IPv6 address stands without its brackets.
        host: String,
        /// The port; 0 lets the kernel choose when binding.
        port: u16,
    },
    /// Plain gRPC in plaintext, `grpc://host:port`.
    Grpc {
        /// A host name or an IP address; an IPv6 address stands without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// Plain gRPC inside TLS, `grpcs://host:port`.
    Grpcs {
        /// A host name or an IP address; an IPv6 address stands without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix stream socket, `unix:///path`.
    Unix(PathBuf),
    /// Plain gRPC on a Unix stream socket, `grpc+unix:///path`.
    GrpcUnix(PathBuf),
    /// A name within a [`MemoryHub`](crate::MemoryHub), `memory://name`.
    Memory(String),
    /// Plain gRPC there, `grpc+memory://name`.
    GrpcMemory(String),
}

impl Address {
    /// Reads a bind string, which may also be a bare `host:port`.
    ///
    /// # Errors
    /// Says what is wrong with the string, and which schemes are accepted.
    pub fn parse_bind(text: &str) -> Result<Self, TargetError> {
        if text.contains("://") {
            text.parse()
        } else {
            tcp(text, text)
        }
    }
}

impl FromStr for Address {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(TargetError::new(text, Problem::NoScheme));
        };
        match SCHEMES
            .iter()
            .find(|known| known.name.eq_ignore_ascii_case(scheme))
        {
            None => Err(TargetError::new(text, Problem::UnknownScheme)),
            Some(Scheme { parse: None, .. }) => Err(TargetError::new(text, Problem::NoPlace)),
            Some(Scheme {
                parse: Some(parse), ..
            }) => parse(text, rest),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write_host(f, "dreammesh+tcp", host, *port),
            Self::Tls { host, port } => write_host(f, "dreammesh+tls", host, *port),
            Self::Quic { host, port } => write_host(f, "dreammesh+quic", host, *port),
            Self::H2c { host, port } => write_host(f, "dreammesh+h2c", host, *port),
            Self::H2 { host, port } => write_host(f, "dreammesh+h2", host, *port),
            Self::Secure { host, port } => write_host(f, "dreammesh", host, *port),
            Self::Grpc { host, port } => write_host(f, "grpc", host, *port),
            Self::Grpcs { host, port } => write_host(f, "grpcs", host, *port),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::GrpcUnix(path) => write!(f, "grpc+unix://{}", path.display()),
            Self::Memory(name) => write!(f, "memory://{name}"),
            Self::GrpcMemory(name) => write!(f, "grpc+memory://{name}"),
        }
    }
}

fn write_host(f: &mut fmt::Formatter<'_>, scheme: &str, host: &str, port: u16) -> fmt::Result {
    match host.contains(':') {
        true => write!(f, "{scheme}://[{host}]:{port}"),
        false => write!(f, "{scheme}://{host}:{port}"),
    }
}

/// Whether a target is found by a mesh, and names no place itself.
pub(crate) fn is_resolved(target: &str) -> bool {
    let scheme = target.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("mesh"))
}

/// A line of the scheme table.
#[derive(Clone, Copy, Debug)]
pub struct Scheme {
    /// What stands before `://`.
    pub name: &'static str,
    /// What follows it, for messages.
    pub form: &'static str,
    /// Reads what follows; absent where that names no place, but what a mesh finds.
    parse: Option<Parse>,
}

/// Reads the whole string and what follows its scheme.
type Parse = fn(&str, &str) -> Result<Address, TargetError>;

/// Every scheme this version knows.
pub const SCHEMES: &[Scheme] = &[
    Scheme {
        name: "dreammesh+tcp",
        form: "host:port",
        parse: Some(tcp),
    },
    Scheme {
        name: "dreammesh+h2c",
        form: "host:port",
        parse: Some(h2c),
    },
    Scheme {
        name: "unix",
        form: "/path",
        parse: Some(unix),
    },
    Scheme {
        name: "memory",
        form: "name",
        parse: Some(memory),
    },
    Scheme {
        name: "mesh",
        form: "service",
        parse: None,
    },
    Scheme {
        name: "dreammesh",
        form: "host:port",
        parse: Some(secure),
    },
    Scheme {
        name: "dreammesh+tls",
        form: "host:port",
        parse: Some(tls),
    },
    Scheme {
        name: "dreammesh+quic",
        form: "host:port",
        parse: Some(quic),
    },
    Scheme {
        name: "dreammesh+h2",
        form: "host:port",
        parse: Some(h2),
    },
    Scheme {
        name: "grpc",
        form: "host:port",
        parse: Some(grpc),
    },
    Scheme {
        name: "grpcs",
        form: "host:port",
        parse: Some(grpcs),
    },
    Scheme {
        name: "grpc+unix",
        form: "/path",
        parse: Some(grpc_unix),
    },
    Scheme {
        name: "grpc+memory",
        form: "name",
        parse: Some(grpc_memory),
    },
];

/// A target or bind string that names no place this version can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError {
    target: String,
    problem: Problem,
}

impl TargetError {
    fn new(target: &str, problem: Problem) -> Self {
        Self {
            target: target.to_owned(),
            problem,
        }
    }

    /// Returns the string as it was given.
    pub fn target(&self) -> &str {
        &self.target
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, problem } = self;
        match problem {
            Problem::NoScheme => write!(f, "`{target}` has no scheme")?,
            Problem::UnknownScheme => write!(f, "the scheme of `{target}` is unknown")?,
            Problem::NoPlace => {
                write!(f, "`{target}` is found by a mesh, and names no place")?;
            }
            Problem::Malformed(what) => write!(f, "`{target}` {what}")?,
        }
        f.write_str("; accepted are")?;
        for (index, scheme) in SCHEMES
            .iter()
            .filter(|scheme| scheme.parse.is_some())
            .enumerate()
        {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma} {}://{}", scheme.name, scheme.form)?;
        }
        Ok(())
    }
}

impl std::error::Error for TargetError {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    NoScheme,
    UnknownScheme,
    NoPlace,
    Malformed(&'static str),
}

fn tcp(text: &str, rest: &str) -> Result<Address, TargetError> {
    let (host, port) = host_and_port(text, rest)?;
    Ok(Address::Tcp { host, port })
}

fn tls(text: &str, rest: &str) -> Result<Address, TargetError> {
    let (host, port) = host_and_port(text, rest)?;
    Ok(Address::Tls { host, port })
}

fn secure(text: &str, rest: &str) -> Result<Address, TargetError> {
    let (host, port) = host_and_port(text, rest)?;
    Ok(Address::Secure { host, port })
}

fn quic(text: &str, rest: &str) -> Result<Address, TargetError> {
    let (host, port) = host_and_port(text, rest)?;
    Ok(Address::Quic { host, port })
}

fn h2c(text: &str, rest: &str) -> Result<Address, TargetError> {
    let (host, port) = host_and_port(text, rest)?;
    Ok(Address::H2c { host, port })
}

fn h2(text: &str, rest: &str) -> Result<Address, TargetError> {
    let (host, port) = host_and_port(text, rest)?;
    Ok(Address::H2 { host, port })
}

fn grpc(text: &str, rest: &str) -> Result<Address, TargetError> {
    let (host, port) = host_and_port(text, rest)?;
    Ok(Address::Grpc { host, port })
}

fn grpcs(text: &str, rest: &str) -> Result<Address, TargetError> {
    let (host, port) = host_and_port(text, rest)?;
    Ok(Address::Grpcs { host, port })
}

fn host_and_port(text: &str, rest: &str) -> Result<(String, u16), TargetError> {
    let malformed = |what| TargetError::new(text, Problem::Malformed(what));
    let Some((host, port)) = rest.rsplit_once(':') else {
        return Err(malformed("has no port"));
    };
    let port = port
        .parse()
        .map_err(|_| malformed("has a port that is no number below 65536"))?;
    let host = match host.strip_prefix('[').map(|inner| inner.strip_suffix(']')) {
        Some(Some(inner)) => inner,
        Some(None) => return Err(malformed("opens a bracket and does not close it")),
        None if host.contains(':') => {
            return Err(malformed("has an IPv6 address outside brackets"));
        }
        None => host,
    };
    if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
        return Err(malformed("has no valid host"));
    }
    Ok((host.to_owned(), port))
}

fn unix(text: &str, rest: &str) -> Result<Address, TargetError> {
    socket_path(text, rest).map(Address::Unix)
}

fn grpc_unix(text: &str, rest: &str) -> Result<Address, TargetError> {
    socket_path(text, rest).map(Address::GrpcUnix)
}

fn socket_path(text: &str, rest: &str) -> Result<PathBuf, TargetError> {
    // sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing zero included; the smaller
    // one is checked everywhere so that a path that works on one host works on the next.
    const PATH_BYTES_MAX: usize = 103;
    if !rest.starts_with('/') {
        return Err(TargetError::new(
            text,
            Problem::Malformed("needs an absolute path"),
        ));
    }
    if rest.len() > PATH_BYTES_MAX {
        let what = "has a path of more than 103 bytes, which no Unix socket can have";
        return Err(TargetError::new(text, Problem::Malformed(what)));
    }
    Ok(PathBuf::from(rest))
}

fn memory(text: &str, rest: &str) -> Result<Address, TargetError> {
    name(text, rest).map(Address::Memory)
}

fn grpc_memory(text: &str, rest: &str) -> Result<Address, TargetError> {
    name(text, rest).map(Address::GrpcMemory)
}

fn name(text: &str, rest: &str) -> Result<String, TargetError> {
    match rest.is_empty() {
        true => Err(TargetError::new(text, Problem::Malformed("has no name"))),
        false => Ok(rest.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_accepted_scheme_is_read_and_printed_back() {
        for text in [
            "dreammesh+tcp://shop.example:7443",
            "dreammesh+tcp://[::1]:0",
            "dreammesh+tls://shop.example:7443",
            "dreammesh+tls://[::1]:0",
            "dreammesh+quic://shop.example:7443",
            "dreammesh+quic://[::1]:0",
            "dreammesh+h2c://shop.example:80",
            "dreammesh+h2c://[::1]:80",
            "dreammesh+h2://shop.example:443",
            "dreammesh+h2://[::1]:443",
            "unix:///run/shop.sock",
            "grpc://shop.example:50051",
            "grpcs://[::1]:50051",
            "grpc+unix:///run/shop.sock",
            "memory://shop",
            "grpc+memory://shop",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bind_string_may_be_a_bare_host_and_port() {
        let any = Address::parse_bind("0.0.0.0:7443").unwrap();
        assert_eq!(
            any,
            Address::Tcp {
                host: "0.0.0.0".into(),
                port: 7443
            }
        );
        assert!(Address::parse_bind("unix:///x").is_ok());
    }

    #[test]
    fn what_a_mesh_finds_is_told_apart_from_an_unknown_scheme() {
        let found = "mesh://catalog".parse::<Address>().unwrap_err().to_string();
        assert!(found.contains("names no place"), "{found}");
        assert!(found.contains("dreammesh+tcp://host:port"), "{found}");
        assert!(is_resolved("Mesh://catalog") && !is_resolved("mesh:catalog"));
        let unknown = "ftp://catalog".parse::<Address>().unwrap_err().to_string();
        assert!(unknown.contains("is unknown"), "{unknown}");
    }

    #[test]
    fn malformed_targets_say_what_is_wrong() {
        for (text, what) in [
            ("shop:7443", "has no scheme"),
            ("dreammesh+tcp://shop", "has no port"),
            ("dreammesh+tcp://shop:70000", "no number below 65536"),
            ("dreammesh+tcp://::1:80", "outside brackets"),
            ("dreammesh+tcp://[::1:80", "does not close"),
            ("dreammesh+tcp://:80", "no valid host"),
            ("unix://run/x", "absolute path"),
            ("grpc+unix://run/x", "absolute path"),
            ("memory://", "has no name"),
            ("grpc+memory://", "has no name"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn a_unix_path_is_bounded() {
        let at = format!("unix:///{}", "a".repeat(102));
        assert!(at.parse::<Address>().is_ok());
        assert!(format!("{at}a").parse::<Address>().is_err());
    }
}
