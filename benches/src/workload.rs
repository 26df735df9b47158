//! What is measured: which message, how many at a time, over how many connections, in what shape.
//!
//! A family of workloads is one file with a table of [`Workload`] values, and one line in
//! [`families`]. A new [`Shape`] is a file in [`crate::run`] as well.

use std::fmt;

use crate::failure::Failure;
use crate::handler::Mix;
use crate::message::Message;
use crate::pinning::Pinning;

pub mod connections;
pub mod open;
pub mod spawned;
pub mod streams;
pub mod unary;

/// One thing to measure a system by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workload {
    /// The name used on the command line and in the report; unique with the two numbers below.
    pub name: &'static str,
    /// What is sent.
    pub message: Message,
    /// In what pattern.
    pub shape: Shape,
    /// What the handlers do.
    pub mix: Mix,
    /// Calls outstanding at any time, over all connections; zero where the rate decides.
    pub concurrency: usize,
    /// Connections, between which the calls are shared out evenly.
    pub connections: usize,
    /// The settings in which it is measured unless something else is asked for.
    pub pinnings: &'static [Pinning],
}

/// The pattern of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// Closed loop: each lane makes one unary call after another.
    Unary,
    /// Closed loop, with a new task for each call, as an application has that is called itself.
    Spawned,
    /// Open loop: calls begin at a fixed rate, whatever became of the earlier ones.
    Open(Rate),
    /// Each lane reads one stream of answers after another; messages are counted.
    Download,
    /// Each lane sends a message on its stream, waits for the answer, and sends the next.
    PingPong,
    /// Connections that have made one call each and then do nothing.
    Idle,
    /// Each lane connects, makes one call and closes, again and again.
    Connect,
    /// As [`Self::Unary`], with a stream beside it on each connection whose reader is slow.
    SlowReader,
}

/// The rate of an open loop, as a share of what was measured before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rate {
    /// How much of the capacity, in percent.
    pub percent: u32,
    /// Whose capacity.
    pub of: Capacity,
}

/// Whose capacity a rate refers to: the calls per second of [`spawned`], over the same transport in
/// the same setting. There as in an open loop, each call has a task of its own, so a rate below
/// the capacity is one that the client could keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capacity {
    /// The measured system's own.
    Own,
    /// tonic's, so that all systems get the same rate.
    Tonic,
}

impl Workload {
    /// Closed-loop unary calls that are answered at once, measured on one core.
    #[must_use]
    pub const fn unary(
        name: &'static str,
        message: Message,
        concurrency: usize,
        connections: usize,
    ) -> Self {
        Self {
            name,
            message,
            shape: Shape::Unary,
            mix: Mix::all(crate::handler::Handler::Immediate),
            concurrency,
            connections,
            pinnings: &[Pinning::OneCore],
        }
    }

    /// The same in another pattern.
    #[must_use]
    pub const fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The same with other handlers.
    #[must_use]
    pub const fn handled(self, mix: Mix) -> Self {
        Self { mix, ..self }
    }

    /// The same in other settings.
    #[must_use]
    pub const fn within(self, pinnings: &'static [Pinning]) -> Self {
        Self { pinnings, ..self }
    }

    /// Whether a client needs streaming calls for it.
    #[must_use]
    pub const fn streams(&self) -> bool {
        matches!(
            self.shape,
            Shape::Download | Shape::PingPong | Shape::SlowReader
        )
    }

    /// Whether it needs the calls of `bulk.proto`, which not every system has.
    #[must_use]
    pub const fn fetches(&self) -> bool {
        matches!(self.message, Message::Fetched(_))
    }

    /// Whether bytes that are sent back can stand in for its calls, which is all a floor can do.
    #[must_use]
    pub fn suits_floors(&self) -> bool {
        matches!(self.shape, Shape::Unary)
            && self.mix == Mix::all(crate::handler::Handler::Immediate)
            && !self.fetches()
    }

    /// Every workload, in the order in which a round visits them.
    #[must_use]
    pub fn all() -> Vec<&'static Self> {
        families().into_iter().flatten().collect()
    }

    /// Finds a workload by what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// When there is no such workload.
    pub fn parse(text: &str) -> Result<&'static Self, Failure> {
        Self::all()
            .into_iter()
            .find(|workload| workload.to_string() == text)
            .ok_or_else(|| Failure::Usage(format!("no workload is called {text:?}")))
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.name, self.concurrency, self.connections)
    }
}

/// The tables of the families' files.
fn families() -> [&'static [Workload]; 5] {
    [
        unary::ALL,
        spawned::ALL,
        streams::ALL,
        connections::ALL,
        open::ALL,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_found_by_what_it_is_called_and_by_nothing_else() {
        for workload in Workload::all() {
            assert_eq!(Workload::parse(&workload.to_string()).unwrap(), workload);
        }
        assert!(Workload::parse("64B/0/0").is_err());
    }

    #[test]
    fn no_connection_is_without_a_lane() {
        for workload in Workload::all() {
            assert!(workload.connections >= 1, "{workload}");
            let rate = matches!(workload.shape, Shape::Open(_) | Shape::Idle);
            assert!(
                rate || workload.concurrency >= workload.connections,
                "{workload}"
            );
        }
    }
}
