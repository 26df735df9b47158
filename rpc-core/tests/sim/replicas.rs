//! Clients that balance calls over replicas, each of which serves a few at a time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dreammesh_core::balance::{Load, Member, Picker, Policy, Random};

/// A world to run.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) seed: u64,
    pub(crate) clients: usize,
    /// Calls in a second, of all clients together.
    pub(crate) rate: f64,
    pub(crate) run: Duration,
    pub(crate) service: Service,
    pub(crate) replicas: usize,
    /// How many calls a replica serves at a time; others wait there in their order.
    pub(crate) workers: usize,
}

/// How long a replica takes for a call that it begins then: what it waits for first, and the mean
/// of what it takes after that.
pub(crate) type Service = fn(replica: usize, at: Duration) -> (Duration, Duration);

/// What became of the calls.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    /// How long each took, in the order in which they ended.
    latencies: Vec<Duration>,
    /// How many each replica was given, by the [`WINDOW`] in which they began.
    windows: Vec<Vec<usize>>,
}

/// What shares are looked at in.
pub(crate) const WINDOW: Duration = Duration::from_secs(2);

impl Report {
    /// The latency that such a part of the calls did not exceed.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let at = (latencies.len() as f64 * part).ceil() as usize;
        latencies[at.clamp(1, latencies.len()) - 1]
    }

    /// What of the calls a replica was given.
    pub(crate) fn share(&self, replica: usize) -> f64 {
        let of_it: usize = self.windows.iter().map(|counts| counts[replica]).sum();
        of_it as f64 / self.windows.iter().flatten().sum::<usize>() as f64
    }

    /// The least that any replica was given in any window, as a part of its calls.
    pub(crate) fn least_share(&self) -> f64 {
        let least = |counts: &Vec<usize>| {
            let of_it = counts.iter().min().copied().unwrap_or(0);
            of_it as f64 / counts.iter().sum::<usize>() as f64
        };
        self.windows.iter().map(least).fold(1.0, f64::min)
    }
}

#[derive(Debug)]
struct Call {
    client: usize,
    began: Duration,
}

#[derive(Debug, Default)]
struct Replica {
    busy: usize,
    waiting: VecDeque<Call>,
}

/// What happens next; by its time, and where that is the same, in the order in which it was found.
type Queue = BinaryHeap<Reverse<(Duration, u64, Event)>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    Ends {
        replica: usize,
        client: usize,
        began: Duration,
    },
}

struct Run<'a> {
    world: &'a World,
    origin: Instant,
    random: Random,
    pickers: Vec<Picker>,
    replicas: Vec<Replica>,
    queue: Queue,
    found: u64,
    report: Report,
}

/// Runs a world to the end of its last call.
pub(crate) fn run(world: &World) -> Report {
    // Only differences count.
    #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
    let origin = Instant::now();
    let picker = |_| {
        let members = (0..world.replicas).map(|_| Member::new(Arc::new(Load::new(origin))));
        Picker::new(world.policy, members.collect(), world.seed)
    };
    let mut run = Run {
        world,
        origin,
        random: Random::seeded(world.seed),
        pickers: (0..world.clients).map(picker).collect(),
        replicas: (0..world.replicas).map(|_| Replica::default()).collect(),
        queue: Queue::new(),
        found: 0,
        report: Report {
            latencies: Vec::new(),
            windows: Vec::new(),
        },
    };
    run.find(Duration::ZERO, Event::Arrives);
    while let Some(Reverse((at, _, event))) = run.queue.pop() {
        match event {
            Event::Arrives => run.handle_arrival(at),
            Event::Ends {
                replica,
                client,
                began,
            } => run.handle_end(at, replica, client, began),
        }
    }
    run.report
}

impl Run<'_> {
    fn handle_arrival(&mut self, at: Duration) {
        let client = (self.random.next_u64() % self.world.clients as u64) as usize;
        let picker = &self.pickers[client];
        let now = self.origin + at;
        let replica = picker.pick(now, &mut self.random).unwrap();
        picker.members()[replica].load().handle_begun(now);
        let window = at.div_duration_f64(WINDOW) as usize;
        let windows = &mut self.report.windows;
        windows.resize(windows.len().max(window + 1), vec![0; self.world.replicas]);
        windows[window][replica] += 1;
        let call = Call { client, began: at };
        self.replicas[replica].waiting.push_back(call);
        self.serve(at, replica);
        let next = at + self.exponential(Duration::from_secs_f64(1.0 / self.world.rate));
        if next < self.world.run {
            self.find(next, Event::Arrives);
        }
    }

    fn handle_end(&mut self, at: Duration, replica: usize, client: usize, began: Duration) {
        let load = self.pickers[client].members()[replica].load();
        load.handle_answered(self.origin + began, self.origin + at);
        self.report.latencies.push(at - began);
        self.replicas[replica].busy -= 1;
        self.serve(at, replica);
    }

    fn serve(&mut self, at: Duration, place: usize) {
        let replica = &mut self.replicas[place];
        if replica.busy == self.world.workers {
            return;
        }
        let Some(call) = replica.waiting.pop_front() else {
            return;
        };
        replica.busy += 1;
        let (waits, mean) = (self.world.service)(place, at);
        let takes = waits + self.exponential(mean);
        let end = Event::Ends {
            replica: place,
            client: call.client,
            began: call.began,
        };
        self.find(at + takes, end);
    }

    fn find(&mut self, at: Duration, event: Event) {
        self.found += 1;
        self.queue.push(Reverse((at, self.found, event)));
    }

    fn exponential(&mut self, mean: Duration) -> Duration {
        // 53 bits are what the type holds; never 0, whose logarithm is none.
        let part = ((self.random.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        mean.mul_f64(-part.ln())
    }
}
