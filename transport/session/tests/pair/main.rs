//! Two sessions against each other over a scripted link, on a virtual clock; and one session
//! against bytes written by hand.
#![allow(
    clippy::disallowed_methods,
    reason = "one instant from which virtual time is counted"
)]

mod app;
mod bad_input;
mod bounds;
mod by_hand;
mod drain;
mod example;
mod flow;
mod landing;
mod layouts;
mod methods;
mod probe;
mod rng;
mod seeds;
mod world;
