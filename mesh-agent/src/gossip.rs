//! How agents speak to one another: datagrams that only members of a cluster can write.
//!
//! What they say to one another is `chitchat`'s business; here is what carries it. A datagram is
//! sealed with a key that follows from the cluster's secret, its sender and the cluster's name, and
//! is taken at most once, which needs no clock: a receiver draws a number when it starts, and takes
//! only datagrams that name it. Who does not know it yet is told, once it has shown that it knows
//! the secret, by an answer that is no longer than what it sent.
//!
//! - [`secret`]: the secret of a cluster, and the file it is kept in.
//! - [`guard`]: what is sent and what is taken, as plain state: no socket, no clock, no randomness.
//! - [`start`]: gossip as an agent was told to take part in it.
//! - [`transport`]: the guard around a UDP socket, as `chitchat` wants it.

pub mod guard;
pub mod secret;
pub mod start;
pub mod transport;

mod parts;
mod seal;
mod window;
