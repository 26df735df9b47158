//! Which endpoint a call goes to: pure picking over what is known at the time.
//!
//! A [`Picker`] is immutable and made anew for each change of what there is to pick from; what
//! changes with every call is in the [`Load`] of each endpoint, which pickers share. Picking takes
//! no lock and no memory. It reads no clock and draws no randomness of its own, so that a seed
//! replays a run.
//!
//! - `load`: how long an endpoint's answers take and how many are outstanding.
//! - `draw`: a weighted choice in constant time; `stride`: a weighted rotation.
//! - `tiers`: how much of the calls leaves the zone.
//! - `random`: the randomness that is handed in.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use dreammesh_core::balance::{Load, Member, Picker, Policy, Random};
//!
//! let now = Instant::now();
//! let members = (0..3).map(|_| Member::new(Arc::new(Load::new(now))));
//! let mut random = Random::seeded(7);
//! let picker = Picker::new(Policy::default(), members.collect(), random.next_u64());
//! let picked = picker.pick(now, &mut random).expect("there are three");
//!
//! let load = picker.members()[picked].load();
//! load.handle_begun(now);
//! // … the answer comes.
//! load.handle_answered(now, Instant::now());
//! ```

mod draw;
mod load;
mod random;
mod stride;
mod tiers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use draw::Draw;
pub use load::Load;
pub use random::Random;
use stride::Strides;
use tiers::shares;

/// How an endpoint is chosen among those that are as near as one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// The better one of two, by the latency of its answers and how many are outstanding.
    ///
    /// The first of the two is drawn by weight, the second at random; the call goes to the second
    /// the more surely the better it does. Endpoints that do equally well are therefore given
    /// calls by their weights. After Mitzenmacher, "The Power of Two Choices in Randomized Load
    /// Balancing" (2001), with the estimate that [`Load`] describes.
    #[default]
    PeakEwma,
    /// In turn, each as often as its weight says, spread evenly.
    RoundRobin,
    /// By weight alone.
    Random,
}

/// How near an endpoint is, the nearest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the registry knows of zones and regions, and of nothing between"
)]
pub enum Nearness {
    /// In the caller's zone, or where that is not asked for.
    #[default]
    Zone,
    /// In another zone of its region.
    Region,
    /// Anywhere else.
    Elsewhere,
}

/// An endpoint to pick from.
#[derive(Clone, Debug)]
pub struct Member {
    load: Arc<Load>,
    weight: u32,
    nearness: Nearness,
    available: bool,
    starting: Option<Starting>,
}

/// An endpoint that is given more and more calls.
#[derive(Clone, Copy, Debug)]
struct Starting {
    since: Instant,
    period: Duration,
}

impl Member {
    /// One of weight 1, near and available.
    pub const fn new(load: Arc<Load>) -> Self {
        Self {
            load,
            weight: 1,
            nearness: Nearness::Zone,
            available: true,
            starting: None,
        }
    }

    /// Sets its weight; with 0 it is given no call.
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

    /// Sets whether it is believed to answer; one that is not is given calls only if none is.
    #[must_use]
    pub const fn available(mut self, available: bool) -> Self {
        self.available = available;
        self
    }

    /// Has it be given a tenth of its calls at first, and all of them when the period is over:
    /// caches that are cold and code that is not compiled yet make newcomers slow.
    #[must_use]
    pub const fn starting(mut self, since: Instant, period: Duration) -> Self {
        self.starting = Some(Starting { since, period });
        self
    }

    /// What it is doing.
    pub const fn load(&self) -> &Arc<Load> {
        &self.load
    }
}

impl Starting {
    /// What of its calls it is given; more than 1 once it has started.
    fn ramp(self, now: Instant) -> f32 {
        let age = now.saturating_duration_since(self.since).as_secs_f32();
        (age / self.period.as_secs_f32()).max(RAMP_MIN)
    }
}

/// Picks endpoints for calls; immutable.
#[derive(Debug)]
pub struct Picker {
    policy: Policy,
    members: Box<[Member]>,
    tiers: Box<[Tier]>,
}

/// Endpoints that are as near as one another.
#[derive(Debug)]
struct Tier {
    /// What of 2^32 calls goes here or to a tier before it; `u32::MAX` in the last.
    upto: u32,
    /// Their places among the members, those of weight 0 and the unavailable left out; not empty.
    places: Box<[u32]>,
    /// For each of them, the mean weight in relation to its own.
    relief: Box<[f32]>,
    draw: Draw,
    strides: Strides,
}

impl Picker {
    /// A picker over endpoints that may be given calls; those that drain do not belong here.
    ///
    /// Calls stay in the nearest tier as long as most of it is available; what it cannot take goes
    /// on to the next. If nobody is available, everybody is given calls: what is known may be wrong,
    /// and to fail all calls is no better.
    ///
    /// A rotation begins at `start`, which should differ from client to client, so that not all of
    /// them begin with the same endpoint.
    ///
    /// # Panics
    /// With more than 2^32 endpoints.
    pub fn new(policy: Policy, members: Vec<Member>, start: u64) -> Self {
        let nobody = !members.iter().any(Member::takes_calls);
        let mut tiers = Vec::new();
        for nearness in [Nearness::Zone, Nearness::Region, Nearness::Elsewhere] {
            let there = |member: &Member| member.weight > 0 && member.nearness == nearness;
            let weigh = |filter: &dyn Fn(&Member) -> bool| {
                let weights = members.iter().filter(|it| there(it) && filter(it));
                weights.map(|member| u64::from(member.weight)).sum::<u64>()
            };
            let takes = |member: &Member| nobody || member.takes_calls();
            let (all, available) = (weigh(&|_| true), weigh(&takes));
            if available > 0 {
                let places = (0_u32..).zip(&members);
                let places = places.filter(|(_, member)| there(member) && takes(member));
                let places = places.map(|(place, _)| place).collect();
                tiers.push((all, available, places));
            }
        }
        let uptos = shares(tiers.iter().map(|(all, available, _)| (*all, *available)));
        let tiers = tiers.into_iter().zip(uptos);
        let tiers = tiers.map(|((.., places), upto)| Tier::new(&members, places, upto, start));
        Self {
            policy,
            tiers: tiers.collect(),
            members: members.into(),
        }
    }

    /// The endpoints, in the order in which they were given.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether there is none of a weight beyond 0.
    pub fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// The place among the [`members`](Self::members) of the one that a call goes to; none if there
    /// is none of a weight beyond 0.
    #[inline]
    pub fn pick(&self, now: Instant, random: &mut Random) -> Option<usize> {
        let tier = self.tier(random)?;
        if let [only] = *tier.places {
            return Some(only as usize);
        }
        let first = self.first(tier, now, random);
        let picked = match self.policy {
            Policy::PeakEwma => self.better_of_two(tier, first, now, random),
            Policy::RoundRobin | Policy::Random => first,
        };
        Some(tier.places[picked] as usize)
    }

    /// As [`pick`](Self::pick), but one that `tried` does not name, as long as there is one.
    pub fn pick_other(
        &self,
        now: Instant,
        random: &mut Random,
        tried: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut picked = self.pick(now, random)?;
        for _ in 0..OTHERS {
            if !tried(picked) {
                return Some(picked);
            }
            picked = self.pick(now, random)?;
        }
        // From a place at random on, so that the others share what one of them does not take.
        let mut places = self.tiers.iter().flat_map(|tier| {
            let start = random.below(tier.places.len());
            let (before, from) = tier.places.split_at(start);
            from.iter().chain(before).map(|place| *place as usize)
        });
        let other = places.find(|place| !tried(*place));
        other.or(Some(picked))
    }

    fn tier(&self, random: &mut Random) -> Option<&Tier> {
        match &*self.tiers {
            [] => None,
            [tier] => Some(tier),
            [.., last] => {
                let at = random.next_u32();
                Some(self.tiers.iter().find(|it| at < it.upto).unwrap_or(last))
            }
        }
    }

    /// The first that comes up in a tier; one that is starting is passed over more often than not.
    fn first(&self, tier: &Tier, now: Instant, random: &mut Random) -> usize {
        let mut at = 0;
        for _ in 0..PASSED_OVER {
            at = match self.policy {
                Policy::PeakEwma | Policy::Random => tier.draw.draw(random),
                Policy::RoundRobin => tier.strides.next(),
            };
            if self.is_ready(tier, at, now, random) {
                break;
            }
        }
        at
    }

    fn better_of_two(&self, tier: &Tier, first: usize, now: Instant, random: &mut Random) -> usize {
        let second = random.below(tier.places.len() - 1);
        let second = second + usize::from(second >= first);
        let cost = |at: usize| self.member(tier, at).load.cost(now, tier.relief[at]);
        let ratio = cost(second) / cost(first);
        // Steep enough that one which does twice as well gets all but a sixteenth of these calls,
        // and none changes sides for the noise in what is measured.
        let stays = (ratio * ratio) * (ratio * ratio);
        let drawn = random.next_f32();
        let is_tried = drawn < TRIED && self.member(tier, first).load.is_rested(now);
        if ratio < 1.0 && drawn >= stays && !is_tried && self.is_ready(tier, second, now, random) {
            return second;
        }
        first
    }

    fn is_ready(&self, tier: &Tier, at: usize, now: Instant, random: &mut Random) -> bool {
        match self.member(tier, at).starting {
            None => true,
            Some(starting) => random.next_f32() < starting.ramp(now),
        }
    }

    fn member(&self, tier: &Tier, at: usize) -> &Member {
        &self.members[tier.places[at] as usize]
    }
}

impl Member {
    const fn takes_calls(&self) -> bool {
        self.available && self.weight > 0
    }
}

impl Tier {
    fn new(members: &[Member], places: Vec<u32>, upto: u32, start: u64) -> Self {
        let weights: Vec<u32> = places
            .iter()
            .map(|place| members[*place as usize].weight)
            .collect();
        let total: f64 = weights.iter().copied().map(f64::from).sum();
        let mean = total / weights.len() as f64;
        let relief = weights
            .iter()
            .map(|weight| (mean / f64::from(*weight)) as f32);
        Self {
            upto,
            relief: relief.collect(),
            draw: Draw::new(&weights),
            strides: Strides::new(&weights, start),
            places: places.into(),
        }
    }
}

/// How many of the calls that would go elsewhere try an endpoint that has done badly, if it has had
/// a rest: too few to show in a p99, and enough to find one that has recovered from a standstill in
/// seconds, where what is remembered of it would take a minute and a half to fade.
const TRIED: f32 = 1.0 / 64.0;
/// What an endpoint that starts is given at first, of what it is given later.
const RAMP_MIN: f32 = 0.1;
/// How many that are starting are passed over for one call: in a tier of nothing else, one of them
/// has to take it.
const PASSED_OVER: u32 = 8;
/// How often another one is picked at random before any that was not tried will do.
const OTHERS: u32 = 4;

#[cfg(test)]
mod tests;
