//! Which directions of a method carry archives: the decisions, and what is remembered of them.
//!
//! Each side knows of its own messages a hash over everything they reach. When the peer's hashes
//! are equal, both directions carry archives. When they differ, the chains behind them are
//! exchanged once and judged with [`judge`]; the verdict is remembered under both pairs of hashes,
//! so that no other connection asks again. What a peer's hashes were last time is remembered too,
//! so that the first call of a new connection need not wait to learn them; validation never
//! trusts any of it.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dreammesh_wire::closure::Closure;
use dreammesh_wire::{Layout, LayoutHash};

use crate::call::{Endpoint, MethodInfo};

/// The hashes over everything that the two sides of a method reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a call has two directions")]
pub struct ClosureHashes {
    /// Of the request.
    pub request: LayoutHash,
    /// Of the response.
    pub response: LayoutHash,
}

impl ClosureHashes {
    /// This side's hashes of a method.
    pub const fn of(method: &MethodInfo) -> Self {
        Self {
            request: method.request_closure(),
            response: method.response_closure(),
        }
    }
}

/// Which directions of a method carry archives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a call has two directions")]
pub struct Verdict {
    /// The server reads the client's requests in place.
    pub request: bool,
    /// The client reads the server's responses in place.
    pub response: bool,
}

impl Verdict {
    /// Archives both ways.
    pub const BOTH: Self = Self {
        request: true,
        response: true,
    };
    /// Protobuf both ways.
    pub const NEITHER: Self = Self {
        request: false,
        response: false,
    };

    /// The verdict that hashes alone allow: a direction whose hashes are equal needs no chains.
    pub fn of_hashes(ours: ClosureHashes, theirs: ClosureHashes) -> Self {
        Self {
            request: ours.request == theirs.request,
            response: ours.response == theirs.response,
        }
    }
}

/// The chains of everything that the two sides of a method reach, as the peer judges them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a call has two directions")]
pub struct MethodChains {
    /// Of the request.
    pub request: Vec<u8>,
    /// Of the response.
    pub response: Vec<u8>,
}

impl MethodChains {
    /// This side's chains of a method.
    pub fn of(method: &MethodInfo) -> Self {
        Self {
            request: Closure::of(method.request()).to_bytes(),
            response: Closure::of(method.response()).to_bytes(),
        }
    }
}

/// Judges which directions of a method carry archives, by the peer's hashes and chains.
///
/// A direction does when its hashes are equal or its chains agree. Chains that cannot be read
/// promise nothing, so that direction stays protobuf.
pub fn judge(
    method: &MethodInfo,
    theirs: ClosureHashes,
    request_chains: &[u8],
    response_chains: &[u8],
) -> Verdict {
    let agree = |chains: &[u8], root: &'static Layout| {
        Closure::from_bytes(chains).is_ok_and(|closure| closure.agrees_with(root))
    };
    let equal = Verdict::of_hashes(ClosureHashes::of(method), theirs);
    Verdict {
        request: equal.request || agree(request_chains, method.request()),
        response: equal.response || agree(response_chains, method.response()),
    }
}

/// Verdicts and peers' hashes from earlier connections; a clone shares them.
///
/// It is a value handed to those who connect; [`VerdictCache::process`] is the one that they
/// share unless told otherwise. Both tables are bounded at
/// [`VerdictCache::ENTRIES_MAX`], the oldest entry giving way.
#[derive(Clone, Debug, Default)]
pub struct VerdictCache(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    /// By our hashes and theirs.
    verdicts: Bounded<(ClosureHashes, ClosureHashes), Verdict>,
    /// By endpoint and path.
    peers: Bounded<(Endpoint, &'static str), ClosureHashes>,
}

impl VerdictCache {
    /// How many entries each table holds: some 100 KiB, and enough for a few hundred methods at
    /// several endpoints each. One entry too few costs an exchange of chains.
    pub const ENTRIES_MAX: usize = 1024;

    /// Nothing remembered yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The one of this process.
    ///
    /// It is a memory of pure comparisons and of what peers said of themselves, which each peer
    /// checks again; whoever shares it can only be slower or faster, never wrong.
    pub fn process() -> Self {
        static PROCESS: OnceLock<VerdictCache> = OnceLock::new();
        PROCESS.get_or_init(Self::new).clone()
    }

    /// The verdict found before for two pairs of hashes; equal hashes need no memory.
    pub fn verdict(&self, ours: ClosureHashes, theirs: ClosureHashes) -> Option<Verdict> {
        if ours == theirs {
            return Some(Verdict::BOTH);
        }
        self.tables().verdicts.map.get(&(ours, theirs)).copied()
    }

    /// What to assume of a method at an endpoint before the endpoint has said anything.
    pub fn assume(
        &self,
        endpoint: &Endpoint,
        method: &'static MethodInfo,
    ) -> Option<(ClosureHashes, Verdict)> {
        let theirs = self
            .tables()
            .peers
            .map
            .get(&(endpoint.clone(), method.path()))
            .copied()?;
        Some((theirs, self.verdict(ClosureHashes::of(method), theirs)?))
    }

    /// Remembers what an endpoint's hashes of a method are and what was found for them.
    pub fn learn(
        &self,
        endpoint: &Endpoint,
        method: &'static MethodInfo,
        theirs: ClosureHashes,
        verdict: Verdict,
    ) {
        let ours = ClosureHashes::of(method);
        let mut tables = self.tables();
        tables
            .peers
            .insert((endpoint.clone(), method.path()), theirs);
        if ours != theirs {
            tables.verdicts.insert((ours, theirs), verdict);
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A table that forgets its oldest entry rather than grow.
#[derive(Debug)]
struct Bounded<K, V> {
    map: HashMap<K, V>,
    /// The keys of the map, oldest first.
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self {
            map: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > VerdictCache::ENTRIES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use dreammesh_wire::Layout;

    use super::*;
    use crate::call::MethodKind;

    static OLD: Layout = Layout::new("t.M", &[], &[], 0, &[LayoutHash([1; 16])]);
    static NEW: Layout = Layout::new(
        "t.M",
        &[],
        &[],
        0,
        &[LayoutHash([1; 16]), LayoutHash([2; 16])],
    );
    static OTHER: Layout = Layout::new("t.M", &[], &[], 0, &[LayoutHash([9; 16])]);

    static CLIENT: MethodInfo = MethodInfo::new("/t.T/M", MethodKind::Unary, &OLD, &OLD)
        .with_closures(LayoutHash([1; 16]), LayoutHash([1; 16]));
    static SERVER: MethodInfo = MethodInfo::new("/t.T/M", MethodKind::Unary, &NEW, &OTHER)
        .with_closures(LayoutHash([2; 16]), LayoutHash([9; 16]));

    fn judged(ours: &MethodInfo, theirs: &MethodInfo) -> Verdict {
        let chains = MethodChains::of(theirs);
        judge(
            ours,
            ClosureHashes::of(theirs),
            &chains.request,
            &chains.response,
        )
    }

    #[test]
    fn each_direction_is_judged_by_itself() {
        let verdict = Verdict {
            request: true,
            response: false,
        };
        assert_eq!(judged(&CLIENT, &SERVER), verdict);
        assert_eq!(judged(&SERVER, &CLIENT), verdict);
        assert_eq!(judged(&CLIENT, &CLIENT), Verdict::BOTH);
    }

    #[test]
    fn chains_that_are_none_leave_protobuf() {
        let good = MethodChains::of(&SERVER).request;
        let theirs = ClosureHashes::of(&SERVER);
        for len in 0..good.len() {
            assert_eq!(
                judge(&CLIENT, theirs, &good[..len], &[0xff; 64]),
                Verdict::NEITHER
            );
        }
        let equal = ClosureHashes::of(&CLIENT);
        assert_eq!(judge(&CLIENT, equal, &[], &[]), Verdict::BOTH);
    }

    #[test]
    fn what_was_learnt_is_assumed_for_the_next_connection() {
        let cache = VerdictCache::new();
        let endpoint = Endpoint::new("there");
        let theirs = ClosureHashes::of(&SERVER);
        assert_eq!(cache.assume(&endpoint, &CLIENT), None);
        let verdict = Verdict {
            request: true,
            response: false,
        };
        cache.learn(&endpoint, &CLIENT, theirs, verdict);
        assert_eq!(cache.assume(&endpoint, &CLIENT), Some((theirs, verdict)));
        assert_eq!(cache.assume(&Endpoint::new("elsewhere"), &CLIENT), None);
        assert_eq!(
            cache.verdict(ClosureHashes::of(&CLIENT), theirs),
            Some(verdict)
        );
    }

    #[test]
    fn the_tables_forget_the_oldest_past_their_bound() {
        let cache = VerdictCache::new();
        let endpoint = |n: usize| Endpoint::new(format!("endpoint-{n}"));
        let theirs = ClosureHashes::of(&CLIENT);
        for n in 0..VerdictCache::ENTRIES_MAX {
            cache.learn(&endpoint(n), &CLIENT, theirs, Verdict::BOTH);
        }
        assert!(cache.assume(&endpoint(0), &CLIENT).is_some());
        cache.learn(
            &endpoint(VerdictCache::ENTRIES_MAX),
            &CLIENT,
            theirs,
            Verdict::BOTH,
        );
        assert!(cache.assume(&endpoint(0), &CLIENT).is_none());
        assert!(cache.assume(&endpoint(1), &CLIENT).is_some());
        assert_eq!(cache.tables().peers.map.len(), VerdictCache::ENTRIES_MAX);
    }
}
