//! The parts of a call by themselves: messages, frames, sessions, locks, layers, and whole calls.
//!
//! Each part is one body that leaves everything as it found it, so that it may run any number of
//! times. Two programs run the same bodies: the Criterion bench `parts` times them, and `count`
//! runs one of them a stated number of times for callgrind, which `cargo xtask perf` holds
//! against a baseline. What a body costs depends on the code alone: no part opens a socket,
//! starts a thread, or iterates over anything in the order of a seeded hash.
//!
//! - [`balance`]: picking an endpoint.
//! - [`message`]: archiving, validating and reading, and protobuf, on the two bench messages.
//! - [`frame`]: reading and writing frames.
//! - [`session`]: calls through two sessions in memory, and what guards a session.
//! - [`call`]: whole calls, in the process and over a link in memory, bare and with each layer.
#![forbid(unsafe_code)]

pub mod balance;
pub mod call;
pub mod frame;
pub mod message;
pub mod session;

/// The bench contract as the compiler has it.
#[allow(
    missing_docs,
    reason = "the contract documents its fields where that says something"
)]
pub mod contract {
    dreammesh::include_proto!("dreammesh.bench.v1");
}

/// What is run.
pub type Body = Box<dyn FnMut()>;

/// A part by its name.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "a row of a table")]
pub struct Part {
    /// Room, then what is done.
    pub name: &'static str,
    /// How many times the thing that is named happens in one run of the body.
    pub times: u32,
    /// Makes the body, with all that it needs.
    pub make: fn() -> Body,
    /// Whether its instructions say something. Where most of it is the copying of large buffers
    /// they do not: one instruction copies a byte in one C library and a page in another.
    pub is_counted: bool,
}

impl Part {
    pub(crate) const fn new(name: &'static str, make: fn() -> Body) -> Self {
        Self::times(name, 1, make)
    }

    pub(crate) const fn times(name: &'static str, times: u32, make: fn() -> Body) -> Self {
        Self {
            name,
            times,
            make,
            is_counted: true,
        }
    }

    pub(crate) const fn only_timed(name: &'static str, make: fn() -> Body) -> Self {
        Self {
            is_counted: false,
            ..Self::new(name, make)
        }
    }
}

/// Every part, those of the lower rooms first.
pub fn all() -> impl Iterator<Item = &'static Part> {
    [
        balance::PARTS,
        message::PARTS,
        frame::PARTS,
        session::PARTS,
        call::PARTS,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_part_runs_again_and_again() {
        for part in all() {
            let mut body = (part.make)();
            // More often than any budget of a session allows at one moment.
            (0..100).for_each(|_| body());
        }
    }

    #[test]
    fn no_two_parts_share_a_name() {
        let names: BTreeSet<_> = all().map(|part| part.name).collect();
        assert_eq!(names.len(), all().count());
    }
}
