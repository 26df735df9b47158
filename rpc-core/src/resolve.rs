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

/// Says where a target is, again and again.
pub trait Resolver: Send + fmt::Debug + 'static {
    /// All endpoints that may be given calls, each time that they change; the last one given holds
    /// until then. None when they will not change any more.
    fn poll_endpoints(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<ResolvedEndpoint>>>;
}
