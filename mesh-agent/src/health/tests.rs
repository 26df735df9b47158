//! Tests of the checks as a whole, of real servers on this host.

use dreammesh_agent_api::instance::{
    Check, CheckKind, Host, Instance, InstanceStatus, Port, Protocol,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::subject::Kind;
use super::*;
use crate::knowledge;
use crate::registry::Origin;

struct Agent {
    knowledge: Knowledge,
    checks: Checks,
    running: JoinHandle<()>,
}

impl Agent {
    fn new() -> Self {
        let knowledge = Knowledge::new(knowledge::Here::new("agent-1", "host-1"));
        let checks = Checks::new(&knowledge, &Locality::default(), None);
        let running = tokio::spawn({
            let checks = checks.clone();
            async move { checks.run().await }
        });
        Self {
            knowledge,
            checks,
            running,
        }
    }

    /// Waits until an instance shows in that state, or is gone.
    async fn until(&self, instance: &Instance, status: Option<InstanceStatus>) {
        let mut changes = self.knowledge.changes();
        let of = || {
            self.knowledge
                .known(&instance.id)
                .map(|known| known.instance.status)
        };
        while of() != status {
            changes.next().await;
        }
    }

    /// Waits until a check of some kind ended so a number of times.
    async fn checked(&self, kind: Kind, answer: Answer, times: u64) {
        while self.checks.0.counts.of(kind, answer) < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn report(&self, from: &str, id: &InstanceId) {
        let load = proto::InstanceLoad {
            id: id.to_string(),
            calls: 1_000_000,
            failures: 1_000_000,
            ..Default::default()
        };
        self.checks.report(from, &[load]);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn instance(port: u16, kind: CheckKind) -> Instance {
    let id = InstanceId::new("catalog-1").unwrap();
    let port = Port::new(port, Protocol::DreamMesh);
    let mut instance = Instance::new(id, "catalog".parse().unwrap(), port);
    instance.addresses = vec![Host::Ip([127, 0, 0, 1].into())];
    instance.check = Check::default();
    instance.check.kind = kind;
    instance
}

async fn listener(port: u16) -> (u16, TcpListener) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    (listener.local_addr().unwrap().port(), listener)
}

#[tokio::test]
async fn one_that_is_killed_shows_as_down_and_is_up_when_it_is_back() {
    let agent = Agent::new();
    let (port, listening) = listener(0).await;
    let instance = instance(port, CheckKind::Tcp);
    let sink = agent.knowledge.sink("file", Origin::File);
    sink.set(instance.clone());
    agent.checked(Kind::Tcp, Answer::Passed, 1).await;
    drop(listening);
    agent.checks.check_now(&instance.id);
    agent.until(&instance, Some(InstanceStatus::Down)).await;
    assert_eq!(agent.checks.0.counts.of(Kind::Tcp, Answer::Refused), 1);
    let known = agent.knowledge.known(&instance.id).unwrap();
    assert!(known.health.unwrap().said.contains("refused"));
    let _listening = listener(port).await;
    agent.until(&instance, Some(InstanceStatus::Up)).await;
}

#[tokio::test]
async fn one_that_accepts_and_is_silent_is_found_by_what_it_does_not_say() {
    let agent = Agent::new();
    let (port, _listening) = listener(0).await;
    let mut silent = Vec::new();
    for (name, kind) in [
        ("tcp", CheckKind::Tcp),
        ("session", CheckKind::Session),
        ("grpc", CheckKind::Grpc),
    ] {
        let mut instance = instance(port, kind);
        instance.id = InstanceId::new(name).unwrap();
        silent.push(instance);
    }
    let sink = agent.knowledge.sink("file", Origin::File);
    sink.replace(silent.clone());
    for instance in &silent[1..] {
        agent.until(instance, Some(InstanceStatus::Down)).await;
    }
    let tcp = agent.knowledge.known(&silent[0].id).unwrap();
    assert_eq!(tcp.instance.status, InstanceStatus::Up);
    assert!(agent.checks.0.counts.of(Kind::Session, Answer::TimedOut) >= 2);
}

#[tokio::test]
async fn what_was_held_over_a_restart_and_died_meanwhile_goes_at_once() {
    let agent = Agent::new();
    let (port, listening) = listener(0).await;
    drop(listening);
    let mut dead = instance(port, CheckKind::Fitting);
    dead.host = "host-1".into();
    let sink = agent.knowledge.sink("held", Origin::Held);
    sink.set(dead.clone());
    agent.until(&dead, None).await;
}

#[tokio::test]
async fn an_orphan_stays_for_as_long_as_it_answers() {
    let agent = Agent::new();
    let (port, listening) = listener(0).await;
    let mut orphan = instance(port, CheckKind::Tcp);
    // Of another agent of the same host, so that its address means the same here.
    (orphan.agent, orphan.host) = ("agent-2".into(), "host-1".into());
    let sink = agent.knowledge.sink("gossip:agent-2", Origin::Gossip);
    sink.set(orphan.clone());
    agent.checks.orphans(BTreeSet::from([orphan.id.clone()]));
    agent.checked(Kind::Tcp, Answer::Passed, 1).await;
    let known = agent.knowledge.known(&orphan.id).unwrap();
    assert_eq!(known.instance.status, InstanceStatus::Up);
    drop(listening);
    agent.checks.check_now(&orphan.id);
    agent.until(&orphan, Some(InstanceStatus::Down)).await;
    // Its agent is heard of again: what was found here counts no more.
    agent.checks.orphans(BTreeSet::new());
    agent.until(&orphan, Some(InstanceStatus::Up)).await;
    assert_eq!(agent.checks.state().plan.len(), 0);
}

#[test]
fn a_check_that_was_held_up_by_the_agent_itself_takes_nobody_down() {
    let knowledge = Knowledge::new(knowledge::Here::new("agent-1", "host-1"));
    let checks = Checks::new(&knowledge, &Locality::default(), None);
    let sink = knowledge.sink("file", Origin::File);
    let checked = instance(1, CheckKind::Session);
    sink.set(checked.clone());
    checks.look_at(&checked.id);
    let end = |took: Duration| {
        // Long enough that a check which is to be confirmed is due.
        let ticket = checks
            .state()
            .plan
            .poll_start(clock::now() + probe::TIMEOUT);
        let outcome = Outcome {
            result: Answer::TimedOut,
            said: "timed out".into(),
        };
        checks.handle_end(&ticket.unwrap(), outcome, took);
        knowledge.known(&checked.id).unwrap().instance.status
    };
    let stopped = TOOK_MAX + Duration::from_nanos(1);
    for _ in 0..5 {
        assert_eq!(end(stopped), InstanceStatus::Up);
    }
    assert_eq!(end(TOOK_MAX), InstanceStatus::Up);
    assert_eq!(end(stopped), InstanceStatus::Up, "it confirms nothing");
    assert_eq!(end(TOOK_MAX), InstanceStatus::Down);
}

#[tokio::test]
async fn a_liar_brings_checks_forward_within_bounds_and_ejects_nobody() {
    let agent = Agent::new();
    let (port, _listening) = listener(0).await;
    let healthy = instance(port, CheckKind::Tcp);
    let sink = agent.knowledge.sink("file", Origin::File);
    sink.set(healthy.clone());
    agent.checked(Kind::Tcp, Answer::Passed, 1).await;
    let version = agent.knowledge.read(crate::registry::Registry::version);
    for _ in 0..1_000 {
        agent.report("liar", &healthy.id);
    }
    let hint = |hint: Hint| agent.checks.0.counts.hinted_so(hint);
    assert!(hint(Hint::Taken) <= 1);
    assert!(hint(Hint::TooMany) >= 1_000 - u64::from(hints::HINTS_MAX) - 2);
    // A check later it is still what its own answers make it.
    agent.checked(Kind::Tcp, Answer::Passed, 2).await;
    let known = agent.knowledge.known(&healthy.id).unwrap();
    assert_eq!(known.instance.status, InstanceStatus::Up);
    assert_eq!(
        agent.knowledge.read(crate::registry::Registry::version),
        version
    );
    // Nor does it matter who says it, nor of whom.
    agent.report("other", &InstanceId::new("nobody").unwrap());
    agent.checks.report(
        "other",
        &[proto::InstanceLoad {
            id: "not an id".to_owned(),
            failures: 1,
            ..Default::default()
        }],
    );
    assert_eq!(agent.checks.state().plan.down(), 0);
}

#[tokio::test]
async fn a_true_report_finds_a_dead_one_before_its_turn() {
    let agent = Agent::new();
    let (port, listening) = listener(0).await;
    let dead = instance(port, CheckKind::Tcp);
    let sink = agent.knowledge.sink("file", Origin::File);
    sink.set(dead.clone());
    agent.checked(Kind::Tcp, Answer::Passed, 1).await;
    drop(listening);
    while agent.checks.0.counts.hinted_so(Hint::Taken) == 0 {
        // Another program each time; what was checked just now is not checked again.
        agent.report("witness", &dead.id);
        if agent.knowledge.known(&dead.id).unwrap().instance.status == InstanceStatus::Down {
            break;
        }
        tokio::time::sleep(hints::HINT_STEP).await;
    }
    agent.until(&dead, Some(InstanceStatus::Down)).await;
}

#[tokio::test]
async fn the_figures_name_every_kind_and_result() {
    let agent = Agent::new();
    let (port, _listening) = listener(0).await;
    let sink = agent.knowledge.sink("file", Origin::File);
    sink.set(instance(port, CheckKind::Tcp));
    agent.checked(Kind::Tcp, Answer::Passed, 1).await;
    let mut text = String::new();
    agent.checks.write(&mut text);
    for line in [
        "dreammesh_agent_checks_total{kind=\"tcp\",result=\"passed\"} 1",
        "dreammesh_agent_checks_total{kind=\"grpc\",result=\"timed out\"} 0",
        "dreammesh_agent_check_duration_seconds_bucket{le=\"+Inf\"} 1",
        "dreammesh_agent_check_duration_seconds_count 1",
        "dreammesh_agent_reported_failures_total{effect=\"brought forward\"} 0",
        "dreammesh_agent_checked_instances 1",
        "dreammesh_agent_checked_instances_down 0",
        "dreammesh_agent_check_period_seconds 2",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
}
