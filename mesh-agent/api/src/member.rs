//! A server of one's own in a mesh.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use dreammesh_core::announce::{AnnounceError, Announcement, Announcer, Served};

use crate::advertise::{Advertised, Places};
use crate::attachment::{Registered, Registering};
use crate::chance;
use crate::instance::LAYOUTS_MAX;
use crate::instance::{Check, CheckKind, Instance, InstanceError, InstanceStatus};
use crate::mesh::Mesh;
use crate::name::ServiceName;
use crate::proto;

/// What the mesh is told of a server, and is not told of it by itself.
///
/// It is registered once it serves, under an id of its own, with its ports and the hashes of its
/// messages. It is up while its health says so, says that it drains before it does, and is gone
/// from the mesh when it has stopped.
#[derive(Clone, Debug)]
pub struct Member {
    mesh: Mesh,
    service: String,
    advertise: Option<String>,
    /// As it will travel, so that it is checked as what travels is.
    said: proto::Instance,
}

impl Member {
    /// An instance of `service`, or `service.namespace`, of a mesh.
    pub fn new(service: &str, mesh: &Mesh) -> Self {
        Self {
            mesh: mesh.clone(),
            service: service.to_owned(),
            advertise: mesh.environment().advertise.clone(),
            said: proto::Instance::default(),
        }
    }

    /// Sets where others reach it, as `host` or `host:port`, in place of the address that is bound,
    /// or that of the host where every address is.
    #[must_use]
    pub fn advertise(mut self, place: &str) -> Self {
        self.advertise = Some(place.to_owned());
        self
    }

    /// Sets its id, which must be another one for each process; by default one is made up.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.said.id = id.to_owned();
        self
    }

    /// Sets what the program calls its version.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.said.version = version.to_owned();
        self
    }

    /// Sets how much it takes in relation to others: 0 to 65,535, 100 by default.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.said.weight = Some(weight);
        self
    }

    /// Sets where it is, in place of where its agent is.
    #[must_use]
    pub fn locality(mut self, region: &str, zone: &str) -> Self {
        self.said.region = region.to_owned();
        self.said.zone = zone.to_owned();
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.said.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Lets clients on other hosts call it in plaintext, if it has no certificate.
    #[must_use]
    pub const fn permit_plaintext(mut self) -> Self {
        self.said.permit_plaintext = true;
        self
    }

    /// What is registered of a server with these targets.
    fn registering(&self, served: &Served) -> Result<Registering, MemberError> {
        let service: ServiceName = self.service.parse().map_err(InstanceError::Name)?;
        let advertised = self.advertised()?;
        let places = Places::of(&served.targets, advertised.as_ref());
        let id = match &*self.said.id {
            "" => format!("{}-{:016x}", service.name(), chance::number()),
            id => id.to_owned(),
        };
        let said = proto::Instance {
            id,
            service: service.name().to_owned(),
            namespace: service.namespace().to_owned(),
            ports: places.ports.iter().map(Into::into).collect(),
            addresses: places.addresses_or_loopback(),
            layouts: layouts(served),
            ..self.said.clone()
        };
        let mut instance = Instance::try_from(said)?;
        // The stream says that the process lives, and its health whether it can be called.
        instance.check = Check {
            kind: CheckKind::None,
            ..Check::default()
        };
        Ok(Registering {
            instance,
            everywhere: places.addresses.is_none(),
        })
    }

    fn advertised(&self) -> Result<Option<Advertised>, MemberError> {
        let place = self.advertise.as_deref();
        let place = place.map(|place| Advertised::parse(place).ok_or_else(|| place.to_owned()));
        place.transpose().map_err(MemberError::Advertised)
    }
}

fn layouts(served: &Served) -> Vec<proto::Layouts> {
    let services = served.services.iter().take(LAYOUTS_MAX);
    let layouts = services.map(|service| proto::Layouts {
        service: service.name.to_owned(),
        hash: service.layouts.0.to_vec().into(),
        ..Default::default()
    });
    layouts.collect()
}

impl Announcer for Member {
    fn check(&self) -> Result<(), AnnounceError> {
        // A server that does not exist yet stands for all those that may come.
        let some = Served::new(vec!["dreammesh+tcp://0.0.0.0:1".to_owned()], Vec::new());
        self.registering(&some)
            .map(|_| ())
            .map_err(|error| AnnounceError::new(error.to_string()))
    }

    fn announce(self: Box<Self>, served: Served) -> Box<dyn Announcement> {
        let attachment = self.mesh.attachment();
        let registered = match (self.registering(&served), attachment) {
            (Ok(registering), Some(attachment)) => {
                let id = &registering.instance.id;
                tracing::info!(service = self.service, %id, "the server is in the mesh");
                Some(attachment.register(registering))
            }
            (Ok(_), None) => {
                tracing::warn!(
                    service = self.service,
                    "a file takes the agent's place, so nobody is told of the server"
                );
                None
            }
            (Err(error), _) => {
                let targets = served.targets.join(", ");
                tracing::error!(service = self.service, targets, %error, "nobody can be told of it");
                None
            }
        };
        Box::new(Membership {
            registered,
            has_served: false,
            settling: None,
        })
    }
}

/// A server that is in the mesh until this is dropped.
struct Membership {
    registered: Option<Registered>,
    /// Whether it could be called before.
    has_served: bool,
    /// What waits until the agent knows that it drains.
    settling: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Announcement for Membership {
    fn handle_serving(&mut self, serving: bool) {
        let status = match (serving, self.has_served) {
            (true, _) => InstanceStatus::Up,
            (false, true) => InstanceStatus::Maintenance,
            (false, false) => InstanceStatus::Starting,
        };
        self.has_served |= serving;
        if let Some(registered) = &self.registered {
            registered.set_status(status);
        }
    }

    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(registered) = &self.registered else {
            return Poll::Ready(());
        };
        let settling = self.settling.get_or_insert_with(|| {
            registered.set_status(InstanceStatus::Draining);
            let settled = registered.settled();
            Box::pin(async move {
                // An agent that does not answer holds up nobody's end.
                let _ = tokio::time::timeout(SETTLE_PATIENCE, settled).await;
            })
        });
        ready!(settling.as_mut().poll(cx));
        Poll::Ready(())
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("registered", &self.registered)
            .finish_non_exhaustive()
    }
}

/// Why a server cannot be in the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
enum MemberError {
    Instance(InstanceError),
    Advertised(String),
}

impl From<InstanceError> for MemberError {
    fn from(error: InstanceError) -> Self {
        Self::Instance(error)
    }
}

impl fmt::Display for MemberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(error) => error.fmt(f),
            Self::Advertised(place) => write!(
                f,
                "`{place}` is no place where others could reach it: it takes `host` or `host:port`, \
                 and no address that means every one"
            ),
        }
    }
}

/// An agent that lives answers within a millisecond.
const SETTLE_PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
