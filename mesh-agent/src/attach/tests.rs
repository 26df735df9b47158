//! Tests of streams over the real protocol in memory, in a time that stands still.

use dreammesh_agent_api::name::ServiceName;
use dreammesh_agent_api::proto::from_agent::Said;
use dreammesh_agent_api::proto::{self, from_application as to};
use dreammesh_core::call::{CallError, Code, Process};
use dreammesh_transport::{Connector, MemoryHub, Server};

use super::*;
use crate::knowledge::Here;
use crate::questions::{Alone, Questions, Warnings};
use crate::service::AgentService;

mod bounds;

/// An agent in memory.
struct Agent {
    knowledge: Knowledge,
    attachments: Attachments,
    hub: MemoryHub,
}

impl Agent {
    async fn new(bounds: Bounds) -> Self {
        let knowledge = Knowledge::new(Here::new("agent-1", "host-1"));
        let site = Site::new(Locality::new("eu", "eu-1"), Vec::new());
        let attachments = Attachments::new(&knowledge, site, bounds, Arc::new(NoReports));
        let members = Arc::new(Alone);
        let questions = Questions::new(&attachments, members, &Warnings::default(), String::new());
        let hub = MemoryHub::new();
        let service = proto::AgentServer::new(AgentService::new(questions));
        let server = Server::builder().service(service).memory(&hub);
        let server = server.bind("memory://agent").await.unwrap();
        tokio::spawn(server.serve());
        let ticking = attachments.clone();
        tokio::spawn(async move { ticking.run().await });
        Self {
            knowledge,
            attachments,
            hub,
        }
    }

    async fn attach(&self) -> Application {
        let mut application = self.attach_as(1, 1).await;
        match application.next().await {
            Said::Welcome(welcome) => application.epoch = welcome.epoch,
            said => panic!("{said:?}"),
        }
        application
    }

    async fn attach_as(&self, version_min: u32, version_max: u32) -> Application {
        let connector = Connector::new().memory(&self.hub);
        let channel = connector.connect("memory://agent").await.unwrap();
        let (requests, responses) = proto::AgentClient::new(channel).attach().await.unwrap();
        let application = Application {
            requests: Arc::new(requests),
            responses,
            epoch: String::new(),
        };
        let hello = proto::Hello {
            version_min,
            version_max,
            program: "test".to_owned(),
            process: 7,
            ..Default::default()
        };
        application.say(to::Said::Hello(hello)).await;
        application
    }

    fn ids(&self) -> Vec<String> {
        let ids = |registry: &crate::registry::Registry| {
            let all = registry.all();
            all.map(|known| known.instance.id.to_string()).collect()
        };
        self.knowledge.read(ids)
    }
}

/// An application that says and hears what a test wants.
struct Application {
    requests: Arc<Sender<proto::FromApplication, CallError>>,
    responses: Receiver<proto::FromAgent, CallError>,
    epoch: String,
}

impl Application {
    async fn say(&self, said: to::Said) {
        self.requests.send(message(said)).await.unwrap();
    }

    /// What the agent says next, heartbeats aside.
    async fn next(&mut self) -> Said {
        loop {
            let message = self.responses.next().await.unwrap().unwrap();
            match message.into_owned().said.unwrap() {
                Said::Heartbeat(_) => {}
                said => return said,
            }
        }
    }

    async fn registers(&mut self, key: u32, instance: proto::Instance) -> Said {
        self.say(register(key, instance)).await;
        self.next().await
    }

    async fn refused(&mut self) -> (Code, String) {
        match self.next().await {
            Said::Refused(refused) => {
                let code = Code::from_number(refused.code);
                (code, refused.message)
            }
            said => panic!("{said:?}"),
        }
    }

    async fn watches(&self, key: u32, service: &str, since: Option<u64>) {
        let watch = proto::Watch {
            key,
            service: service.to_owned(),
            epoch: self.epoch.clone(),
            version: since.unwrap_or(u64::MAX),
            ..Default::default()
        };
        self.say(to::Said::Watch(watch)).await;
    }

    async fn updated(&mut self) -> proto::Update {
        match self.next().await {
            Said::Update(update) => update,
            said => panic!("{said:?}"),
        }
    }

    /// How the agent ended the stream.
    async fn end(&mut self) -> Result<(), (Code, String)> {
        loop {
            match self.responses.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err((error.code(), error.message().to_owned())),
            }
        }
    }

    /// Says that it is alive, again and again.
    fn beats(&self) -> tokio::task::JoinHandle<()> {
        let requests = Arc::clone(&self.requests);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let beat = message(to::Said::Heartbeat(Default::default()));
                if requests.send(beat).await.is_err() {
                    return;
                }
            }
        })
    }
}

fn message(said: to::Said) -> proto::FromApplication {
    proto::FromApplication {
        said: Some(said),
        ..Default::default()
    }
}

fn register(key: u32, instance: proto::Instance) -> to::Said {
    to::Said::Register(proto::Register {
        key,
        instance: Some(instance),
        ..Default::default()
    })
}

fn instance(id: &str, service: &str) -> proto::Instance {
    let port = proto::Port {
        number: 7443,
        ..Default::default()
    };
    proto::Instance {
        id: id.to_owned(),
        service: service.to_owned(),
        ports: vec![port],
        ..Default::default()
    }
}

/// Waits until something holds of what the agent knows.
async fn until(agent: &Agent, holds: impl Fn(&Agent) -> bool) {
    let mut changes = agent.knowledge.changes();
    while !holds(agent) {
        changes.next().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_there_from_its_registration_to_the_end_of_its_stream() {
    let agent = Agent::new(Bounds::default()).await;
    let mut application = agent.attach().await;
    let said = application.registers(4, instance("a", "catalog")).await;
    let Said::Registered(registered) = said else {
        panic!("{said:?}");
    };
    let shown = registered.instance.unwrap();
    assert_eq!(registered.key, 4);
    assert_eq!((&*shown.origin, &*shown.agent), ("attached", "agent-1"));
    assert_eq!((&*shown.host, &*shown.zone), ("host-1", "eu-1"));
    assert_eq!(shown.addresses, ["127.0.0.1"]);
    assert_eq!(agent.ids(), ["a"]);
    drop(application);
    until(&agent, |agent| agent.ids().is_empty()).await;
    assert!(agent.attachments.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_registered_is_refused_with_the_reason_and_the_rest_goes_on() {
    let agent = Agent::new(Bounds::default()).await;
    let mut first = agent.attach().await;
    let mut second = agent.attach().await;
    first.registers(1, instance("a", "catalog")).await;
    let label = ("huge".to_owned(), "x".repeat(1 << 20));
    let labelled = proto::Instance {
        labels: [label].into(),
        ..instance("b", "catalog")
    };
    for (said, code, reason) in [
        (
            instance("a", "catalog"),
            Code::AlreadyExists,
            "a is registered by test (7) already",
        ),
        (
            instance("b", "Catalog"),
            Code::InvalidArgument,
            "only lower case letters",
        ),
        (
            labelled,
            Code::InvalidArgument,
            "the label \"huge\" has more than 255 bytes",
        ),
        (proto::Instance::default(), Code::InvalidArgument, "no port"),
    ] {
        second.say(register(1, said)).await;
        let (is_code, is_reason) = second.refused().await;
        assert_eq!(is_code, code, "{is_reason}");
        assert!(is_reason.contains(reason), "{is_reason}");
    }
    let said = second.registers(1, instance("b", "catalog")).await;
    assert!(matches!(said, Said::Registered(_)));
    second.say(register(1, instance("c", "catalog"))).await;
    assert_eq!(second.refused().await.0, Code::AlreadyExists);
    assert_eq!(agent.ids(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn so_many_instances_are_taken_of_one_program_and_no_more() {
    let bounds = Bounds {
        instances_max: 3,
        ..Bounds::default()
    };
    let agent = Agent::new(bounds).await;
    let mut application = agent.attach().await;
    for key in 0..3 {
        let said = application.registers(key, instance("", "catalog")).await;
        assert!(matches!(said, Said::Registered(_)), "{said:?}");
    }
    application.say(register(3, instance("", "catalog"))).await;
    let refused = application.refused().await;
    let reason = "a program registers at most 3 instances".to_owned();
    assert_eq!(refused, (Code::ResourceExhausted, reason));
    let gone = proto::Deregister {
        key: 1,
        ..Default::default()
    };
    application.say(to::Said::Deregister(gone)).await;
    let said = application.registers(3, instance("", "catalog")).await;
    assert!(matches!(said, Said::Registered(_)), "{said:?}");
    assert_eq!(agent.knowledge.read(crate::registry::Registry::len), 3);
}

#[tokio::test(start_paused = true)]
async fn who_falls_silent_leaves_and_who_beats_stays() {
    let agent = Agent::new(Bounds::default()).await;
    let mut silent = agent.attach().await;
    let mut alive = agent.attach().await;
    let beats = alive.beats();
    silent.registers(1, instance("silent", "catalog")).await;
    alive.registers(1, instance("alive", "catalog")).await;
    let begun = clock::now();
    until(&agent, |agent| agent.ids() == ["alive"]).await;
    let took = clock::now() - begun;
    let bounds = Duration::from_secs(3)..=Duration::from_millis(4_100);
    assert!(bounds.contains(&took), "{took:?}");
    assert_eq!(silent.end().await.unwrap_err().0, Code::DeadlineExceeded);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(agent.ids(), ["alive"]);
    beats.abort();
}

#[tokio::test(start_paused = true)]
async fn who_went_because_the_agent_was_stopped_is_held_until_it_is_back() {
    let agent = Agent::new(Bounds::default()).await;
    let mut server = agent.attach().await;
    server.registers(1, instance("a", "catalog")).await;
    let mut other = agent.attach().await;
    other.registers(1, instance("b", "catalog")).await;
    let version = agent.knowledge.read(crate::registry::Registry::version);
    // The agent is stopped, gets no answer out for longer than they wait, and goes on: the first
    // that it hears are their ends.
    drop((server, other));
    tokio::time::advance(Duration::from_secs(40)).await;
    while !agent.attachments.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(agent.ids(), ["a", "b"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut again = agent.attach().await;
    let _beats = again.beats();
    again.registers(1, instance("a", "catalog")).await;
    assert_eq!(
        agent.knowledge.read(crate::registry::Registry::version),
        version,
        "nobody saw anything of it"
    );
    // Who does not come back goes, and who came back and goes is not held.
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(agent.ids(), ["a"]);
    drop(again);
    _beats.abort();
    until(&agent, |agent| agent.ids().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn an_amended_instance_shows_its_new_state() {
    let agent = Agent::new(Bounds::default()).await;
    let mut application = agent.attach().await;
    application.registers(1, instance("a", "catalog")).await;
    let amend = |key, weight| {
        to::Said::Amend(proto::Amend {
            key,
            status: proto::InstanceStatus::DRAINING,
            weight: Some(weight),
            ..Default::default()
        })
    };
    application.say(amend(1, 7)).await;
    let Said::Registered(amended) = application.next().await else {
        panic!("not amended");
    };
    let shown = amended.instance.unwrap();
    assert_eq!(shown.status, proto::InstanceStatus::DRAINING);
    assert_eq!(shown.weight, Some(7));
    application.say(amend(1, 65_536)).await;
    assert_eq!(application.refused().await.0, Code::InvalidArgument);
    application.say(amend(2, 7)).await;
    assert_eq!(application.refused().await.0, Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn watchers_hear_what_changed_and_can_resume() {
    let agent = Agent::new(Bounds::default()).await;
    let mut server = agent.attach().await;
    let _beats = server.beats();
    let mut client = agent.attach().await;
    let _beats = client.beats();
    client.watches(9, "catalog", None).await;
    let nothing = client.updated().await;
    assert!(nothing.complete && nothing.changed.is_empty() && nothing.key == 9);
    server.registers(1, instance("a", "catalog")).await;
    server.registers(2, instance("x", "cart")).await;
    let first = client.updated().await;
    assert!(!first.complete);
    assert_eq!(first.changed[0].id, "a");
    server.registers(3, instance("b", "catalog")).await;
    let second = client.updated().await;
    assert_eq!(second.changed[0].id, "b");
    // Another stream that knows the first version hears of what came after it.
    let mut resumed = agent.attach().await;
    resumed.watches(1, "catalog", Some(first.version)).await;
    let resumed = resumed.updated().await;
    assert!(!resumed.complete);
    assert_eq!(
        (resumed.changed.len(), resumed.version),
        (1, second.version)
    );
    // One that has missed nothing is told so.
    let mut current = agent.attach().await;
    current.watches(1, "catalog", Some(second.version)).await;
    let current = current.updated().await;
    assert!(!current.complete && current.changed.is_empty());
    assert_eq!(current.version, second.version);
    // One of another run hears of everything.
    let mut other = agent.attach().await;
    other.epoch = "another".to_owned();
    other.watches(1, "catalog", Some(first.version)).await;
    let other = other.updated().await;
    assert!(other.complete && other.changed.len() == 2);
    drop(server);
    let gone = client.updated().await;
    assert_eq!(gone.removed, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_watched_a_run_that_is_forgotten_hears_when_its_instances_are_back() {
    let agent = Agent::new(Bounds::default()).await;
    agent.attachments.forget();
    let mut old = agent.attach().await;
    let _beats = old.beats();
    old.epoch = "a former run".to_owned();
    old.watches(1, "catalog", Some(7)).await;
    // Who knows nothing yet is answered at once.
    let mut new = agent.attach().await;
    let _beats = new.beats();
    new.epoch.clear();
    new.watches(1, "catalog", None).await;
    assert!(new.updated().await.complete);
    let mut server = agent.attach().await;
    let _beats = server.beats();
    server.registers(1, instance("a", "catalog")).await;
    assert_eq!(new.updated().await.changed.len(), 1);
    let asked = clock::now();
    let first = old.updated().await;
    assert!(first.complete && first.changed.len() == 1);
    assert!(clock::now() - asked > Duration::from_secs(1));
    // Later it is known who came back.
    let mut late = agent.attach().await;
    late.epoch = "a former run".to_owned();
    late.watches(1, "nobody", Some(7)).await;
    let nobody = late.updated().await;
    assert!(nobody.complete && nobody.changed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_that_something_is_all_before_the_agent_has_settled() {
    let agent = Agent::new(Bounds::default()).await;
    let settling = agent.knowledge.settling();
    let (files, others) = (
        settling.wait_for(Awaited::Files),
        settling.wait_for(Awaited::Agents),
    );
    let sink = agent.knowledge.sink("gossip", Origin::Gossip);
    let mut new = agent.attach().await;
    let _beats = new.beats();
    new.epoch.clear();
    new.watches(1, "catalog", None).await;
    let mut server = agent.attach().await;
    let _beats = server.beats();
    server.registers(1, instance("a", "catalog")).await;
    drop(files);
    let early = tokio::time::timeout(Duration::from_secs(60), new.updated()).await;
    assert!(early.is_err(), "{early:?}");
    let mut heard = instance("b", "catalog");
    heard.addresses = vec!["10.0.0.7".to_owned()];
    sink.set(heard.try_into().unwrap());
    drop(others);
    let first = new.updated().await;
    assert!(first.complete && first.changed.len() == 2);
    // From then on, everybody is answered at once.
    let asked = clock::now();
    let mut late = agent.attach().await;
    late.epoch.clear();
    late.watches(1, "catalog", None).await;
    assert_eq!(late.updated().await.changed.len(), 2);
    assert_eq!(clock::now(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_large_update_comes_in_parts() {
    let agent = Agent::new(Bounds::default()).await;
    let labels = (0..40).map(|label| (format!("label-{label}"), "x".repeat(250)));
    let labels: BTreeMap<_, _> = labels.collect();
    let instances = (0..200).map(|number| {
        let mut said = instance(&format!("i{number:03}"), "catalog");
        said.addresses = vec!["10.0.0.1".to_owned()];
        said.labels = labels.clone();
        Instance::try_from(said).unwrap()
    });
    let file = agent.knowledge.sink("file", Origin::File);
    file.replace(instances);
    let mut client = agent.attach().await;
    client.watches(1, "catalog", None).await;
    let (mut parts, mut ids) = (0, Vec::new());
    loop {
        let part = client.updated().await;
        parts += 1;
        assert!(part.complete);
        ids.extend(part.changed.into_iter().map(|it| it.id));
        if !part.more {
            break;
        }
    }
    assert!(parts > 2, "{parts}");
    assert!(ids.len() == 200 && ids.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn of_whoever_does_not_read_no_more_is_read() {
    let bounds = Bounds {
        answers_max: 4,
        silence: Duration::from_secs(3_600),
        program_bytes_max: usize::MAX,
        user_bytes_max: usize::MAX,
        bytes_max: usize::MAX,
        messages_max: usize::MAX,
        ..Bounds::default()
    };
    let agent = Agent::new(bounds).await;
    let application = agent.attach().await;
    let label = |number| (format!("label-{number}"), "x".repeat(250));
    let mut sent = 0;
    // Each answer is some 16 KiB, so the stream's credit is soon used up.
    while sent < 2_000 {
        let mut large = instance("", "catalog");
        large.labels = (0..60).map(label).collect();
        let sending = application.requests.send(message(register(sent, large)));
        if tokio::time::timeout(Duration::from_secs(5), sending)
            .await
            .is_err()
        {
            break;
        }
        sent += 1;
    }
    assert!(sent < 2_000, "the agent reads on");
    let known = agent.knowledge.read(crate::registry::Registry::len);
    assert!(known < 1_000, "{known}");
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_and_does_not_read_hears_the_last_state_once() {
    let agent = Agent::new(Bounds::default()).await;
    let file = agent.knowledge.sink("file", Origin::File);
    let mut client = agent.attach().await;
    let _beats = client.beats();
    client.watches(1, "catalog", None).await;
    client.updated().await;
    for weight in 0..20_000 {
        let mut said = instance("a", "catalog");
        said.addresses = vec!["10.0.0.1".to_owned()];
        said.labels = [("filling".to_owned(), "x".repeat(250))].into();
        said.weight = Some(weight);
        file.set(said.try_into().unwrap());
        if weight % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut updates = 0;
    loop {
        let update = client.updated().await;
        updates += 1;
        if update.changed[0].weight == Some(19_999) {
            break;
        }
    }
    assert!(updates <= 201, "{updates}");
}

#[tokio::test(start_paused = true)]
async fn an_application_that_is_too_new_or_says_no_hello_is_told() {
    let agent = Agent::new(Bounds::default()).await;
    let mut newer = agent.attach_as(2, 3).await;
    let (code, text) = newer.end().await.unwrap_err();
    assert_eq!(code, Code::FailedPrecondition);
    assert!(text.contains("versions 2 to 3"), "{text}");
    let mut both = agent.attach_as(1, 2).await;
    assert!(matches!(both.next().await, Said::Welcome(welcome) if welcome.version == 1));
    both.say(to::Said::Hello(proto::Hello::default())).await;
    assert_eq!(both.end().await.unwrap_err().0, Code::InvalidArgument);
    assert!(agent.attachments.is_empty());
}

#[tokio::test(start_paused = true)]
async fn so_many_programs_may_be_attached_and_no_more() {
    let bounds = Bounds {
        streams_max: 1,
        ..Bounds::default()
    };
    let agent = Agent::new(bounds).await;
    let first = agent.attach().await;
    let mut second = agent.attach_as(1, 1).await;
    assert_eq!(second.end().await.unwrap_err().0, Code::ResourceExhausted);
    drop(first);
    while !agent.attachments.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    agent.attach().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_leaves_says_so_and_takes_nothing_back() {
    let agent = Agent::new(Bounds::default()).await;
    let mut application = agent.attach().await;
    application.registers(1, instance("a", "catalog")).await;
    agent.attachments.leave();
    assert!(matches!(application.next().await, Said::Leaving(_)));
    assert_eq!(application.end().await, Ok(()));
    assert_eq!(agent.ids(), ["a"]);
    let mut late = agent.attach_as(1, 1).await;
    assert_eq!(late.end().await.unwrap_err().0, Code::Unavailable);
}

#[test]
fn a_process_that_attaches_anew_takes_its_ids_along() {
    let owners = Owners::default();
    let id = InstanceId::new("a").unwrap();
    let mut streams = 0..;
    let mut attach = |process| {
        let stream = streams.next().unwrap();
        Arc::new(Program::new(stream, process, "test", 1))
    };
    let process = |user, id| Some(Process::new(user, 0, id));
    let old = attach(process(1, Some(7)));
    owners.claim(&id, &old).unwrap();
    assert!(owners.claim(&id, &old).is_err());
    for other in [
        process(1, Some(8)),
        // A number of another namespace's, or one that was given anew.
        process(2, Some(7)),
        process(1, None),
        None,
    ] {
        assert!(owners.claim(&id, &attach(other)).is_err(), "{other:?}");
    }
    let hidden = InstanceId::new("hidden").unwrap();
    owners.claim(&hidden, &attach(process(1, None))).unwrap();
    assert!(owners.claim(&hidden, &attach(process(1, None))).is_err());
    let new = attach(process(1, Some(7)));
    owners.claim(&id, &new).unwrap();
    assert!(
        !owners.release(&id, &old),
        "it is no longer the old stream's"
    );
    assert!(owners.has(&id, &new) && owners.release(&id, &new));
}

#[test]
fn the_last_watch_of_a_service_takes_its_bell_along() {
    let knowledge = Knowledge::new(Here::default());
    let service: ServiceName = "catalog".parse().unwrap();
    let nothing = outgoing::Since::Nothing;
    let mut outgoing = outgoing::Outgoing::new(&knowledge);
    for key in [1, 2] {
        outgoing.watch(key, service.clone(), nothing, 2).unwrap();
    }
    let third = outgoing.watch(3, service.clone(), nothing, 2).unwrap_err();
    assert_eq!(third.code(), Code::ResourceExhausted);
    let again = outgoing.watch(1, service.clone(), nothing, 3).unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    assert_eq!(knowledge.watchers(&service), 1);
    outgoing.unwatch(1);
    assert_eq!(knowledge.watchers(&service), 1);
    outgoing.unwatch(2);
    assert_eq!(knowledge.watchers(&service), 0);
}
