use super::*;
use crate::instance::{InstanceId, Port, Protocol};
use from_agent::Said;
use from_application::Said as To;

const SECOND: Duration = Duration::from_secs(1);

/// A machine and its clock.
struct World {
    machine: Machine,
    now: Instant,
}

fn world() -> World {
    let now = crate::clock::now();
    World {
        machine: Machine::new(proto::Hello::default(), 7, now),
        now,
    }
}

impl World {
    fn step(&mut self) -> Step {
        self.machine.poll_step(true, self.now)
    }

    /// Everything that is to be said now.
    fn said(&mut self) -> Vec<To> {
        let mut said = Vec::new();
        while let Step::Say(say) = self.step() {
            said.push(say);
        }
        said
    }

    fn hear(&mut self, said: Said) -> Result<(), String> {
        self.machine.handle_said(Some(said), self.now)
    }

    /// Opens a stream and lets an agent of that epoch say welcome.
    fn attach(&mut self, epoch: &str) {
        loop {
            match self.step() {
                Step::Open => break,
                Step::Idle(Some(due)) => self.now = due,
                Step::Remember => self.machine.handle_remembered(None, self.now),
                step => panic!("{step:?}"),
            }
        }
        self.machine.handle_opened(self.now);
        assert!(matches!(self.said()[..], [To::Hello(_)]));
        self.hear(Said::Welcome(welcome(1, epoch))).unwrap();
        assert!(self.machine.is_attached());
    }

    fn watch(&mut self) -> u32 {
        self.machine.watch("catalog".parse().unwrap(), self.now).0
    }

    fn register(&mut self) -> u32 {
        let port = Port::new(7443, Protocol::DreamMesh);
        let id = InstanceId::new("catalog-1").unwrap();
        let instance = Instance::new(id, "catalog".parse().unwrap(), port);
        self.machine.register(Registering {
            instance,
            everywhere: true,
        })
    }

    fn views(&mut self) -> Vec<(Option<usize>, bool)> {
        let views = self.machine.take_changes().into_iter();
        let known = |view: &View| view.known.as_ref().map(|it| it.instances.len());
        views
            .map(|(_, view)| (known(&view), view.trouble.is_some()))
            .collect()
    }
}

fn welcome(version: u32, epoch: &str) -> proto::Welcome {
    proto::Welcome {
        version,
        agent: "a".into(),
        epoch: epoch.into(),
        host: "h".into(),
        region: "eu".into(),
        silence_ms: 3_000,
        addresses: vec!["10.0.0.7".into(), "0.0.0.0".into()],
        ..Default::default()
    }
}

fn update(key: u32, version: u64, complete: bool, id: &str) -> Said {
    let mut it = Instance::new(
        InstanceId::new(id).unwrap(),
        "catalog".parse().unwrap(),
        Port::new(1, Protocol::Grpc),
    );
    it.addresses = vec!["10.0.0.8".parse().unwrap()];
    Said::Update(proto::Update {
        key,
        version,
        complete,
        changed: vec![(&it).into()],
        ..Default::default()
    })
}

fn registered(key: u32, status: InstanceStatus) -> Said {
    Said::Registered(proto::Registered {
        key,
        instance: Some(proto::Instance {
            status: status.into(),
            ..Default::default()
        }),
        ..Default::default()
    })
}

#[test]
fn what_is_wanted_is_said_once_and_again_on_the_next_stream() {
    let mut world = world();
    let (watch, registration) = (world.watch(), world.register());
    world.machine.amend(registration, InstanceStatus::Up);
    world.attach("e");
    let said = world.said();
    let [To::Register(register), To::Watch(asked)] = &said[..] else {
        panic!("{said:?}");
    };
    let instance = register.instance.as_ref().unwrap();
    // What was bound to every address is where the host is, as far as that is an address.
    assert_eq!(instance.addresses, ["10.0.0.7"]);
    assert_eq!((&*instance.region, &*instance.id), ("eu", "catalog-1"));
    assert_eq!(instance.status, proto::InstanceStatus::UP);
    assert_eq!((&*asked.epoch, asked.version), ("", 0));
    world.hear(update(watch, 4, true, "a")).unwrap();
    assert_eq!(world.views(), [(Some(1), false)]);
    assert!(world.said().is_empty());

    world.machine.handle_ended("gone", world.now);
    // What is known stays, and the trouble is told.
    assert_eq!(world.views(), [(Some(1), true)]);
    world.attach("e");
    assert_eq!(world.views(), [(Some(1), false)]);
    let said = world.said();
    let [To::Register(register), To::Watch(asked)] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(register.instance.as_ref().unwrap().id, "catalog-1");
    assert_eq!((&*asked.epoch, asked.version), ("e", 4));
    world.hear(update(watch, 5, false, "b")).unwrap();
    assert_eq!(world.views(), [(Some(2), false)]);
}

#[test]
fn states_follow_and_are_settled_when_the_agent_has_taken_them_in() {
    let mut world = world();
    let key = world.register();
    // Where there is no agent nobody needs to know.
    assert!(world.machine.is_settled(key));
    world.attach("e");
    world.said();
    assert!(!world.machine.is_settled(key));
    world
        .hear(registered(key, InstanceStatus::Starting))
        .unwrap();
    assert!(world.machine.is_settled(key));
    world.machine.amend(key, InstanceStatus::Draining);
    let said = world.said();
    let [To::Amend(amend)] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(amend.status, proto::InstanceStatus::DRAINING);
    world
        .hear(registered(key, InstanceStatus::Starting))
        .unwrap();
    assert!(!world.machine.is_settled(key));
    world
        .hear(registered(key, InstanceStatus::Draining))
        .unwrap();
    assert!(world.machine.is_settled(key));
    world.machine.deregister(key);
    assert!(matches!(world.said()[..], [To::Deregister(_)]));
    assert!(world.said().is_empty());
}

#[test]
fn what_was_never_told_need_not_be_taken_back() {
    let mut world = world();
    let (watch, registration) = (world.watch(), world.register());
    world.attach("e");
    world.machine.unwatch(watch);
    world.machine.deregister(registration);
    assert!(world.said().is_empty());
    let watch = world.watch();
    assert!(matches!(world.said()[..], [To::Watch(_)]));
    world.machine.unwatch(watch);
    assert!(matches!(world.said()[..], [To::Unwatch(_)]));
    // What comes late of it is of no interest.
    world.hear(update(watch, 1, true, "a")).unwrap();
    assert_eq!(world.views(), []);
}

#[test]
fn heartbeats_are_said_every_third_of_the_silence_and_an_agent_is_given_time() {
    let mut world = world();
    world.attach("e");
    assert!(world.said().is_empty());
    for _ in 0..29 {
        world.now += SECOND;
        assert!(matches!(world.said()[..], [To::Heartbeat(_)]));
    }
    // One that was stopped goes on where it was.
    world
        .hear(Said::Heartbeat(proto::Heartbeat::default()))
        .unwrap();
    world.now += 29 * SECOND;
    assert!(matches!(world.step(), Step::Say(_)));
    world.now += SECOND;
    assert!(matches!(world.step(), Step::End(_)));
}

#[test]
fn an_agent_that_does_not_say_welcome_is_left_in_time() {
    let mut world = world();
    assert!(matches!(world.step(), Step::Open));
    world.machine.handle_opened(world.now);
    world.said();
    world.now += WELCOME_PATIENCE - Duration::from_nanos(1);
    assert!(matches!(world.step(), Step::Idle(Some(_))));
    world.now += Duration::from_nanos(1);
    assert!(matches!(world.step(), Step::End(_)));
}

#[test]
fn attempts_are_further_and_further_apart_up_to_a_bound() {
    let mut world = world();
    let mut waits = Vec::new();
    for _ in 0..20 {
        assert!(matches!(world.step(), Step::Open));
        world.machine.handle_ended("nobody", world.now);
        let Step::Idle(Some(due)) = world.step() else {
            panic!("it waits");
        };
        waits.push(due - world.now);
        world.now = due;
    }
    assert!(waits[0] <= 2 * BACKOFF_FIRST && waits[0] >= BACKOFF_FIRST);
    assert!(waits.iter().all(|wait| *wait <= BACKOFF_MAX));
    assert!(waits[10..].iter().all(|wait| *wait >= BACKOFF_MAX / 2));
    assert!(waits[10..].windows(2).any(|two| two[0] != two[1]));
}

#[test]
fn whoever_waits_is_told_what_was_left_on_disk_and_for_no_longer_than_that() {
    let mut world = world();
    world.watch();
    assert!(matches!(world.step(), Step::Open));
    // The connection hangs.
    assert!(matches!(world.step(), Step::Idle(Some(_))));
    world.now += PATIENCE;
    assert!(matches!(world.step(), Step::Remember));
    let instance = Instance::new(
        InstanceId::new("a").unwrap(),
        "catalog".parse().unwrap(),
        Port::new(1, Protocol::Grpc),
    );
    let remembered = Remembered {
        site: Site::default(),
        by_service: [("catalog".parse().unwrap(), vec![Arc::new(instance)])].into(),
        age: 60 * SECOND,
    };
    world.machine.handle_remembered(Some(remembered), world.now);
    assert_eq!(world.views(), [(Some(1), false)]);
    // Whoever comes now is told at once.
    let (key, knowledge) = world.machine.watch("catalog".parse().unwrap(), world.now);
    assert_eq!(world.views(), [(Some(1), false)]);
    assert_eq!(knowledge.age(world.now), Some(60 * SECOND));
    // What the agent says is better.
    world.machine.handle_opened(world.now);
    world.said();
    world.hear(Said::Welcome(welcome(1, "e"))).unwrap();
    world.hear(update(key, 1, true, "b")).unwrap();
    world.hear(update(key, 2, false, "c")).unwrap();
    assert_eq!(knowledge.age(world.now), Some(Duration::ZERO));
    // What it does not know is held for a while.
    assert_eq!(world.views(), [(Some(1), false), (Some(3), false)]);
    let over = world.now + super::super::watching::HELD_FOR;
    world.said();
    while world.now < over {
        match world.step() {
            Step::Idle(Some(due)) => world.now = due.min(over),
            Step::Say(_) => {}
            step => panic!("{step:?}"),
        }
    }
    world.step();
    assert_eq!(world.views(), [(Some(2), false)]);
}

#[test]
fn what_is_held_stays_while_no_agent_is_there_to_say_more() {
    let mut world = world();
    let key = world.watch();
    world.attach("e");
    world.said();
    world.hear(update(key, 1, true, "a")).unwrap();
    world.machine.handle_ended("gone", world.now);
    world.attach("f");
    world.said();
    world.hear(update(key, 1, true, "b")).unwrap();
    world.machine.handle_ended("gone again", world.now);
    world.now += 60 * SECOND;
    assert_eq!(world.views(), [(Some(2), true)]);
    world.attach("g");
    world.said();
    world.hear(update(key, 1, true, "b")).unwrap();
    world.step();
    assert_eq!(world.views(), [(Some(2), false)]);
    world.now += super::super::watching::HELD_FOR;
    world.step();
    assert_eq!(world.views(), [(Some(1), false)]);
}

#[test]
fn without_agent_and_state_the_reason_and_the_remedy_are_told_at_once() {
    let mut world = world();
    world.watch();
    assert!(matches!(world.step(), Step::Open));
    world.machine.handle_ended("nobody is there", world.now);
    assert!(matches!(world.step(), Step::Remember));
    world.machine.handle_remembered(None, world.now);
    let [(_, view)] = &world.machine.take_changes()[..] else {
        panic!("one follows");
    };
    let trouble = view.trouble.as_deref().unwrap();
    assert!(view.known.is_none());
    assert!(trouble.contains("nobody is there") && trouble.contains("`dreammesh agent`"));
    assert!(trouble.contains("DREAMMESH_SERVICES"));
}

#[test]
fn an_agent_that_breaks_the_rules_is_left() {
    let breaks = |said: Said| {
        let mut world = world();
        assert!(matches!(world.step(), Step::Open));
        world.machine.handle_opened(world.now);
        world.said();
        world.hear(said).unwrap_err()
    };
    assert!(breaks(Said::Heartbeat(proto::Heartbeat::default())).contains("before"));
    assert!(breaks(Said::Welcome(welcome(2, "e"))).contains("version 2"));
    assert!(breaks(Said::Welcome(welcome(0, "e"))).contains("version 0"));
    let mut world = world();
    world.attach("e");
    world.hear(Said::Welcome(welcome(1, "e"))).unwrap_err();
}

#[test]
fn what_an_agent_says_of_itself_is_bounded() {
    let mut world = world();
    world.attach("e");
    world.machine.handle_ended("gone", world.now);
    let mut large = welcome(1, "e");
    large.host = "h".repeat(TEXT_BYTES_MAX + 1);
    large.zone = "z".repeat(TEXT_BYTES_MAX);
    large.addresses = vec!["10.0.0.7".into(); ADDRESSES_MAX + 1];
    large.silence_ms = 0;
    world.machine.handle_welcome(large, world.now).unwrap();
    assert_eq!(&*world.machine.site.here.host, "");
    assert_eq!(world.machine.site.here.locality.zone.len(), TEXT_BYTES_MAX);
    assert_eq!(world.machine.site.addresses.len(), ADDRESSES_MAX);
    assert_eq!(world.machine.silence, SILENCE_MIN);
}

#[test]
fn what_is_refused_is_tried_again_after_a_while() {
    let mut world = world();
    let (watch, registration) = (world.watch(), world.register());
    world.attach("e");
    world.said();
    for key in [watch, registration] {
        let refused = proto::Refused {
            key,
            message: "x".repeat(1 << 20),
            ..Default::default()
        };
        world.hear(Said::Refused(refused)).unwrap();
    }
    // Nobody waits for what was refused.
    assert!(world.machine.is_settled(registration));
    assert_eq!(world.views(), [(Some(0), true)]);
    assert!(world.said().is_empty());
    world.now += RETRY_PERIOD;
    let said = world.said();
    let both = [
        To::Register(Default::default()),
        To::Watch(Default::default()),
    ];
    let kinds = |all: &[To]| all.iter().map(std::mem::discriminant).collect::<Vec<_>>();
    let unwatch = kinds(&[To::Unwatch(Default::default())]);
    let mut said = kinds(&said);
    said.retain(|kind| !unwatch.contains(kind));
    assert_eq!(said[..2], kinds(&both));
    world.hear(update(watch, 1, true, "a")).unwrap();
    assert_eq!(world.views(), [(Some(1), false)]);
}

#[test]
fn a_gap_has_everything_said_again() {
    let mut world = world();
    let watch = world.watch();
    world.attach("e");
    world.said();
    world.hear(update(watch, 4, true, "a")).unwrap();
    world.hear(update(watch, 3, false, "b")).unwrap();
    assert_eq!(world.views(), [(Some(1), false)]);
    world.now += RETRY_PERIOD;
    let said = world.said();
    let asked = said.iter().find_map(|it| match it {
        To::Watch(asked) => Some(asked),
        _ => None,
    });
    assert_eq!(asked.unwrap().version, 0);
}
