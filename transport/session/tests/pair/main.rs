//! Two sessions against each other over a scripted link, on a virtual clock.
#![allow(
    clippy::disallowed_methods,
    reason = "one instant from which virtual time is counted"
)]

mod app;
mod methods;
mod rng;
mod seeds;
mod world;
