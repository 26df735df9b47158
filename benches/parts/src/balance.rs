//! Picking an endpoint among a thousand, with what is noted when its call begins and ends.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dreammesh_core::balance::{Load, Member, Picker, Policy, Random};

use crate::{Body, Part, session};

/// The parts.
pub const PARTS: &[Part] = &[
    Part::new("balance: peak EWMA of 1000", || pick(Policy::PeakEwma)),
    Part::new("balance: round robin of 1000", || pick(Policy::RoundRobin)),
    Part::new("balance: random of 1000", || pick(Policy::Random)),
    Part::new("balance: load of one call", load),
];

fn endpoints(now: Instant) -> Vec<Member> {
    let endpoint = |at: u32| {
        let load = Load::with_latency(now, Duration::from_micros(u64::from(500 + at)));
        Member::new(Arc::new(load)).weight(1 + at % 10)
    };
    (0..1_000).map(endpoint).collect()
}

fn pick(policy: Policy) -> Body {
    let mut now = session::start();
    let picker = Picker::new(policy, endpoints(now), 0);
    let mut random = Random::seeded(7);
    Box::new(move || {
        // So far apart are calls when there are a hundred thousand in a second.
        now += Duration::from_micros(10);
        black_box(picker.pick(now, &mut random));
    })
}

fn load() -> Body {
    let mut now = session::start();
    let load = Load::new(now);
    Box::new(move || {
        let began = now;
        now += Duration::from_micros(10);
        load.handle_begun(began);
        load.handle_answered(began, black_box(now));
    })
}
