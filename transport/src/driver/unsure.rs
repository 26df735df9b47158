//! Calls sent as archives on the strength of what an earlier connection learnt.
//!
//! Until the server has answered about a method it may turn out to read other layouts now. It
//! then refuses the call without beginning it, and the copy kept here is sent as protobuf. Only
//! unary calls of a few pages are sent so; others use protobuf until the server has answered.

use dreammesh_core::call::{Begun, MethodKind};
use dreammesh_core::port::{Answer, Ended, Opening, StreamKey};
use dreammesh_core::wire::Segment;

/// The methods that the server has not answered for yet, and the calls sent meanwhile.
#[derive(Debug, Default)]
pub(super) struct Unsure {
    /// Indexes; empty but for the first moments of a connection.
    methods: Vec<u32>,
    /// Copies of requests by stream; bounded by the calls that a connection may open.
    sent: Vec<(StreamKey, Vec<u8>)>,
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

    /// A copy of the request, if the call may be sent as an archive at all.
    pub(super) fn copy(opening: &Opening<'_>) -> Option<Vec<u8>> {
        let message = opening.message.as_ref()?;
        if opening.method.kind() != MethodKind::Unary || message.len() > COPIED_BYTES_MAX {
            return None;
        }
        let mut copy = Vec::new();
        message.copy_to(&mut copy);
        Some(copy)
    }

    pub(super) fn keep(&mut self, key: StreamKey, copy: Vec<u8>) {
        self.sent.push((key, copy));
    }

    /// A call was answered; its copy stays only if it has not begun.
    #[inline]
    pub(super) fn answered(&mut self, key: StreamKey, answer: &Result<Answer, Ended>) {
        if !self.sent.is_empty() && !matches!(answer, Err(ended) if ended.begun == Begun::No) {
            self.forget(key);
        }
    }

    #[inline]
    pub(super) fn forget(&mut self, key: StreamKey) {
        if !self.sent.is_empty() {
            self.sent.retain(|(sent, _)| *sent != key);
        }
    }

    /// The copy of a call that has not begun.
    pub(super) fn take(&mut self, key: StreamKey) -> Option<Segment> {
        let at = self.sent.iter().position(|(sent, _)| *sent == key)?;
        Some(Segment::from_vec(self.sent.swap_remove(at).1))
    }
}

/// Copied under the connection's lock, so no more than what is copied into a frame anyway.
const COPIED_BYTES_MAX: usize = 16 << 10;
