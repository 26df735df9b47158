//! The endpoints of a channel at one time.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use dreammesh_core::balance::{Load, Member as Choice, Picker, Policy};
use dreammesh_core::call::Endpoint;
use dreammesh_core::port::{ConnectionAsk, ConnectionSource, OpenTicket};
use dreammesh_core::resolve::ResolvedEndpoint;

use super::super::Connector;
use super::super::kept::KeptLink;
use super::Asked;
use crate::driver::timer;

/// The endpoints and how one of them is picked.
pub(super) struct Set {
    pub(super) picker: Picker,
    /// In the order of the picker's.
    pub(super) members: Box<[Arc<Member>]>,
    /// Which of them take calls as far as the resolver knows.
    take_calls: Box<[bool]>,
    /// How many there are beside one, without those of weight 0.
    pub(super) others: usize,
}

/// An endpoint that calls may be given.
pub(super) struct Member {
    id: Arc<str>,
    endpoint: Endpoint,
    pub(super) link: KeptLink,
    pub(super) load: Arc<Load>,
    /// When it came, unless it was there from the beginning.
    came: Option<Instant>,
}

impl Set {
    /// What follows on a former set, some endpoints of which stay as they are.
    pub(super) fn new(
        former: Option<&Self>,
        endpoints: Vec<ResolvedEndpoint>,
        policy: Policy,
        connector: &Connector,
        start: u64,
    ) -> Self {
        let now = timer::now();
        let known = former.iter().flat_map(|set| &set.members);
        let known: HashMap<_, _> = known.map(|member| (member.key(), member)).collect();
        let latency = former.map_or(Duration::ZERO, |set| set.least_latency(now));
        let mut members: Vec<Arc<Member>> = Vec::with_capacity(endpoints.len());
        let mut choices = Vec::with_capacity(endpoints.len());
        let mut take_calls = Vec::with_capacity(endpoints.len());
        let mut others = 0_usize;
        for resolved in endpoints {
            let member = match known.get(&(&*resolved.id, resolved.endpoint.target())) {
                Some(member) => Arc::clone(member),
                None => {
                    let load = Arc::new(Load::with_latency(now, latency));
                    let came = former.map(|_| now);
                    match Member::new(&resolved, connector, load, came) {
                        Some(member) => Arc::new(member),
                        None => continue,
                    }
                }
            };
            take_calls.push(resolved.weight > 0 && resolved.available);
            others += usize::from(resolved.weight > 0);
            let choice = Choice::new(Arc::clone(&member.load))
                .weight(resolved.weight)
                .nearness(resolved.nearness)
                .available(resolved.available);
            choices.push(match member.came {
                Some(came) => choice.starting(came, SLOW_START),
                None => choice,
            });
            members.push(member);
        }
        let taking = take_calls.iter().filter(|takes| **takes).count();
        for (member, takes) in members.iter().zip(&take_calls) {
            member.link.set_has_others(taking > usize::from(*takes));
        }
        Self {
            picker: Picker::new(policy, choices, start),
            members: members.into(),
            take_calls: take_calls.into(),
            others: others.saturating_sub(1),
        }
    }

    /// Whether an endpoint may be given calls.
    pub(super) fn takes_calls(&self, place: usize) -> bool {
        self.take_calls[place]
    }

    /// Where an endpoint is, if it is here.
    pub(super) fn place_of(&self, member: &Arc<Member>) -> Option<usize> {
        self.members.iter().position(|it| Arc::ptr_eq(it, member))
    }

    /// The least that any endpoint's answers take, which is what is expected of one that comes: a
    /// peak of the others would keep calls from it, and with them what shows that it does better.
    fn least_latency(&self, now: Instant) -> Duration {
        let latencies = self.members.iter().map(|member| member.load.latency(now));
        latencies.min().unwrap_or_default()
    }
}

impl Member {
    /// None for an endpoint that this version does not reach, which is logged.
    fn new(
        resolved: &ResolvedEndpoint,
        connector: &Connector,
        load: Arc<Load>,
        came: Option<Instant>,
    ) -> Option<Self> {
        let endpoint = resolved.endpoint.clone();
        match connector.source(endpoint.target()) {
            Ok(link) => Some(Self {
                id: Arc::clone(&resolved.id),
                endpoint,
                link,
                load,
                came,
            }),
            Err(error) => {
                tracing::warn!(%endpoint, %error, "an endpoint cannot be used");
                None
            }
        }
    }

    /// What the resolver calls it.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What tells it from others: an instance that comes back elsewhere is another endpoint.
    fn key(&self) -> (&str, &str) {
        (&self.id, self.endpoint.target())
    }

    /// Asks it for a connection, with a place of its own among those that wait there.
    pub(super) fn poll(
        &self,
        cx: &mut Context<'_>,
        ask: &ConnectionAsk<'_>,
        ticket: &mut OpenTicket,
        wait_for_ready: bool,
    ) -> Asked {
        let ask = ConnectionAsk {
            method: ask.method,
            deadline: ask.deadline,
            wait_for_ready,
            attempt: ask.attempt,
            message_bytes: ask.message_bytes,
            // It would go to an endpoint that may be gone, past others that are known to be there.
            early: false,
            ticket,
            balanced: &mut None,
            tried: &[],
        };
        self.link.poll_connection(cx, ask)
    }
}

/// How long an endpoint that came while others served takes to get its full part: what Envoy's
/// documentation has in its example.
const SLOW_START: Duration = Duration::from_secs(10);
