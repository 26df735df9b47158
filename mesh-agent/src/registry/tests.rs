//! Tests of what shows, and of what is said of it since a version.

use std::time::Duration;

use dreammesh_agent_api::instance::{CheckKind, Host, InstanceStatus, Port, Protocol};

use super::*;

#[derive(Debug)]
struct Bench {
    registry: Registry,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with_room_for(INSTANCES_MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "the origin of the tests' time")]
    fn with_room_for(instances: usize) -> Self {
        Self {
            registry: Registry::with_room_for(instances),
            start: Instant::now(),
        }
    }

    fn source(&mut self, origin: Origin) -> SourceId {
        self.registry
            .add_source(origin.as_str(), origin, self.start)
    }

    fn set(&mut self, source: SourceId, instance: Instance) -> Applied {
        let set = Change::Set(Arc::new(instance));
        self.registry.apply(source, [set], self.start)
    }

    fn gone(&mut self, source: SourceId, name: &str) -> Applied {
        let gone = Change::Gone(id(name));
        self.registry.apply(source, [gone], self.start)
    }

    fn shown(&self, service: &str) -> Vec<(String, u16, InstanceStatus)> {
        let known = self.registry.instances(&service.parse().unwrap());
        known
            .map(|it| {
                let port = it.instance.ports[0].number;
                (it.instance.id.to_string(), port, it.instance.status)
            })
            .collect()
    }
}

fn id(text: &str) -> InstanceId {
    InstanceId::new(text).unwrap()
}

fn instance(name: &str, service: &str, port: u16) -> Instance {
    let port = Port::new(port, Protocol::Grpc);
    let mut instance = Instance::new(id(name), service.parse().unwrap(), port);
    instance.addresses = vec![Host::Name("localhost".into())];
    instance
}

const UP: InstanceStatus = InstanceStatus::Up;

#[test]
fn the_claim_of_higher_precedence_shows_and_the_other_stands_behind_it() {
    let mut bench = Bench::new();
    let gossip = bench.source(Origin::Gossip);
    let file = bench.source(Origin::File);
    let attached = bench.source(Origin::Attached);
    bench.set(file, instance("a", "catalog", 2));
    let behind = bench.set(gossip, instance("a", "catalog", 3));
    assert!(behind.services.is_empty(), "nothing shows differently");
    bench.set(attached, instance("a", "catalog", 1));
    assert_eq!(bench.shown("catalog"), [("a".to_owned(), 1, UP)]);
    let contested: Vec<_> = bench.registry.contested().collect();
    let origins = vec![Origin::Attached, Origin::File, Origin::Gossip];
    assert_eq!(contested, [(&id("a"), origins)]);
    bench.gone(attached, "a");
    assert_eq!(bench.shown("catalog"), [("a".to_owned(), 2, UP)]);
    bench.gone(file, "a");
    assert_eq!(bench.shown("catalog"), [("a".to_owned(), 3, UP)]);
    assert_eq!(bench.registry.contested().count(), 0);
    bench.gone(gossip, "a");
    assert!(bench.registry.is_empty());
}

#[test]
fn who_comes_back_to_a_held_claim_changes_nothing() {
    let mut bench = Bench::new();
    let held = bench.source(Origin::Held);
    let attached = bench.source(Origin::Attached);
    bench.set(held, instance("a", "catalog", 1));
    let version = bench.registry.version();
    bench.set(attached, instance("a", "catalog", 1));
    assert_eq!(bench.registry.version(), version);
    assert_eq!(bench.shown("catalog").len(), 1);
    bench.gone(attached, "a");
    let message = "who came back and went is not held any longer";
    assert!(bench.shown("catalog").is_empty(), "{message}");
}

#[test]
fn a_failed_check_lies_over_the_claim_and_ends_one_that_is_only_held() {
    let mut bench = Bench::new();
    let held = bench.source(Origin::Held);
    let file = bench.source(Origin::File);
    bench.set(held, instance("a", "catalog", 1));
    bench.set(file, instance("b", "catalog", 1));
    let failing = || Some(Health::failing("connection refused"));
    bench.registry.set_health(&id("a"), failing());
    let applied = bench.registry.set_health(&id("b"), failing());
    assert_eq!(applied.services.len(), 1);
    let down = InstanceStatus::Down;
    assert_eq!(bench.shown("catalog"), [("b".to_owned(), 1, down)]);
    let same = bench
        .registry
        .set_health(&id("b"), Some(Health::failing("timeout")));
    assert!(same.services.is_empty(), "the words alone are no change");
    bench
        .registry
        .set_health(&id("b"), Some(Health::passing("serving")));
    assert_eq!(bench.shown("catalog"), [("b".to_owned(), 1, UP)]);
    bench.registry.set_health(&id("b"), failing());
    bench.set(file, instance("b", "catalog", 2));
    assert_eq!(
        bench.shown("catalog"),
        [("b".to_owned(), 2, UP)],
        "what a check said of another port says nothing of this one"
    );
    bench.registry.set_health(&id("b"), failing());
    let mut unchecked = instance("b", "catalog", 2);
    unchecked.check.kind = CheckKind::None;
    bench.set(file, unchecked);
    assert_eq!(
        bench.shown("catalog"),
        [("b".to_owned(), 2, UP)],
        "nor does a check that its source has taken back"
    );
    assert!(
        bench
            .registry
            .set_health(&id("nobody"), failing())
            .services
            .is_empty()
    );
    assert_eq!(bench.registry.len(), 1);
}

#[test]
fn what_is_remembered_of_an_agent_goes_when_it_speaks_again() {
    let mut bench = Bench::new();
    let remembered = bench.source(Origin::Remembered);
    for (name, agent) in [("a", "one"), ("b", "two")] {
        let mut instance = instance(name, "catalog", 1);
        instance.agent = agent.into();
        bench.set(remembered, instance);
    }
    bench.registry.forget_remembered("one");
    assert_eq!(bench.shown("catalog"), [("b".to_owned(), 1, UP)]);
    let left = bench.registry.sources().map(|source| source.instances);
    assert_eq!(left.collect::<Vec<_>>(), [1]);
}

#[test]
fn an_id_that_moves_to_another_service_leaves_the_first() {
    let mut bench = Bench::new();
    let file = bench.source(Origin::File);
    bench.set(file, instance("a", "catalog", 1));
    let applied = bench.set(file, instance("a", "cart", 1));
    assert_eq!(applied.services.len(), 2);
    assert!(bench.shown("catalog").is_empty());
    assert_eq!(bench.shown("cart").len(), 1);
    let services: Vec<_> = bench.registry.services().map(ToString::to_string).collect();
    assert_eq!(services, ["cart.default"]);
}

#[test]
fn there_is_room_for_so_many_instances_and_no_more() {
    let mut bench = Bench::with_room_for(2);
    let file = bench.source(Origin::File);
    let gossip = bench.source(Origin::Gossip);
    for name in ["a", "b"] {
        assert_eq!(bench.set(file, instance(name, "catalog", 1)).refused, 0);
    }
    assert_eq!(bench.set(gossip, instance("c", "catalog", 1)).refused, 1);
    assert_eq!(bench.set(gossip, instance("a", "catalog", 2)).refused, 0);
    bench.gone(file, "b");
    assert_eq!(bench.set(gossip, instance("c", "catalog", 1)).refused, 0);
    assert_eq!(bench.registry.len(), 2);
}

#[test]
fn a_source_that_has_ended_says_nothing() {
    let mut bench = Bench::new();
    let file = bench.source(Origin::File);
    bench.set(file, instance("a", "catalog", 1));
    bench.registry.remove_source(file, bench.start);
    assert!(bench.registry.is_empty());
    bench.set(file, instance("a", "catalog", 1));
    assert!(bench.registry.is_empty());
}

#[test]
fn replacing_takes_back_what_is_not_said_again() {
    let mut bench = Bench::new();
    let file = bench.source(Origin::File);
    bench.set(file, instance("a", "catalog", 1));
    bench.set(file, instance("b", "catalog", 1));
    let before = bench.registry.version();
    let now = [instance("b", "catalog", 1), instance("c", "catalog", 1)];
    let now = now.into_iter().map(Arc::new).collect();
    let later = bench.start + Duration::from_secs(1);
    bench.registry.replace(file, now, later);
    assert_eq!(bench.registry.version(), before + 2, "one went, one came");
    let names: Vec<_> = bench.shown("catalog").into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["b", "c"]);
    let source = bench.registry.sources().next().unwrap();
    assert_eq!((source.instances, source.heard), (2, later));
}

#[test]
fn history_reaches_back_so_far_and_no_further() {
    let mut bench = Bench::new();
    let file = bench.source(Origin::File);
    let catalog: ServiceName = "catalog".parse().unwrap();
    bench.set(file, instance("a", "catalog", 1));
    let since = bench.registry.version();
    for port in 0..SERVICE_HISTORY {
        bench.set(file, instance("b", "catalog", 2 + port as u16));
    }
    let update = bench.registry.update(&catalog, Some(since)).unwrap();
    assert!(!update.complete);
    assert_eq!(update.changed.len(), 1);
    bench.set(file, instance("c", "catalog", 1));
    let update = bench.registry.update(&catalog, Some(since)).unwrap();
    assert!(update.complete);
    assert_eq!(update.changed.len(), 3);
    assert_eq!(bench.registry.update(&catalog, Some(update.version)), None);
    let never_was = bench.registry.version() + 1;
    assert!(
        bench
            .registry
            .update(&catalog, Some(never_was))
            .unwrap()
            .complete
    );
}

/// A watcher as applications are: it knows what updates told it, and nothing else.
#[derive(Debug, Default)]
struct Follower {
    since: Option<u64>,
    known: BTreeMap<InstanceId, Arc<Instance>>,
}

impl Follower {
    fn take(&mut self, update: Option<Update>) {
        let Some(update) = update else { return };
        if update.complete {
            self.known.clear();
        }
        for id in update.removed {
            self.known.remove(&id);
        }
        let changed = update.changed.into_iter();
        self.known.extend(changed.map(|it| (it.id.clone(), it)));
        self.since = Some(update.version);
    }
}

/// Numbers as a seed has them (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % bound
    }
}

const ORIGINS: [Origin; 5] = [
    Origin::Attached,
    Origin::Held,
    Origin::File,
    Origin::Gossip,
    Origin::Remembered,
];

fn anything(bench: &mut Bench, sources: &mut [SourceId], dice: &mut Dice) {
    let source = dice.below(sources.len() as u64) as usize;
    let name = format!("i{}", dice.below(12));
    // Services come and go by the hundred, so that some of them are forgotten.
    let service = match dice.below(4) {
        0 => format!("s{}", dice.below(600)),
        _ => format!("s{}", dice.below(3)),
    };
    let port = 1 + dice.below(2) as u16;
    match dice.below(20) {
        0 => {
            bench.registry.remove_source(sources[source], bench.start);
            sources[source] = bench.source(ORIGINS[source]);
        }
        1 => {
            let all = [instance(&name, &service, port)].map(Arc::new);
            bench
                .registry
                .replace(sources[source], all.into(), bench.start);
        }
        2..4 => {
            let health = match dice.below(3) {
                0 => None,
                1 => Some(Health::passing("")),
                _ => Some(Health::failing("")),
            };
            bench.registry.set_health(&id(&name), health);
        }
        4 => {
            bench.registry.forget_remembered("");
        }
        5..10 => {
            bench.gone(sources[source], &name);
        }
        _ => {
            bench.set(sources[source], instance(&name, &service, port));
        }
    }
}

fn run_of_changes(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(2).wrapping_add(1));
    let mut bench = Bench::with_room_for(10);
    let mut sources = ORIGINS.map(|origin| bench.source(origin));
    let services = ["s0", "s1", "s2", "s3"].map(|name| name.parse::<ServiceName>().unwrap());
    // Each follows a service and looks after its own number of steps.
    let mut followers: Vec<Follower> = (0..12).map(|_| Follower::default()).collect();
    let mut whole = Follower::default();
    for step in 0..1_500_u64 {
        anything(&mut bench, &mut sources, &mut dice);
        for (index, follower) in followers.iter_mut().enumerate() {
            if step % [1, 7, 400][index % 3] != 0 {
                continue;
            }
            let service = &services[index / 3];
            follower.take(bench.registry.update(service, follower.since));
            let full = bench.registry.instances(service);
            let full: Vec<_> = full.map(|it| it.instance).collect();
            let known: Vec<_> = follower.known.values().cloned().collect();
            assert_eq!(known, full, "seed {seed}, step {step}, {service}");
            assert_eq!(bench.registry.update(service, follower.since), None);
        }
        if step % 11 == 0 {
            whole.take(bench.registry.update_of_all(whole.since));
            let full = bench.registry.all().map(|it| it.instance);
            let known = whole.known.values().cloned();
            assert!(known.eq(full), "seed {seed}, step {step}");
        }
    }
    let claimed: usize = bench.registry.sources().map(|it| it.instances).sum();
    let entries = bench.registry.entries.values();
    assert_eq!(claimed, entries.map(|it| it.claims().len()).sum());
    assert!(bench.registry.services.len() <= EMPTY_SERVICES_MAX + 10);
}

#[test]
fn what_followers_were_told_is_what_there_is() {
    for seed in 0..60 {
        run_of_changes(seed);
    }
}
