//! Which endpoints a client gives its calls to, seen from between the mesh and the channel.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use dreammesh::Mesh;
use dreammesh::balance::Load;
use dreammesh::resolve::{
    Abilities, Knowledge, ResolveError, ResolvedEndpoint, Resolver, Resolvers,
};

use crate::log::{Line, Log, now};

/// A mesh whose channels are watched; a clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    mesh: Mesh,
    seen: Seen,
}

/// The endpoints that channels have had, and what was last seen of each.
type Seen = Arc<Mutex<Vec<Member>>>;

#[derive(Debug)]
struct Member {
    id: String,
    load: Arc<Load>,
    /// Calls that are outstanding there and calls that failed because of it. This grows with each
    /// call that is given to it or that it cannot be reached for, and never with the end of one.
    given: u64,
}

impl Watched {
    pub(crate) fn new(mesh: Mesh) -> Self {
        let seen = Seen::default();
        Self { mesh, seen }
    }

    /// Writes down again and again which endpoints have been given calls.
    pub(crate) async fn watch(&self, log: &Log) -> Result<(), Box<dyn Error>> {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            let at = now();
            for member in lock(&self.seen).iter_mut() {
                let before = std::mem::replace(&mut member.given, given(&member.load));
                if member.given > before {
                    log.write(&Line::Picked {
                        at,
                        instance: member.id.clone(),
                    })?;
                }
            }
        }
    }
}

/// How often it is looked.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

fn given(load: &Load) -> u64 {
    load.failures() + u64::from(load.outstanding())
}

fn lock(seen: &Seen) -> MutexGuard<'_, Vec<Member>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resolvers for Watched {
    fn resolver(&self, target: &str, can: Abilities) -> Result<Box<dyn Resolver>, ResolveError> {
        Ok(Box::new(Spy {
            resolver: self.mesh.resolver(target, can)?,
            seen: Arc::clone(&self.seen),
        }))
    }
}

/// A resolver that is shown what the one of the mesh is.
#[derive(Debug)]
struct Spy {
    resolver: Box<dyn Resolver>,
    seen: Seen,
}

impl Resolver for Spy {
    fn poll_endpoints(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<ResolvedEndpoint>>> {
        self.resolver.poll_endpoints(cx)
    }

    fn why_none(&self) -> Option<String> {
        self.resolver.why_none()
    }

    fn knowledge(&self) -> Option<Arc<Knowledge>> {
        self.resolver.knowledge()
    }

    fn handle_load(&mut self, id: &str, load: &Arc<Load>) {
        let mut seen = lock(&self.seen);
        if !seen.iter().any(|member| Arc::ptr_eq(&member.load, load)) {
            seen.push(Member {
                id: id.to_owned(),
                load: Arc::clone(load),
                given: given(load),
            });
        }
        drop(seen);
        self.resolver.handle_load(id, load);
    }
}
