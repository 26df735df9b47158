//! What repetitions add to the load of a service that fails every call, three hops away, simulated
//! in virtual time. A seed replays a run.

use std::time::{Duration, Instant};

use super::{Budget, Failed, Verdict};
use crate::balance::Random;
use crate::call::{Begun, CallError, Idempotency, Metadata, Status};
use crate::clock;
use crate::port::Ended;

/// How a chain of services treats what fails behind it.
#[derive(Clone, Copy, Debug)]
struct Custom {
    /// What a handler makes of the failure of the call that it made.
    passes: Passes,
    /// Whether a handler knows that what it serves is a repetition.
    marked: bool,
}

#[derive(Clone, Copy, Debug)]
enum Passes {
    /// A code that is no reason to repeat anything.
    Internal,
    /// What `?` makes of it: UNAVAILABLE that says whose it is.
    Converted,
    /// UNAVAILABLE as if it were its own, as a service with another library may answer.
    AsItsOwn,
}

struct Chain {
    custom: Custom,
    /// Of the channel of each hop, the caller's first.
    budgets: [Budget; HOPS],
    /// Calls that came to the end of each hop.
    load: [u64; HOPS],
    now: Instant,
}

impl Chain {
    /// A call over a hop, on behalf of one that is a repetition or is none.
    fn call(&mut self, hop: usize, repetition: bool) -> Status {
        let nested = repetition && self.custom.marked;
        if !nested {
            self.budgets[hop].pay();
        }
        let mut attempt = 0;
        loop {
            self.load[hop] += 1;
            let status = self.serve(hop, repetition || attempt > 0);
            let ended = Ended::by_peer(status, Begun::Maybe, Metadata::new());
            let failed = Failed {
                ended: &ended,
                connection_over: false,
                elsewhere: true,
                idempotency: Idempotency::Idempotent,
                attempt,
                nested,
            };
            match failed.verdict(&self.budgets[hop], || self.now) {
                Verdict::Repeat => attempt += 1,
                Verdict::Fail | Verdict::Anew => return self.passed_on(ended),
            }
        }
    }

    fn passed_on(&self, ended: Ended) -> Status {
        match self.custom.passes {
            Passes::Internal => Status::internal("a service behind this one failed"),
            Passes::Converted => CallError::from(ended).into(),
            Passes::AsItsOwn => Status::unavailable("a service behind this one failed"),
        }
    }

    /// What stands at the end of a hop: another, or the backend that fails.
    fn serve(&mut self, hop: usize, repetition: bool) -> Status {
        if hop + 1 == HOPS {
            return Status::unavailable("it fails every call");
        }
        self.call(hop + 1, repetition)
    }
}

/// Calls in relation to those that were offered, at the end of each hop.
fn run(custom: Custom, rate: f64) -> [f64; HOPS] {
    let start = clock::now();
    let mut chain = Chain {
        custom,
        budgets: [const { Budget::new() }; HOPS],
        load: [0; HOPS],
        now: start,
    };
    let mut random = Random::seeded(SEED);
    let mut offered = 0_u64;
    while chain.now < start + RUN {
        chain.call(0, false);
        offered += 1;
        let part = ((random.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        chain.now += Duration::from_secs_f64(-part.ln() / rate);
    }
    chain.load.map(|load| load as f64 / offered as f64)
}

const HOPS: usize = 3;
const SEED: u64 = 0xd4ea;
const RUN: Duration = Duration::from_secs(60);

#[test]
fn each_hop_adds_no_more_than_its_budget() {
    eprintln!("{HOPS} hops, the last fails every call, {RUN:?}, seed {SEED:#x}");
    for rate in [500.0, 5_000.0] {
        let mut last = Vec::new();
        for (title, passes, marked) in [
            ("only the last hop sees UNAVAILABLE", Passes::Internal, true),
            ("each hop passes it on", Passes::Converted, true),
            ("each hop says it of itself", Passes::AsItsOwn, true),
            ("and none knows of repetitions", Passes::AsItsOwn, false),
        ] {
            let load = run(Custom { passes, marked }, rate);
            let text = load.map(|it| format!("{it:.3}")).join(" | ");
            eprintln!("| {title}, {rate} calls a second | {text} |");
            last.push(load[HOPS - 1]);
        }
        assert!(last[0] <= 1.2, "{last:?}");
        // Of a chain that tells whose the failure is, only the last hop repeats.
        assert!(last[1] <= 1.2, "{last:?}");
        // Marked calls are not repeated, so what hops add is added and not multiplied.
        assert!(last[2] <= 1.0 + 0.2 * HOPS as f64, "{last:?}");
        assert!(last[3] > last[2], "{last:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_load() {
    let custom = Custom {
        passes: Passes::AsItsOwn,
        marked: true,
    };
    assert_eq!(run(custom, 500.0), run(custom, 500.0));
}
