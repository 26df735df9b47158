//! The seam to whatever knows where a service is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::balance::{Load, Nearness};
use crate::call::Endpoint;

/// An endpoint of a target, as a resolver knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedEndpoint {
    /// Names the instance; two at one address, one after the other, are two.
    pub id: Arc<str>,
    /// Where it is.
    pub endpoint: Endpoint,
    /// How much it takes in relation to the others; with 0 it is given no call.
    pub weight: u32,
    /// How near it is to the caller.
    pub nearness: Nearness,
    /// Whether it is believed to answer.
    pub available: bool,
}

impl ResolvedEndpoint {
    /// One of weight 1, near and available.
    pub fn new(id: impl Into<Arc<str>>, endpoint: Endpoint) -> Self {
        Self {
            id: id.into(),
            endpoint,
            weight: 1,
            nearness: Nearness::Zone,
            available: true,
        }
    }

    /// Sets its weight.
    #[must_use]
    pub const fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets how near it is.
    #[must_use]
    pub const fn nearness(mut self, nearness: Nearness) -> Self {
        self.nearness = nearness;
        self
    }

    /// Sets whether it is believed to answer.
    #[must_use]
    pub const fn available(mut self, available: bool) -> Self {
        self.available = available;
        self
    }
}

/// Endpoints that do not change, such as a list that a program was configured with.
///
/// ```
/// use dreammesh_core::resolve::Fixed;
///
/// let shops = Fixed::new(["dreammesh+tcp://10.0.0.7:7443", "dreammesh+tcp://10.0.0.8:7443"]);
/// ```
#[derive(Clone, Debug)]
pub struct Fixed(Option<Vec<ResolvedEndpoint>>);

impl Fixed {
    /// The endpoints at some direct targets, all of the same weight.
    pub fn new<T: Into<Arc<str>>>(targets: impl IntoIterator<Item = T>) -> Self {
        let targets = targets.into_iter().map(Into::into);
        Self::of(targets.map(|target: Arc<str>| {
            ResolvedEndpoint::new(Arc::clone(&target), Endpoint::new(target))
        }))
    }

    /// Some endpoints.
    pub fn of(endpoints: impl IntoIterator<Item = ResolvedEndpoint>) -> Self {
        Self(Some(endpoints.into_iter().collect()))
    }
}

impl Resolver for Fixed {
    fn poll_endpoints(&mut self, _: &mut Context<'_>) -> Poll<Option<Vec<ResolvedEndpoint>>> {
        Poll::Ready(self.0.take())
    }
}

/// Says where a target is, again and again.
pub trait Resolver: Send + fmt::Debug + 'static {
    /// All endpoints that may be given calls, each time that they change; the last one given holds
    /// until then. None when they will not change any more.
    fn poll_endpoints(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<ResolvedEndpoint>>>;

    /// Why there is no endpoint, if it knows more of that than that there is none; it ends the
    /// message of calls that fail for that reason.
    fn why_none(&self) -> Option<String> {
        None
    }

    /// How old that is what it says, if that can grow old.
    fn knowledge(&self) -> Option<Arc<Knowledge>> {
        None
    }

    /// Is shown what an endpoint is doing that it has named, by its id; more than once perhaps.
    fn handle_load(&mut self, id: &str, load: &Arc<Load>) {
        let _ = (id, load);
    }
}

/// Finds whoever resolves targets that name no place themselves, such as services of a mesh.
pub trait Resolvers: Send + Sync + fmt::Debug + 'static {
    /// A resolver of a target, which begins to work when it is first polled.
    ///
    /// # Errors
    /// When this is no target that can be resolved here.
    fn resolver(
        &self,
        target: &str,
        abilities: Abilities,
    ) -> Result<Box<dyn Resolver>, ResolveError>;
}

/// What whoever asks for endpoints can do with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abilities {
    /// It knows whom to believe, and so can dial what is encrypted.
    pub encrypted: bool,
}

impl Abilities {
    /// Sets whether it can dial what is encrypted.
    #[must_use]
    pub const fn encrypted(mut self, encrypted: bool) -> Self {
        self.encrypted = encrypted;
        self
    }
}

/// A target that is not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError(String);

impl ResolveError {
    /// One for which there is that reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ResolveError {}

/// How old it is what a resolver says; shared between the resolver and those who count.
///
/// It is confirmed whenever whoever knows is heard of, whether anything has changed or not.
#[derive(Debug)]
pub struct Knowledge {
    origin: Instant,
    /// When it was confirmed last, in milliseconds from the origin: before it where knowledge was
    /// left over from an earlier process. Nothing is known at [`NEVER`].
    confirmed: AtomicI64,
}

impl Knowledge {
    /// Nothing is known yet.
    pub const fn new(now: Instant) -> Self {
        Self {
            origin: now,
            confirmed: AtomicI64::new(NEVER),
        }
    }

    /// What is known holds now.
    pub fn confirm(&self, now: Instant) {
        self.confirm_aged(now, Duration::ZERO);
    }

    /// What is known held so long ago, unless it is known to have held later.
    pub fn confirm_aged(&self, now: Instant, age: Duration) {
        let at = self.millis(now).saturating_sub(millis(age));
        self.confirmed.fetch_max(at, Ordering::Relaxed);
    }

    /// How long ago what is known held for certain; none if nothing is known.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let confirmed = self.confirmed.load(Ordering::Relaxed);
        let age = self.millis(now).saturating_sub(confirmed);
        (confirmed != NEVER).then(|| Duration::from_millis(age.try_into().unwrap_or(0)))
    }

    fn millis(&self, now: Instant) -> i64 {
        millis(now.saturating_duration_since(self.origin))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

const NEVER: i64 = i64::MIN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knowledge_is_as_old_as_its_last_confirmation() {
        let origin = crate::clock::now();
        let at = |secs| origin + Duration::from_secs(secs);
        let knowledge = Knowledge::new(origin);
        assert_eq!(knowledge.age(at(5)), None);
        knowledge.confirm_aged(at(0), Duration::from_secs(60));
        assert_eq!(knowledge.age(at(5)), Some(Duration::from_secs(65)));
        knowledge.confirm(at(6));
        // What comes late of what was known before makes it no older.
        knowledge.confirm_aged(at(7), Duration::from_secs(60));
        assert_eq!(knowledge.age(at(8)), Some(Duration::from_secs(2)));
        assert_eq!(knowledge.age(at(5)), Some(Duration::ZERO));
    }
}
