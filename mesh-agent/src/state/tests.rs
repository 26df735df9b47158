//! Tests of what a restart takes along.

use dreammesh_agent_api::instance::{Host, InstanceId, Locality, Port, Protocol};

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use super::*;
use crate::attach::{Bounds, NoReports, Site};
use crate::knowledge::Here;
use crate::place::Place;
use crate::registry::Health;

struct Desk(PathBuf);

impl Desk {
    fn new(test: &str) -> Self {
        let name = format!("dreammesh-state-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .unwrap();
        Self(directory)
    }

    fn file(&self) -> StateFile {
        Place::take(&self.0, None).unwrap().state()
    }

    fn path(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One run of an agent.
struct Run {
    knowledge: Knowledge,
    keeper: Keeper,
    attachments: Attachments,
    warnings: Warnings,
}

impl Run {
    fn new(desk: &Desk) -> Self {
        let knowledge = Knowledge::new(Here::new("agent-1", "host-1"));
        let site = Site::new(Locality::new("eu", "eu-1"), Vec::new());
        let reports = Arc::new(NoReports);
        let attachments = Attachments::new(&knowledge, site, Bounds::default(), reports);
        let warnings = Warnings::default();
        Self {
            keeper: Keeper::new(desk.file(), &attachments, &warnings),
            knowledge,
            attachments,
            warnings,
        }
    }

    fn ids(&self) -> Vec<String> {
        let ids = |registry: &Registry| {
            let all = registry.all();
            all.map(|known| known.instance.id.to_string()).collect()
        };
        self.knowledge.read(ids)
    }
}

fn instance(id: &str, agent: &str) -> Instance {
    let id = InstanceId::new(id).unwrap();
    let service = "catalog".parse().unwrap();
    let mut instance = Instance::new(id, service, Port::new(1, Protocol::Grpc));
    instance.addresses = vec![Host::Ip([10, 0, 0, 7].into())];
    instance.agent = agent.into();
    instance
}

/// A file of an agent that knew an instance of each origin.
async fn written(desk: &Desk) {
    let run = Run::new(desk);
    let mut sinks = Vec::new();
    for (id, origin) in [
        ("attached", Origin::Attached),
        ("file", Origin::File),
        ("other", Origin::Gossip),
    ] {
        let sink = run.knowledge.sink(id, origin);
        sink.set(instance(id, "agent-2"));
        sinks.push(sink);
    }
    assert!(run.keeper.write().await);
}

#[tokio::test(start_paused = true)]
async fn a_restart_takes_nothing_away_and_keeps_nothing_for_ever() {
    let desk = Desk::new("restart");
    written(&desk).await;
    let found = Found::read(&desk.file());
    assert_eq!(found.problem, None);
    let run = Run::new(&desk);
    let held = tokio::spawn(found.restore(&run.knowledge).run());
    tokio::task::yield_now().await;
    assert_eq!(run.ids(), ["attached", "other"], "no file is waited for");
    let origins = |id: &str| {
        let known = run.knowledge.known(&InstanceId::new(id).unwrap()).unwrap();
        (known.origin, known.instance.origin.to_string())
    };
    assert_eq!(origins("attached"), (Origin::Held, "attached".to_owned()));
    assert_eq!(origins("other"), (Origin::Remembered, "gossip".to_owned()));
    // One of them comes back, as the same.
    let version = run.knowledge.read(Registry::version);
    let attached = run.knowledge.sink("attached", Origin::Attached);
    let mut same = instance("attached", "");
    same.host = run.knowledge.here().host.clone();
    attached.set(same);
    assert_eq!(run.knowledge.read(Registry::version), version, "no flap");
    tokio::time::sleep(HELD_FOR + Duration::from_secs(1)).await;
    assert_eq!(run.ids(), ["attached", "other"]);
    tokio::time::sleep(REMEMBERED_FOR).await;
    assert_eq!(run.ids(), ["attached"]);
    held.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_stays_while_its_check_passes() {
    let desk = Desk::new("passes");
    written(&desk).await;
    let run = Run::new(&desk);
    let held = Found::read(&desk.file()).restore(&run.knowledge);
    let held = tokio::spawn(held.run());
    let id = InstanceId::new("other").unwrap();
    run.knowledge
        .set_health(&id, Some(Health::passing("serving")));
    tokio::time::sleep(REMEMBERED_FOR * 2).await;
    assert_eq!(run.ids(), ["other"]);
    run.knowledge
        .set_health(&id, Some(Health::failing("refused")));
    assert!(run.ids().is_empty());
    held.abort();
}

#[tokio::test]
async fn who_registered_an_instance_is_known_after_a_restart() {
    let desk = Desk::new("users");
    let run = Run::new(&desk);
    let sink = run.knowledge.sink("held", Origin::Held);
    sink.set(instance("a", "agent-1"));
    sink.set(instance("b", "agent-1"));
    let id = |id: &str| InstanceId::new(id).unwrap();
    let users = BTreeMap::from([(id("a"), 7), (id("gone"), 8)]);
    run.attachments.remember_users(users);
    assert!(run.keeper.write().await);
    let found = Found::read(&desk.file());
    assert_eq!(found.users(), BTreeMap::from([(id("a"), 7)]));
}

#[tokio::test]
async fn a_corrupt_file_is_set_aside_with_a_warning() {
    let desk = Desk::new("corrupt");
    written(&desk).await;
    let mut bytes = fs::read(desk.path()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(desk.path(), &bytes).unwrap();
    let found = Found::read(&desk.file());
    let problem = found.problem.unwrap();
    assert!(problem.contains("not as it was written"), "{problem}");
    assert!(found.state.is_none() && !desk.path().exists());
    assert_eq!(
        fs::read(desk.path().with_extension("corrupt")).unwrap(),
        bytes
    );
    let nothing = Found::read(&desk.file());
    assert!(nothing.state.is_none() && nothing.problem.is_none());
}

#[tokio::test]
async fn a_state_that_cannot_be_written_is_a_warning_and_leaves_the_old_one() {
    let desk = Desk::new("full");
    written(&desk).await;
    let before = fs::read(desk.path()).unwrap();
    let run = Run::new(&desk);
    // A directory in the way fails as a full disk does, also for root.
    let beside = desk.path().with_extension("new");
    fs::create_dir(&beside).unwrap();
    assert!(!run.keeper.write().await);
    assert!(run.warnings.all()[0].contains("cannot be written"));
    assert_eq!(fs::read(desk.path()).unwrap(), before);
    fs::remove_dir(&beside).unwrap();
    assert!(run.keeper.write().await);
    assert!(run.warnings.all().is_empty());
    assert_eq!(run.keeper.counts(), (1, 1));
    // After the last time, nothing is written any more.
    assert!(run.keeper.finish().await);
    fs::remove_file(desk.path()).unwrap();
    assert!(run.keeper.write().await);
    assert!(!desk.path().exists());
}

#[tokio::test]
async fn nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new("mode");
    written(&desk).await;
    let mode = fs::metadata(desk.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(start_paused = true)]
async fn what_a_file_said_stays_until_the_file_can_be_read() {
    let desk = Desk::new("files");
    written(&desk).await;
    let run = Run::new(&desk);
    let contents = run.knowledge.settling().wait_for(Awaited::Contents);
    let held = Found::read(&desk.file()).restore(&run.knowledge);
    let held = tokio::spawn(held.run());
    tokio::time::sleep(REMEMBERED_FOR * 2).await;
    assert_eq!(run.ids(), ["file"]);
    let id = InstanceId::new("file").unwrap();
    run.knowledge
        .set_health(&id, Some(Health::failing("refused")));
    assert_eq!(run.ids(), ["file"], "as what a file says now");
    // It can be read, and says the one and no longer the others.
    let file = run.knowledge.sink("file", Origin::File);
    file.set(instance("file", ""));
    let known = run.knowledge.known(&id).unwrap();
    assert_eq!(known.origin, Origin::File);
    assert_eq!(run.knowledge.read(|all| all.contested().count()), 0);
    drop(file);
    drop(contents);
    while !run.ids().is_empty() {
        tokio::task::yield_now().await;
    }
    held.abort();
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_stopped_holds_what_it_held() {
    let desk = Desk::new("stopped");
    written(&desk).await;
    let run = Run::new(&desk);
    let held = Found::read(&desk.file()).restore(&run.knowledge);
    let held = tokio::spawn(held.run());
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Nobody could come back meanwhile.
    tokio::time::advance(HELD_FOR * 4).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(run.ids(), ["attached", "other"]);
    tokio::time::sleep(HELD_FOR).await;
    assert_eq!(run.ids(), ["other"]);
    held.abort();
}
