//! The services for tools that a server adds to those of the program.

use dreammesh_core::server::RouterBuilder;
use dreammesh_services::{Health, Reflection, ReflectionError};

/// What is added, and the states of the services.
#[derive(Clone, Debug, Default)]
pub(super) struct Tooling {
    pub(super) health: Health,
    pub(super) reflection: bool,
}

impl Tooling {
    /// Adds the services, except what the program has of its own, and says of each service of the
    /// program that it serves.
    pub(super) fn add_to(&self, router: RouterBuilder) -> Result<RouterBuilder, ReflectionError> {
        for (service, _) in router.services() {
            self.health.introduce(service);
        }
        let router = router.service_unless_there(&self.health.service());
        if !self.reflection {
            return Ok(router);
        }
        let reflection = Reflection::new(router.services())?;
        Ok(router
            .service_unless_there(&reflection.service())
            .service_unless_there(&reflection.service_v1alpha()))
    }
}
