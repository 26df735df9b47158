//! The seam to whatever knows where a service is.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::balance::Nearness;
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
}
