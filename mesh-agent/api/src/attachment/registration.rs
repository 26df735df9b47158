//! An instance that is kept registered, whichever agent there is.

use std::time::Instant;

use super::machine::Site;
use crate::instance::{Host, Instance, InstanceStatus};
use crate::proto::{self, from_application};

/// What is to be registered.
#[derive(Clone, Debug)]
pub(crate) struct Registering {
    /// The instance; its status is not read.
    pub(crate) instance: Instance,
    /// Whether it is reached wherever the host is, by addresses that the agent knows.
    pub(crate) everywhere: bool,
}

#[derive(Debug)]
pub(super) struct Registration {
    registering: Registering,
    /// What it ought to be.
    status: InstanceStatus,
    /// What the agent was told on this stream.
    told: Option<InstanceStatus>,
    /// What the agent has taken in of that.
    taken: Option<InstanceStatus>,
    retry_at: Option<Instant>,
}

impl Registration {
    pub(super) const fn new(registering: Registering) -> Self {
        Self {
            registering,
            status: InstanceStatus::Starting,
            told: None,
            taken: None,
            retry_at: None,
        }
    }

    pub(super) fn id(&self) -> &str {
        self.registering.instance.id.as_str()
    }

    pub(super) const fn set_status(&mut self, status: InstanceStatus) {
        self.status = status;
    }

    pub(super) const fn is_told(&self) -> bool {
        self.told.is_some()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.taken == Some(self.status) || self.retry_at.is_some()
    }

    pub(super) const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    pub(super) const fn handle_apart(&mut self) {
        self.told = None;
        self.taken = None;
        self.retry_at = None;
    }

    pub(super) const fn handle_taken(&mut self, status: InstanceStatus) {
        self.taken = Some(status);
        self.retry_at = None;
    }

    pub(super) const fn handle_refused(&mut self, retry_at: Instant) {
        self.told = None;
        self.taken = None;
        self.retry_at = Some(retry_at);
    }

    /// What is to be said of it, if anything is.
    pub(super) fn poll_say(
        &mut self,
        key: u32,
        site: &Site,
        now: Instant,
    ) -> Option<from_application::Said> {
        use from_application::Said;
        if self.told == Some(self.status) || self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        self.retry_at = None;
        let was_told = self.told.replace(self.status).is_some();
        Some(match was_told {
            true => Said::Amend(proto::Amend {
                key,
                status: self.status.into(),
                ..Default::default()
            }),
            false => Said::Register(proto::Register {
                key,
                instance: Some((&self.instance(site)).into()),
                ..Default::default()
            }),
        })
    }

    /// The instance as it is at that site.
    fn instance(&self, site: &Site) -> Instance {
        let mut instance = self.registering.instance.clone();
        instance.status = self.status;
        if self.registering.everywhere {
            instance.addresses = site.addresses.clone();
            // A host of which nobody knows an address is reached from itself alone.
            if instance.addresses.is_empty() {
                instance.addresses = vec![Host::Ip(std::net::Ipv4Addr::LOCALHOST.into())];
            }
        }
        let (ours, theirs) = (&mut instance.locality, &site.here.locality);
        if ours.region.is_empty() && ours.zone.is_empty() {
            *ours = theirs.clone();
        }
        instance
    }
}
