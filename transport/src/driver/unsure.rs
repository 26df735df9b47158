//! Calls sent as archives on the strength of what an earlier connection learnt.
//!
//! Until the server has answered about a method it may turn out to read other layouts now. It
//! then refuses the call without beginning it, and the caller sends it as protobuf. Only calls
//! whose message stays with the caller are sent so; others use protobuf until the server has
//! answered.

use dreammesh_core::call::Begun;
use dreammesh_core::port::{Answer, Ended, StreamKey};

/// The methods that the server has not answered for yet, and the calls sent meanwhile.
#[derive(Debug, Default)]
pub(super) struct Unsure {
    /// Indexes; empty but for the first moments of a connection.
    methods: Vec<u32>,
    /// Their streams; bounded by the calls that a connection may open.
    sent: Vec<StreamKey>,
}

impl Unsure {
    /// A method was named with an assumed verdict.
    pub(super) fn assume(&mut self, method: u32) {
        self.methods.push(method);
    }

    /// The server has answered for a method.
    pub(super) fn settle(&mut self, method: u32) {
        self.methods.retain(|unsure| *unsure != method);
    }

    #[inline]
    pub(super) fn holds(&self, method: u32) -> bool {
        !self.methods.is_empty() && self.methods.contains(&method)
    }

    /// A call was sent as an archive all the same.
    pub(super) fn sent(&mut self, key: StreamKey) {
        self.sent.push(key);
    }

    /// A call was answered; it is remembered only if it has not begun.
    #[inline]
    pub(super) fn answered(&mut self, key: StreamKey, answer: &Result<Answer, Ended>) {
        if !self.sent.is_empty() && !matches!(answer, Err(ended) if ended.begun == Begun::No) {
            self.forget(key);
        }
    }

    /// Forgets a call; whether it was remembered.
    #[inline]
    pub(super) fn forget(&mut self, key: StreamKey) -> bool {
        let at = self.sent.iter().position(|sent| *sent == key);
        at.is_some_and(|at| self.sent.swap_remove(at) == key)
    }
}
