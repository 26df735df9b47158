//! What every source has to do, as one suite of tests over a [`Rig`].

use std::time::Duration;

use dreammesh_agent_api::instance::{Host, Instance, InstanceId, Port, Protocol};
use tokio::task::JoinHandle;

use super::Source;
use crate::knowledge::{Here, Knowledge};
use crate::registry::Registry;

/// A source under test, and the world that it learns from.
pub(crate) trait Rig {
    /// The source; asked for once.
    fn source(&self) -> Box<dyn Source>;

    /// From now on, the world has exactly these instances.
    fn say(&mut self, instances: &[Instance]);

    /// The source can no longer learn anything, until something is said again.
    fn lose(&mut self);
}

/// An instance as sources are given them.
pub(crate) fn instance(id: &str, port: u16) -> Instance {
    let service = "catalog".parse().unwrap();
    let id = InstanceId::new(id).unwrap();
    let mut instance = Instance::new(id, service, Port::new(port, Protocol::DreamMesh));
    instance.addresses = vec![Host::Ip([10, 0, 0, 7].into())];
    instance
}

/// A source that runs, and what is known of it.
pub(crate) struct Run {
    knowledge: Knowledge,
    task: JoinHandle<()>,
}

impl Run {
    pub(crate) fn new(source: Box<dyn Source>) -> Self {
        let knowledge = Knowledge::new(Here::new("agent-1", "host-1"));
        let sink = knowledge.sink(&source.name(), source.origin());
        let task = tokio::spawn(source.run(sink));
        Self { knowledge, task }
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let ids = |registry: &Registry| {
            let all = registry.all();
            all.map(|known| known.instance.id.to_string()).collect()
        };
        self.knowledge.read(ids)
    }

    pub(crate) fn problem(&self) -> Option<String> {
        self.knowledge.read(|registry| {
            let problem = registry.sources().next()?.problem.as_ref()?;
            Some(problem.to_string())
        })
    }

    pub(crate) fn version(&self) -> u64 {
        self.knowledge.read(Registry::version)
    }

    pub(crate) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..PATIENCE_TURNS {
            if holds(self) {
                return;
            }
            tokio::time::sleep(TURN).await;
        }
        panic!("not within {PATIENCE_TURNS} turns: {:?}", self.ids());
    }
}

/// The whole suite; to be run in a time that stands still, so that no wait takes long.
pub(crate) async fn holds(mut rig: impl Rig) {
    rig.say(&[instance("a", 1), instance("b", 1)]);
    let source = rig.source();
    let origin = source.origin();
    let run = Run::new(source);
    run.until(|run| run.ids() == ["a", "b"]).await;
    marks_its_origin(&run, origin.as_str());

    rig.say(&[instance("b", 2), instance("c", 1)]);
    run.until(|run| run.ids() == ["b", "c"]).await;
    let b = run.knowledge.known(&InstanceId::new("b").unwrap()).unwrap();
    assert_eq!(b.instance.ports[0].number, 2, "what changed shows");

    // Saying the same again is no change to anybody.
    let version = run.version();
    rig.say(&[instance("b", 2), instance("c", 1)]);
    tokio::time::sleep(TURN * 100).await;
    assert_eq!(run.version(), version);

    rig.lose();
    run.until(|run| run.problem().is_some()).await;
    assert_eq!(run.ids(), ["b", "c"], "what was known last is kept");
    assert_eq!(run.version(), version);

    rig.say(&[instance("c", 1)]);
    run.until(|run| run.ids() == ["c"] && run.problem().is_none())
        .await;

    run.task.abort();
    run.until(|run| run.ids().is_empty()).await;
}

fn marks_its_origin(run: &Run, origin: &str) {
    run.knowledge.read(|registry| {
        for known in registry.all() {
            assert_eq!(&*known.instance.origin, origin);
        }
    });
}

const TURN: Duration = Duration::from_millis(100);
/// A minute, of a time that stands still.
const PATIENCE_TURNS: usize = 600;
