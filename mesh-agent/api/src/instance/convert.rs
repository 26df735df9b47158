//! Instances as they travel.

use super::{
    ADDRESSES_MAX, BTreeMap, Check, CheckKind, Host, Instance, InstanceError, InstanceId,
    InstanceStatus, IpAddr, LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_MAX, LAYOUTS_MAX,
    Locality, PORTS_MAX, Port, Protocol, ServiceName, TEXT_BYTES_MAX, WEIGHT_DEFAULT, check_label,
    proto,
};

impl TryFrom<proto::Instance> for Instance {
    type Error = InstanceError;

    /// Checks an instance that came from outside.
    ///
    /// Ports that speak what is not known here are left out, and a state that is not known counts
    /// as down: both come of agents that are newer.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    fn try_from(said: proto::Instance) -> Result<Self, InstanceError> {
        let ports = ports(said.ports)?;
        let addresses = addresses(said.addresses)?;
        if addresses.is_empty() && ports.iter().any(|port| port.number != 0) {
            return Err(InstanceError::NoAddress);
        }
        let weight = said.weight.unwrap_or_else(|| WEIGHT_DEFAULT.into());
        let check = said.check.unwrap_or_default();
        Ok(Self {
            id: InstanceId::new(said.id)?,
            service: ServiceName::new(&said.service, &said.namespace)?,
            version: text("version", said.version)?,
            addresses,
            ports,
            weight: u16::try_from(weight).map_err(|_| InstanceError::Weight(weight))?,
            locality: Locality {
                region: text("region", said.region)?,
                zone: text("zone", said.zone)?,
            },
            labels: labels(said.labels)?,
            layouts: layouts(said.layouts)?,
            status: said.status.into(),
            check: Check {
                kind: check.kind.into(),
                service: text("name of the service to check", check.service)?,
            },
            origin: text("origin", said.origin)?,
            agent: text("name of the agent", said.agent)?,
            host: text("name of the host", said.host)?,
            permit_plaintext: said.permit_plaintext,
        })
    }
}

fn ports(said: Vec<proto::Port>) -> Result<Vec<Port>, InstanceError> {
    if said.len() > PORTS_MAX {
        return Err(InstanceError::Ports);
    }
    let mut ports: Vec<Port> = Vec::with_capacity(said.len());
    for port in said {
        let protocol = match port.protocol {
            proto::Protocol::GRPC => Protocol::Grpc,
            proto::Protocol::DREAMMESH | proto::Protocol::UNSPECIFIED => Protocol::DreamMesh,
            _ => continue,
        };
        let number =
            u16::try_from(port.number).map_err(|_| InstanceError::PortNumber(port.number))?;
        let unix_path = text("path of the socket", port.unix_path)?;
        if number == 0 && unix_path.is_empty() {
            return Err(InstanceError::PortNumber(0));
        }
        if !unix_path.is_empty() && !unix_path.starts_with('/') {
            return Err(InstanceError::SocketPath(unix_path));
        }
        if !port.name.is_empty() {
            check_label("port", &port.name)?;
        }
        if ports.iter().any(|other| *other.name == *port.name) {
            return Err(InstanceError::SamePort(port.name.into()));
        }
        ports.push(Port {
            name: port.name.into(),
            number,
            protocol,
            tls: port.tls,
            unix_path,
        });
    }
    if ports.is_empty() {
        return Err(InstanceError::NoPort);
    }
    Ok(ports)
}

fn addresses(said: Vec<String>) -> Result<Vec<Host>, InstanceError> {
    if said.len() > ADDRESSES_MAX {
        return Err(InstanceError::Addresses);
    }
    said.iter().map(|text| text.parse()).collect()
}

fn labels(said: BTreeMap<String, String>) -> Result<BTreeMap<Box<str>, Box<str>>, InstanceError> {
    if said.len() > LABELS_MAX {
        return Err(InstanceError::Labels);
    }
    let label = |(name, value): (String, String)| {
        if name.is_empty() || name.len() > LABEL_NAME_BYTES_MAX {
            Err(InstanceError::LabelName)
        } else if value.len() > LABEL_VALUE_BYTES_MAX {
            Err(InstanceError::LabelValue(name.into()))
        } else {
            Ok((name.into(), value.into()))
        }
    };
    said.into_iter().map(label).collect()
}

fn layouts(said: Vec<proto::Layouts>) -> Result<BTreeMap<Box<str>, [u8; 16]>, InstanceError> {
    if said.len() > LAYOUTS_MAX {
        return Err(InstanceError::Layouts);
    }
    let layout = |said: proto::Layouts| {
        let service = text("name of a service", said.service)?;
        match <[u8; 16]>::try_from(&said.hash[..]) {
            Ok(hash) => Ok((service, hash)),
            Err(_) => Err(InstanceError::LayoutHash(service)),
        }
    };
    said.into_iter().map(layout).collect()
}

fn text(what: &'static str, text: String) -> Result<Box<str>, InstanceError> {
    if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(InstanceError::Text(what));
    }
    Ok(text.into())
}

impl std::str::FromStr for Host {
    type Err = InstanceError;

    /// Takes an IP address, without brackets, or a host name (RFC 1123, 2.1).
    fn from_str(text: &str) -> Result<Self, InstanceError> {
        let wrong = || InstanceError::Address(text.into());
        if let Ok(address) = text.parse::<IpAddr>() {
            if address.is_unspecified() || address.is_multicast() {
                return Err(wrong());
            }
            return Ok(Self::Ip(address));
        }
        let is_label = |label: &str| {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len())
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // What ends in a number is a wrong IP address, and no name (RFC 3696, 2).
        let ends_in_number = |text: &str| {
            let last = text.rsplit('.').next().unwrap_or(text);
            last.bytes().all(|byte| byte.is_ascii_digit())
        };
        if text.len() > 253 || !text.split('.').all(is_label) || ends_in_number(text) {
            return Err(wrong());
        }
        Ok(Self::Name(text.into()))
    }
}

impl From<proto::InstanceStatus> for InstanceStatus {
    fn from(said: proto::InstanceStatus) -> Self {
        match said {
            proto::InstanceStatus::UNSPECIFIED | proto::InstanceStatus::UP => Self::Up,
            proto::InstanceStatus::STARTING => Self::Starting,
            proto::InstanceStatus::DRAINING => Self::Draining,
            proto::InstanceStatus::MAINTENANCE => Self::Maintenance,
            _ => Self::Down,
        }
    }
}

impl From<InstanceStatus> for proto::InstanceStatus {
    fn from(status: InstanceStatus) -> Self {
        match status {
            InstanceStatus::Up => Self::UP,
            InstanceStatus::Starting => Self::STARTING,
            InstanceStatus::Draining => Self::DRAINING,
            InstanceStatus::Maintenance => Self::MAINTENANCE,
            InstanceStatus::Down => Self::DOWN,
        }
    }
}

impl From<proto::CheckKind> for CheckKind {
    /// A kind that is not known here becomes the fitting one.
    fn from(said: proto::CheckKind) -> Self {
        match said {
            proto::CheckKind::NONE => Self::None,
            proto::CheckKind::TCP => Self::Tcp,
            proto::CheckKind::GRPC => Self::Grpc,
            proto::CheckKind::SESSION => Self::Session,
            _ => Self::Fitting,
        }
    }
}

impl From<CheckKind> for proto::CheckKind {
    fn from(kind: CheckKind) -> Self {
        match kind {
            CheckKind::Fitting => Self::UNSPECIFIED,
            CheckKind::None => Self::NONE,
            CheckKind::Tcp => Self::TCP,
            CheckKind::Grpc => Self::GRPC,
            CheckKind::Session => Self::SESSION,
        }
    }
}

impl From<&Instance> for proto::Instance {
    fn from(instance: &Instance) -> Self {
        let labels = instance.labels.iter();
        let labels = labels.map(|(name, value)| (name.to_string(), value.to_string()));
        let layouts = instance
            .layouts
            .iter()
            .map(|(service, hash)| proto::Layouts {
                service: service.to_string(),
                hash: hash.to_vec().into(),
                ..Default::default()
            });
        let address = |host: &Host| match host {
            Host::Ip(address) => address.to_string(),
            Host::Name(name) => name.to_string(),
        };
        Self {
            id: instance.id.to_string(),
            service: instance.service.name().to_owned(),
            namespace: instance.service.namespace().to_owned(),
            version: instance.version.to_string(),
            addresses: instance.addresses.iter().map(address).collect(),
            ports: instance.ports.iter().map(Into::into).collect(),
            weight: (instance.weight != WEIGHT_DEFAULT).then_some(instance.weight.into()),
            region: instance.locality.region.to_string(),
            zone: instance.locality.zone.to_string(),
            labels: labels.collect(),
            layouts: layouts.collect(),
            status: instance.status.into(),
            check: (instance.check != Check::default()).then(|| proto::Check {
                kind: instance.check.kind.into(),
                service: instance.check.service.to_string(),
                ..Default::default()
            }),
            origin: instance.origin.to_string(),
            agent: instance.agent.to_string(),
            host: instance.host.to_string(),
            permit_plaintext: instance.permit_plaintext,
            ..Default::default()
        }
    }
}

impl From<&Port> for proto::Port {
    fn from(port: &Port) -> Self {
        Self {
            name: port.name.to_string(),
            number: port.number.into(),
            protocol: match port.protocol {
                Protocol::DreamMesh => proto::Protocol::DREAMMESH,
                Protocol::Grpc => proto::Protocol::GRPC,
            },
            tls: port.tls,
            unix_path: port.unix_path.to_string(),
            ..Default::default()
        }
    }
}
