//! The form of a file, as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::proto;

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// None if nothing is said.
    pub(super) services: Option<Vec<Service>>,
}

/// A service and its instances.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    service: String,
    #[serde(default)]
    namespace: String,
    /// None if nothing is said.
    instances: Option<Vec<Spanned<Instance>>>,
}

/// An instance; it has either one port, in its own fields, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Instance {
    id: Option<String>,
    address: Option<String>,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    port: u32,
    #[serde(default)]
    protocol: Protocol,
    #[serde(default)]
    tls: bool,
    #[serde(default)]
    unix_path: String,
    #[serde(default)]
    ports: Vec<Port>,
    weight: Option<u32>,
    #[serde(default)]
    version: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    status: Status,
    #[serde(default)]
    check: Check,
    #[serde(default)]
    check_service: String,
    #[serde(default)]
    permit_plaintext: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Port {
    #[serde(default)]
    name: String,
    #[serde(default)]
    port: u32,
    #[serde(default)]
    protocol: Protocol,
    #[serde(default)]
    tls: bool,
    #[serde(default)]
    unix_path: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    #[default]
    DreamMesh,
    Grpc,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    #[default]
    Up,
    Starting,
    Draining,
    Maintenance,
    Down,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Check {
    #[default]
    Fitting,
    None,
    Tcp,
    Grpc,
    Session,
}

impl Service {
    /// Whether it is said which instances it has, be it that it has none.
    pub(super) const fn says_instances(&self) -> bool {
        self.instances.is_some()
    }

    /// Its instances with their lines, as they would have travelled.
    pub(super) fn instances(self) -> impl Iterator<Item = (u64, proto::Instance)> {
        let Self {
            service,
            namespace,
            instances,
        } = self;
        let instances = instances.unwrap_or_default();
        instances.into_iter().map(move |spanned| {
            let line = spanned.referenced.line();
            (line, spanned.value.into_proto(&service, &namespace))
        })
    }
}

impl Instance {
    fn into_proto(self, service: &str, namespace: &str) -> proto::Instance {
        let mut addresses: Vec<String> = self.address.into_iter().collect();
        addresses.extend(self.addresses);
        let mut ports = self.ports;
        if self.port != 0 || !self.unix_path.is_empty() {
            ports.insert(
                0,
                Port {
                    name: String::new(),
                    port: self.port,
                    protocol: self.protocol,
                    tls: self.tls,
                    unix_path: self.unix_path,
                },
            );
        }
        let id = self.id.unwrap_or_else(|| {
            let first = ports.first();
            let number = first.map_or(0, |port| port.port);
            let namespace = match namespace {
                "" => crate::name::DEFAULT_NAMESPACE,
                namespace => namespace,
            };
            match (addresses.first(), number) {
                (Some(address), 1..) => format!("{service}.{namespace}@{address}:{number}"),
                _ => {
                    let path = first.map_or("", |port| &*port.unix_path);
                    format!("{service}.{namespace}@{path}")
                }
            }
        });
        proto::Instance {
            id,
            service: service.to_owned(),
            namespace: namespace.to_owned(),
            version: self.version,
            addresses,
            ports: ports.into_iter().map(Into::into).collect(),
            weight: self.weight,
            region: self.region,
            zone: self.zone,
            labels: self.labels,
            status: self.status.into(),
            check: Some(proto::Check {
                kind: self.check.into(),
                service: self.check_service,
                ..Default::default()
            }),
            permit_plaintext: self.permit_plaintext,
            ..Default::default()
        }
    }
}

impl From<Port> for proto::Port {
    fn from(port: Port) -> Self {
        Self {
            name: port.name,
            number: port.port,
            protocol: match port.protocol {
                Protocol::DreamMesh => proto::Protocol::DREAMMESH,
                Protocol::Grpc => proto::Protocol::GRPC,
            },
            tls: port.tls,
            unix_path: port.unix_path,
            ..Default::default()
        }
    }
}

impl From<Status> for proto::InstanceStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Up => Self::UP,
            Status::Starting => Self::STARTING,
            Status::Draining => Self::DRAINING,
            Status::Maintenance => Self::MAINTENANCE,
            Status::Down => Self::DOWN,
        }
    }
}

impl From<Check> for proto::CheckKind {
    fn from(check: Check) -> Self {
        match check {
            Check::Fitting => Self::UNSPECIFIED,
            Check::None => Self::NONE,
            Check::Tcp => Self::TCP,
            Check::Grpc => Self::GRPC,
            Check::Session => Self::SESSION,
        }
    }
}
