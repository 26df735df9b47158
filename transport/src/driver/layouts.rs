//! What the two sides of a connection tell each other about their layouts.

use dreammesh_core::call::{Endpoint, MethodInfo, WireOption};
use dreammesh_core::negotiate::{self, ClosureHashes, VerdictCache};
use dreammesh_core::wire::LayoutHash;
use dreammesh_session::MethodAnswer;
use dreammesh_session::frame::method::{Assumed, Hashes, Verdict};
use dreammesh_session::frame::method_ack::Chains;

use super::route::Route;
use super::shared::{Shared, State};

/// What a client remembers of the layouts at the other end, across its connections.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    pub(crate) cache: VerdictCache,
    pub(crate) endpoint: Endpoint,
    /// What other sessions to the same process have been told by it, which is certain.
    pub(crate) siblings: Option<VerdictCache>,
}

impl Remembered {
    /// What to assume of a method before the server has answered, so that its first call already
    /// carries archives; true if it is certain.
    pub(super) fn assume(&self, method: &'static MethodInfo) -> Option<(Assumed, bool)> {
        let siblings = self.siblings.as_ref();
        if let Some(told) = siblings.and_then(|cache| cache.assume(&self.endpoint, method)) {
            return Some((assumed(told), true));
        }
        let remembered = self.cache.assume(&self.endpoint, method)?;
        Some((assumed(remembered), false))
    }
}

const fn assumed((theirs, verdict): (ClosureHashes, negotiate::Verdict)) -> Assumed {
    Assumed {
        verdict: Verdict {
            request: verdict.request,
            response: verdict.response,
        },
        peer: Hashes {
            request: theirs.request,
            response: theirs.response,
        },
    }
}

/// Client: remembers what is settled about a method.
pub(super) fn learn(state: &State, index: u32) {
    let method = state.named.get(index as usize).copied();
    let hashes = state.session.method_hashes(index);
    let (Some(remembered), Some(method), Some((_, theirs))) = (&state.remembered, method, hashes)
    else {
        return;
    };
    let verdict = state.session.verdict(index);
    let verdict = negotiate::Verdict {
        request: verdict.request,
        response: verdict.response,
    };
    for cache in [Some(&remembered.cache), remembered.siblings.as_ref()] {
        let theirs = closure_hashes(theirs);
        if let Some(cache) = cache {
            cache.learn(&remembered.endpoint, method, theirs, verdict);
        }
    }
}

const fn closure_hashes(hashes: Hashes) -> ClosureHashes {
    ClosureHashes {
        request: hashes.request,
        response: hashes.response,
    }
}

/// The server's answer about a method that the client named.
pub(super) fn answer(route: Option<&Route>, wire: WireOption) -> MethodAnswer<'_> {
    let mut answer = MethodAnswer {
        known: route.is_some(),
        streams_requests: true,
        hashes: NO_LAYOUTS,
        chains: Chains {
            request: &[],
            response: &[],
        },
    };
    let Some(route) = route else { return answer };
    answer.streams_requests = route.method().kind().streams_requests();
    // A server that takes no archives claims no layouts, so nothing agrees with them.
    if wire != WireOption::Protobuf {
        let (hashes, chains) = (ClosureHashes::of(route.method()), route.chains());
        answer.hashes = Hashes {
            request: hashes.request,
            response: hashes.response,
        };
        answer.chains = Chains {
            request: &chains.request,
            response: &chains.response,
        };
    }
    answer
}

const NO_LAYOUTS: Hashes = Hashes {
    request: LayoutHash([0; 16]),
    response: LayoutHash([0; 16]),
};

/// Judges the layouts of a method whose hashes differ, and tells the server.
pub(super) fn judge(shared: &Shared, index: u32) {
    let asked = shared.step(|state| {
        let method = state.named.get(index as usize).copied();
        method.zip(state.session.layouts_to_judge(index))
    });
    let Some((method, theirs)) = asked else {
        return;
    };
    let verdict = negotiate::judge(
        method,
        closure_hashes(theirs.theirs),
        &theirs.request_chains,
        &theirs.response_chains,
    );
    let verdict = Verdict {
        request: verdict.request,
        response: verdict.response,
    };
    let path = method.path();
    tracing::debug!(
        path,
        verdict.request,
        verdict.response,
        "the layouts of a method differ"
    );
    shared.step(|state| {
        state.session.settle_layouts(index, verdict);
        // There may be nothing to send, but somebody waits for the verdict.
        state.summoned |= state.awaiting_verdict;
    });
}
