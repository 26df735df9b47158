//! What the two sides of a connection tell each other about their layouts.

use dreammesh_core::call::MethodInfo;
use dreammesh_session::MethodAnswer;
use dreammesh_session::frame::method::{Hashes, Verdict};
use dreammesh_wire::LayoutHash;

use super::shared::Shared;

/// The server's answer about a method that the client named.
pub(super) fn answer(method: Option<&'static MethodInfo>) -> MethodAnswer<'static> {
    let none = LayoutHash([0; 16]);
    match method {
        None => MethodAnswer {
            known: false,
            streams_requests: true,
            hashes: Hashes {
                request: none,
                response: none,
            },
            chains: &[],
        },
        Some(method) => MethodAnswer {
            known: true,
            streams_requests: method.kind().streams_requests(),
            hashes: Hashes {
                request: method.request_closure(),
                response: method.response_closure(),
            },
            chains: &[],
        },
    }
}

/// Judges the layouts of a method whose hashes differ, and tells the server.
pub(super) fn judge(shared: &Shared, index: u32) {
    shared.step(|state| {
        let _ = state.session.layouts_to_judge(index);
        state.session.settle_layouts(index, Verdict::NEITHER);
    });
}
