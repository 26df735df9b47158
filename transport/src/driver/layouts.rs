//! What the two sides of a connection tell each other about their layouts.

use dreammesh_core::call::MethodInfo;
use dreammesh_core::wire::closure::Closure;
use dreammesh_core::wire::{Layout, LayoutHash};
use dreammesh_session::frame::method::{Hashes, Verdict};
use dreammesh_session::frame::method_ack::Chains;
use dreammesh_session::{JudgeLayouts, MethodAnswer};

use super::route::Route;
use super::shared::Shared;

/// The chains of a method's two sides, as a client reads them.
#[derive(Debug)]
pub(super) struct MethodChains {
    request: Vec<u8>,
    response: Vec<u8>,
}

impl MethodChains {
    pub(super) fn of(method: &MethodInfo) -> Self {
        Self {
            request: Closure::of(method.request()).to_bytes(),
            response: Closure::of(method.response()).to_bytes(),
        }
    }
}

/// The server's answer about a method that the client named.
pub(super) fn answer(route: Option<&Route>) -> MethodAnswer<'_> {
    let none = LayoutHash([0; 16]);
    let Some(route) = route else {
        let hashes = Hashes {
            request: none,
            response: none,
        };
        let chains = Chains {
            request: &[],
            response: &[],
        };
        return MethodAnswer {
            known: false,
            streams_requests: true,
            hashes,
            chains,
        };
    };
    let (method, chains) = (route.method(), route.chains());
    MethodAnswer {
        known: true,
        streams_requests: method.kind().streams_requests(),
        hashes: Hashes {
            request: method.request_closure(),
            response: method.response_closure(),
        },
        chains: Chains {
            request: &chains.request,
            response: &chains.response,
        },
    }
}

/// Judges the layouts of a method whose hashes differ, and tells the server.
pub(super) fn judge(shared: &Shared, index: u32) {
    let asked = shared.step(|state| {
        let method = state.named.get(index as usize).copied();
        method.zip(state.session.layouts_to_judge(index))
    });
    let Some((method, theirs)) = asked else {
        return;
    };
    let verdict = verdict(method, &theirs);
    let path = method.path();
    tracing::debug!(
        path,
        verdict.request,
        verdict.response,
        "the layouts of a method differ"
    );
    shared.step(|state| state.session.settle_layouts(index, verdict));
}

/// A direction carries archives if its hashes are equal or its chains agree.
fn verdict(method: &MethodInfo, theirs: &JudgeLayouts) -> Verdict {
    let agree = |chains: &[u8], root: &'static Layout| {
        // Chains that cannot be read promise nothing, so protobuf it is.
        Closure::from_bytes(chains).is_ok_and(|closure| closure.agrees_with(root))
    };
    let JudgeLayouts {
        ours,
        theirs: their_hashes,
        request_chains,
        response_chains,
        ..
    } = theirs;
    Verdict {
        request: ours.request == their_hashes.request || agree(request_chains, method.request()),
        response: ours.response == their_hashes.response
            || agree(response_chains, method.response()),
    }
}
