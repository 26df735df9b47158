//! Which services of a server can be called now.
//!
//! The protocol is that of gRPC's documents, `doc/health-checking.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use dreammesh_core::call::{Request, Response, Sender, Status};
use dreammesh_core::server::Service;
use tokio::sync::watch;

use crate::proto::health_v1 as proto;
use proto::health_check_response::ServingStatus as Stated;

/// Which services of a server can be called now; a clone shares the states.
///
/// A server makes one for itself, in which each of its services serves until the server drains. A
/// program that knows better hands in its own, and sets the states that it knows of:
///
/// ```
/// use dreammesh_services::{Health, ServingStatus};
///
/// let health = Health::new();
/// health.set("shop.v1.Catalog", ServingStatus::NotServing);
/// assert_eq!(health.status("shop.v1.Catalog"), Some(ServingStatus::NotServing));
/// assert_eq!(health.status("shop.v1.Cart"), None);
/// ```
#[derive(Clone)]
pub struct Health(Arc<watch::Sender<States>>);

/// Whether a service can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the protocol has no third one to set"
)]
pub enum ServingStatus {
    /// It can be called.
    Serving,
    /// It cannot be called now.
    NotServing,
}

#[derive(Clone, Debug)]
struct States {
    /// By the full name of the service; the empty name is the server as a whole.
    by_service: BTreeMap<String, ServingStatus>,
    /// The server has begun to drain.
    over: bool,
}

impl Health {
    /// The server as a whole serves, and nothing is known of any service.
    pub fn new() -> Self {
        let whole = (String::new(), ServingStatus::Serving);
        Self(Arc::new(watch::Sender::new(States {
            by_service: BTreeMap::from([whole]),
            over: false,
        })))
    }

    /// Says whether a service can be called, by its full name, or the whole server by an empty one.
    ///
    /// Whoever watches is told when that is a change. It has no effect once the server drains.
    pub fn set(&self, service: &str, status: ServingStatus) {
        self.0.send_if_modified(|states| {
            let changes = !states.over && states.by_service.get(service) != Some(&status);
            if changes {
                states.by_service.insert(service.to_owned(), status);
            }
            changes
        });
    }

    /// Says that a service serves, unless something has been said of it.
    pub fn introduce(&self, service: &str) {
        self.0.send_if_modified(|states| {
            let is_new = !states.over && !states.by_service.contains_key(service);
            if is_new {
                let serving = ServingStatus::Serving;
                states.by_service.insert(service.to_owned(), serving);
            }
            is_new
        });
    }

    /// What was said of a service last, if anything was.
    pub fn status(&self, service: &str) -> Option<ServingStatus> {
        self.0.borrow().by_service.get(service).copied()
    }

    /// Follows what becomes of the server as a whole.
    pub fn changes(&self) -> HealthChanges {
        HealthChanges(self.0.subscribe())
    }

    /// Says that nothing can be called any more; a server does when it begins to drain.
    ///
    /// Whoever watches is told, and its call ends, so that it holds no drain up.
    pub fn shut_down(&self) {
        self.0.send_if_modified(|states| {
            for status in states.by_service.values_mut() {
                *status = ServingStatus::NotServing;
            }
            !std::mem::replace(&mut states.over, true)
        });
    }

    /// `grpc.health.v1.Health` with these states.
    pub fn service(&self) -> impl Service + use<> {
        proto::HealthServer::new(Answers(self.clone()))
    }
}

/// Follows what becomes of a server as a whole.
#[derive(Debug)]
pub struct HealthChanges(watch::Receiver<States>);

impl HealthChanges {
    /// Whether there is something to call: the server as a whole serves, and so does one of its
    /// services at least, if any is known.
    pub fn is_serving(&mut self) -> bool {
        let states = self.0.borrow_and_update();
        let serves = |status: &ServingStatus| *status == ServingStatus::Serving;
        let mut services = states
            .by_service
            .iter()
            .filter(|(name, _)| !name.is_empty());
        let whole = states.by_service.get("").is_none_or(serves);
        let is_empty = states.by_service.keys().all(String::is_empty);
        whole && (is_empty || services.any(|(_, status)| serves(status)))
    }

    /// Waits until something has been said since it was asked last; for ever once nobody can say
    /// anything any more.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.borrow().fmt(f)
    }
}

impl ServingStatus {
    const fn stated(self) -> Stated {
        match self {
            Self::Serving => Stated::SERVING,
            Self::NotServing => Stated::NOT_SERVING,
        }
    }
}

/// The service; apart from the states, so that those show no methods of the wire.
struct Answers(Health);

impl proto::Health for Answers {
    async fn check(
        &self,
        request: Request<proto::HealthCheckRequest>,
    ) -> Result<Response<proto::HealthCheckResponse>, Status> {
        let service = named(request.view().service())?;
        let status = self.0.status(service).ok_or_else(|| {
            Status::not_found(format!("nothing is known of a service {service:?}"))
        })?;
        Ok(Response::new(response(status.stated())))
    }

    async fn list(
        &self,
        _: Request<proto::HealthListRequest>,
    ) -> Result<Response<proto::HealthListResponse>, Status> {
        let states = self.0.0.borrow().by_service.clone();
        if states.len() > LISTED_MAX {
            return Err(Status::resource_exhausted(format!(
                "{} services are more than the {LISTED_MAX} that are listed",
                states.len()
            )));
        }
        let statuses = states
            .into_iter()
            .map(|(service, status)| (service, response(status.stated())));
        Ok(Response::new(proto::HealthListResponse {
            statuses: statuses.collect(),
            ..Default::default()
        }))
    }

    async fn watch(
        &self,
        request: Request<proto::HealthCheckRequest>,
        responses: Sender<proto::HealthCheckResponse>,
    ) -> Result<(), Status> {
        let service = named(request.view().service())?;
        let mut states = self.0.0.subscribe();
        let mut told = None;
        loop {
            let (status, over) = {
                let states = states.borrow_and_update();
                (states.by_service.get(service).copied(), states.over)
            };
            let stated = status.map_or(Stated::SERVICE_UNKNOWN, ServingStatus::stated);
            if told != Some(stated) {
                responses.send(response(stated)).await?;
                told = Some(stated);
            }
            if over {
                return Err(Status::unavailable("the server is draining"));
            }
            // The states live as long as the service, which holds them.
            if states.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

/// The name of a service, if it can be one: who watches has the server keep it.
fn named(service: &str) -> Result<&str, Status> {
    match service.len() {
        ..=NAME_BYTES_MAX => Ok(service),
        bytes => Err(Status::invalid_argument(format!(
            "the name of a service has {bytes} bytes, more than {NAME_BYTES_MAX}"
        ))),
    }
}

fn response(status: Stated) -> proto::HealthCheckResponse {
    proto::HealthCheckResponse {
        status,
        ..Default::default()
    }
}

/// As many as gRPC's own servers list.
const LISTED_MAX: usize = 100;
/// Far longer than any real name.
const NAME_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests;
