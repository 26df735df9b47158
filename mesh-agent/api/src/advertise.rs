//! Where others reach a server, by what it is bound to and what it is told.

use std::net::IpAddr;

use crate::instance::{ADDRESSES_MAX, Host, Port, Protocol};

/// A place that somebody said others are to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advertised {
    host: Host,
    port: Option<u16>,
}

impl Advertised {
    /// Takes `host` or `host:port`; an IPv6 address before a port stands in brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let inner = |text: &str| {
            let inner = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
            inner.unwrap_or(text).parse().ok()
        };
        if let Some(host) = inner(text) {
            return Some(Self { host, port: None });
        }
        let (host, port) = text.rsplit_once(':')?;
        // Without brackets it cannot be told where such an address ends.
        if host.contains(':') && !host.starts_with('[') {
            return None;
        }
        Some(Self {
            host: inner(host)?,
            port: Some(port.parse().ok().filter(|port| *port != 0)?),
        })
    }
}

/// What a server is bound to, as an instance says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) ports: Vec<Port>,
    /// None if it is reached wherever its host is.
    pub(crate) addresses: Option<Vec<Host>>,
}

/// One thing that is bound.
struct Bound {
    ip: Option<IpAddr>,
    number: u16,
    tls: bool,
}

impl Places {
    /// Of the targets of a server, in the order in which they were bound.
    ///
    /// The first port is the one that targets mean which name none; others are called by their
    /// numbers. A port that is bound to other addresses than the first is left out: an instance's
    /// ports are at all of its addresses.
    pub(crate) fn of(targets: &[String], advertised: Option<&Advertised>) -> Self {
        let bound: Vec<Bound> = targets.iter().filter_map(|target| bound(target)).collect();
        let mut ports: Vec<Port> = Vec::new();
        let first = bound.first().and_then(|first| first.ip);
        let mut ips = Vec::new();
        for it in &bound {
            let known = ports.iter().any(|port| port.number == it.number);
            if known && ports[0].number == it.number {
                ips.push(it.ip);
            }
            if known {
                continue;
            }
            if it.ip != first {
                tracing::warn!(
                    port = it.number,
                    "a port is not announced: it has another address"
                );
                continue;
            }
            let mut port = Port::new(it.number, Protocol::DreamMesh);
            port.tls = it.tls;
            if !ports.is_empty() {
                port.name = format!("p{}", it.number).into();
            }
            ports.push(port);
            if ports.len() == 1 {
                ips.push(it.ip);
            }
        }
        let socket = targets
            .iter()
            .find_map(|target| target.strip_prefix("unix://"));
        if let Some(path) = socket {
            match ports.first_mut() {
                Some(port) => port.unix_path = path.into(),
                None => {
                    let mut port = Port::new(0, Protocol::DreamMesh);
                    port.unix_path = path.into();
                    ports.push(port);
                }
            }
        }
        let mut addresses: Option<Vec<Host>> = ips.into_iter().map(|ip| ip.map(Host::Ip)).collect();
        if let (Some(advertised), Some(port)) = (advertised, ports.first_mut())
            && port.number != 0
        {
            addresses = Some(vec![advertised.host.clone()]);
            port.number = advertised.port.unwrap_or(port.number);
        }
        if let Some(addresses) = &mut addresses {
            addresses.truncate(ADDRESSES_MAX);
        }
        Self { ports, addresses }
    }

    /// Its addresses as they travel; loopback stands for those that only an agent knows.
    pub(crate) fn addresses_or_loopback(&self) -> Vec<String> {
        let text = |host: &Host| match host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.to_string(),
        };
        match &self.addresses {
            Some(addresses) => addresses.iter().map(text).collect(),
            None => vec!["127.0.0.1".to_owned()],
        }
    }
}

/// What a target binds, if that is a port; no address if it is all of them.
fn bound(target: &str) -> Option<Bound> {
    let (scheme, rest) = target.split_once("://")?;
    let tls = match scheme {
        "dreammesh" | "dreammesh+tls" | "dreammesh+quic" | "dreammesh+h2" | "grpcs" => true,
        "dreammesh+tcp" | "dreammesh+h2c" | "grpc" => false,
        _ => return None,
    };
    let (host, port) = rest.rsplit_once(':')?;
    let ip: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    Some(Bound {
        ip: (!ip.is_unspecified()).then_some(ip),
        number: port.parse().ok()?,
        tls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(targets: &[&str], advertised: Option<&str>) -> (Vec<String>, Option<Vec<String>>) {
        let targets: Vec<String> = targets.iter().map(|it| (*it).to_owned()).collect();
        let advertised = advertised.map(|it| Advertised::parse(it).unwrap());
        let places = Places::of(&targets, advertised.as_ref());
        let port = |it: &Port| {
            let tls = if it.tls { "tls" } else { "plain" };
            format!("{}={} {tls} {}", it.name, it.number, it.unix_path)
        };
        let addresses = places.addresses.as_ref();
        let addresses = addresses.map(|all| all.iter().map(ToString::to_string).collect());
        (places.ports.iter().map(port).collect(), addresses)
    }

    fn expect(ports: &[&str], addresses: Option<&[&str]>) -> (Vec<String>, Option<Vec<String>>) {
        let texts = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        (texts(ports), addresses.map(texts))
    }

    #[test]
    fn what_is_bound_is_what_is_announced() {
        let plain = "dreammesh+tcp://10.0.0.7:7443";
        assert_eq!(
            places(&[plain, "unix:///run/x"], None),
            expect(&["=7443 plain /run/x"], Some(&["10.0.0.7"]))
        );
        assert_eq!(
            places(&["dreammesh://127.0.0.1:7443"], None),
            expect(&["=7443 tls "], Some(&["127.0.0.1"]))
        );
        assert_eq!(
            places(
                &["dreammesh+tcp://10.0.0.7:1", "dreammesh+tcp://[::1]:1"],
                None
            ),
            expect(&["=1 plain "], Some(&["10.0.0.7", "[::1]"]))
        );
        assert_eq!(
            places(
                &["dreammesh+tcp://10.0.0.7:1", "dreammesh+tls://10.0.0.7:2"],
                None
            ),
            expect(&["=1 plain ", "p2=2 tls "], Some(&["10.0.0.7"]))
        );
        assert_eq!(
            places(
                &["dreammesh+tcp://10.0.0.7:1", "dreammesh+tcp://10.0.0.8:2"],
                None
            ),
            expect(&["=1 plain "], Some(&["10.0.0.7"]))
        );
        assert_eq!(
            places(&["unix:///run/x", "memory://x"], Some("shop.example")),
            expect(&["=0 plain /run/x"], Some(&[]))
        );
        assert_eq!(places(&["memory://x"], None), expect(&[], Some(&[])));
    }

    #[test]
    fn an_address_that_means_all_is_never_announced() {
        for every in ["dreammesh+tcp://0.0.0.0:7443", "dreammesh+tcp://[::]:7443"] {
            assert_eq!(places(&[every], None), expect(&["=7443 plain "], None));
            assert_eq!(
                places(&[every], Some("shop.example")),
                expect(&["=7443 plain "], Some(&["shop.example"]))
            );
            assert_eq!(
                places(&[every], Some("[2001:db8::1]:443")),
                expect(&["=443 plain "], Some(&["[2001:db8::1]"]))
            );
        }
    }

    #[test]
    fn a_place_is_a_host_and_perhaps_a_port() {
        for right in ["shop", "10.0.0.7", "::1", "[::1]", "shop:1", "[::1]:65535"] {
            assert!(Advertised::parse(right).is_some(), "{right}");
        }
        for wrong in [
            "",
            ":1",
            "0.0.0.0",
            "[::]:1",
            "shop:0",
            "shop:65536",
            "shop:",
            "a b",
            "::1:x",
            "http://shop",
        ] {
            assert_eq!(Advertised::parse(wrong), None, "{wrong}");
        }
    }
}
