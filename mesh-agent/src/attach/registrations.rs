//! What was registered on one stream, gone when it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use dreammesh_agent_api::instance::{Instance, InstanceId};
use dreammesh_agent_api::proto;
use dreammesh_core::call::{Code, Status};

use super::owners::Program;
use super::seats::{Seat, Use};
use super::{Attachments, size};
use crate::clock;
use crate::registry::{Origin, Registry};

/// What was registered on one stream.
#[derive(Debug)]
pub(super) struct Registrations {
    attachments: Attachments,
    program: Arc<Program>,
    /// The ids, by the number that the application chose.
    by_key: BTreeMap<u32, Taken>,
    /// Free when all else is.
    seat: Seat,
    /// When the stream began.
    began: Instant,
}

/// An id that was registered, and how many bytes its instance took.
#[derive(Debug)]
struct Taken {
    id: InstanceId,
    bytes: usize,
}

impl Registrations {
    pub(super) fn new(attachments: Attachments, program: Arc<Program>, seat: Seat) -> Self {
        Self {
            attachments,
            program,
            by_key: BTreeMap::new(),
            seat,
            began: clock::now(),
        }
    }

    pub(super) const fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// Registers an instance, and gives it as others see it.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn register(
        &mut self,
        key: u32,
        said: proto::Instance,
    ) -> Result<Arc<Instance>, Status> {
        if self.by_key.contains_key(&key) {
            let text = format!("the number {key} names another registration of this stream");
            return Err(Status::already_exists(text));
        }
        let max = self.attachments.0.bounds.instances_max;
        if self.by_key.len() >= max {
            let text = format!("a program registers at most {max} instances");
            return Err(Status::resource_exhausted(text));
        }
        let instance = self.instance(said)?;
        self.check_claims(&instance)?;
        let (id, bytes) = (instance.id.clone(), size(&instance));
        let bounds = &self.attachments.0.bounds;
        self.seat.take(Use::Instance, bytes, bounds)?;
        if let Err(status) = self.claim(instance) {
            self.seat.give_back(Use::Instance, bytes);
            return Err(status);
        }
        if self.attachments.notes(&self.program) {
            tracing::info!(%id, program = %self.program.name, "registered");
        }
        let taken = Taken {
            id: id.clone(),
            bytes,
        };
        self.by_key.insert(key, taken);
        self.shown(&id)
    }

    fn claim(&self, instance: Instance) -> Result<(), Status> {
        let (owners, id) = (&self.attachments.0.owners, instance.id.clone());
        owners.claim(&id, &self.program).map_err(|owner| {
            let text = format!("{id} is registered by {} already", owner.name);
            Status::new(Code::AlreadyExists, text)
        })?;
        if !self.attachments.0.sink.set(instance) {
            owners.release(&id, &self.program);
            let text = "the agent knows as many instances as it has room for";
            return Err(Status::resource_exhausted(text));
        }
        Ok(())
    }

    /// Looks whether somebody else has the id: nobody is to take an instance away by registering
    /// another under its name.
    ///
    /// What another agent says of this host, with the same places, is this one: that agent was here
    /// before, under another name. One that does not answer any more may have moved here.
    fn check_claims(&self, instance: &Instance) -> Result<(), Status> {
        let (id, knowledge) = (&instance.id, self.attachments.knowledge());
        let is_this = |other: &Instance| {
            other.host == instance.host
                && other.service == instance.service
                && other.ports == instance.ports
                && other.addresses == instance.addresses
        };
        let is_down = |registry: &Registry| {
            let health = registry.known(id).and_then(|known| known.health);
            health.is_some_and(|health| health.down)
        };
        let user = self.program.process.map(|process| process.user);
        let whose = knowledge.read(|registry| {
            let mut others = registry.claims_of_others(id);
            others.find_map(|(origin, other, source)| match origin {
                Origin::File => Some(format!("of {source}")),
                Origin::Held => {
                    let before = self.attachments.0.owners.before(id);
                    let before = before.filter(|before| Some(*before) != user)?;
                    Some(format!("held for a program of the user {before}"))
                }
                _ if is_this(other) || is_down(registry) => None,
                _ => Some(format!("of the agent {} on {}", other.agent, other.host)),
            })
        });
        match whose {
            None => Ok(()),
            Some(whose) => {
                let text = format!("{id} is an instance {whose} already: register another id");
                Err(Status::already_exists(text))
            }
        }
    }

    /// Changes the state or the weight of an instance.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn amend(&self, said: &proto::Amend) -> Result<Arc<Instance>, Status> {
        let id = self.owned(said.key)?;
        let known = self.attachments.knowledge().known(&id);
        let known = known.ok_or_else(|| not_registered(said.key))?;
        let mut instance = Instance::clone(&known.stated);
        if said.status != proto::InstanceStatus::UNSPECIFIED {
            instance.status = said.status.into();
        }
        if let Some(weight) = said.weight {
            instance.weight = u16::try_from(weight).map_err(|_| {
                Status::invalid_argument(format!("the weight {weight} is more than 65535"))
            })?;
        }
        self.attachments.0.sink.set(instance);
        self.shown(&id)
    }

    /// Takes an instance back.
    ///
    /// # Errors
    /// When there is none of that number.
    pub(super) fn deregister(&mut self, key: u32) -> Result<(), Status> {
        let taken = self.by_key.remove(&key);
        let Taken { id, bytes } = taken.ok_or_else(|| not_registered(key))?;
        self.seat.give_back(Use::Instance, bytes);
        if self.attachments.0.owners.release(&id, &self.program) {
            self.attachments.0.sink.gone(&id);
            if self.attachments.notes(&self.program) {
                tracing::info!(%id, program = %self.program.name, "de-registered");
            }
        }
        Ok(())
    }

    fn owned(&self, key: u32) -> Result<InstanceId, Status> {
        let id = self.by_key.get(&key).map(|taken| &taken.id);
        let owned = id.filter(|id| self.attachments.0.owners.has(id, &self.program));
        owned.cloned().ok_or_else(|| not_registered(key))
    }

    fn shown(&self, id: &InstanceId) -> Result<Arc<Instance>, Status> {
        let known = self.attachments.knowledge().known(id);
        let known = known.ok_or_else(|| Status::internal("what was registered is not known"))?;
        Ok(known.instance)
    }

    /// What an application says of its instance, with what only the agent knows.
    fn instance(&self, mut said: proto::Instance) -> Result<Instance, Status> {
        let (site, here) = (
            &self.attachments.0.site,
            self.attachments.knowledge().here(),
        );
        if said.id.is_empty() {
            let chance = crate::chance::number();
            said.id = format!(
                "{}-{}-{chance:08x}",
                said.service,
                here.host,
                chance = chance >> 32
            );
        }
        if said.addresses.is_empty() && said.ports.iter().any(|port| port.number != 0) {
            said.addresses = addresses(site);
        }
        said.host = here.host.to_string();
        if said.region.is_empty() && said.zone.is_empty() {
            said.region = site.locality.region.to_string();
            said.zone = site.locality.zone.to_string();
        }
        Instance::try_from(said).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

/// Where this host is reached, as instances say it.
pub(super) fn addresses(site: &super::Site) -> Vec<String> {
    if site.addresses.is_empty() {
        return vec!["127.0.0.1".to_owned()];
    }
    let plain = |host: &dreammesh_agent_api::instance::Host| {
        // The brackets are for what stands before a port.
        host.to_string().trim_matches(['[', ']']).to_owned()
    };
    site.addresses.iter().map(plain).collect()
}

fn not_registered(key: u32) -> Status {
    Status::not_found(format!(
        "no registration of this stream has the number {key}"
    ))
}

impl Drop for Registrations {
    fn drop(&mut self) {
        let shared = &self.attachments.0;
        let taken = std::mem::take(&mut self.by_key).into_values();
        let ids = taken.map(|taken| taken.id);
        let owned = ids.filter(|id| shared.owners.release(id, &self.program));
        let gone: Vec<_> = owned.collect();
        // The agent that comes after this one holds them until their applications attach there.
        let instances = gone.len();
        if !*shared.leaving.borrow() && !gone.is_empty() {
            self.attachments.detached(gone, self.began);
        }
        if self.attachments.notes(&self.program) {
            tracing::info!(program = %self.program.name, instances, "detached");
        }
    }
}
