//! The port of whatever says which instances there are.
//!
//! A source is a task that is handed a [`Sink`] and says there what it knows, for as long as the
//! agent runs. Sources know nothing of one another: what happens when two claim one id is decided
//! by the [registry](crate::registry). When a source loses what it learns from, it says so by
//! [`Sink::problem`] and takes nothing back: what was known last is kept.
//!
//! - [`mod@file`]: a file that somebody wrote.
//! - `contract`: the tests that every source has to pass.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::knowledge::Sink;
use crate::registry::Origin;

#[cfg(test)]
pub(crate) mod contract;
pub mod file;
pub mod gossip;

/// The running of a source.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something that says which instances there are.
pub trait Source: fmt::Debug + Send {
    /// What people call it, such as `file:/etc/dreammesh/services.yaml`.
    fn name(&self) -> String;

    /// What kind of source it is, from which follows its precedence.
    fn origin(&self) -> Origin;

    /// Says what it knows until it is dropped; what it said then goes.
    fn run(self: Box<Self>, sink: Sink) -> Running;
}
