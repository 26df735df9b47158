//! The services that gRPC's tools expect of every server: which services can be called now, and
//! what the server offers.
//!
//! A program sees [`Health`] alone; a server adds both services to its own. They are ordinary
//! services, compiled from their `.proto` files by our own compiler, so they are served over every
//! medium and to callers of every kind.
//!
//! - `health`: `grpc.health.v1.Health`.
//! - `reflection`: `grpc.reflection.v1.ServerReflection`, and the same under its older name.
//! - `files`: what the descriptors of a server's files declare.
#![forbid(unsafe_code)]

pub use health::{Health, HealthChanges, ServingStatus};
pub use reflection::{Reflection, ReflectionError};

mod files;
mod health;
mod reflection;

/// The messages, clients and servers of the services, as our own compiler generates them.
pub mod proto {
    /// Package `grpc.health.v1`.
    pub mod health_v1 {
        include!("gen/grpc.health.v1.rs");
    }

    /// Package `grpc.reflection.v1`.
    pub mod reflection_v1 {
        include!("gen/grpc.reflection.v1.rs");
    }

    /// Package `grpc.reflection.v1alpha`.
    pub mod reflection_v1alpha {
        include!("gen/grpc.reflection.v1alpha.rs");
    }
}

/// As much of protobuf's descriptors as is read here.
#[allow(
    dead_code,
    unnameable_types,
    unreachable_pub,
    reason = "what is generated for everybody is more than is used here"
)]
mod descriptors {
    include!("gen/dreammesh.services.rs");
}
