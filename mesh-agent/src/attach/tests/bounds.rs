//! What one program can make the agent hold, and whose ids it can have.

use dreammesh_agent_api::instance::Host;

use super::*;
use crate::registry::Health;

/// As an application says it, with words that make it large.
fn large(id: &str, labels: usize) -> proto::Instance {
    let label = |number| (format!("label-{number}"), "x".repeat(250));
    proto::Instance {
        labels: (0..labels).map(label).collect(),
        addresses: vec!["10.0.0.1".to_owned()],
        ..instance(id, "catalog")
    }
}

fn taken(agent: &Agent) -> u64 {
    agent
        .attachments
        .programs(9)
        .iter()
        .map(|it| it.bytes)
        .sum()
}

#[tokio::test(start_paused = true)]
async fn a_program_takes_so_many_bytes_and_not_one_more() {
    // What three of them take is found out of an agent that has enough.
    let plenty = Agent::new(Bounds::default()).await;
    let mut application = plenty.attach().await;
    for key in 0..3 {
        let said = application
            .registers(key, large(&format!("i{key}"), 9))
            .await;
        assert!(matches!(said, Said::Registered(_)), "{said:?}");
    }
    let three = usize::try_from(taken(&plenty)).unwrap();
    for (program_bytes_max, fits) in [(three, true), (three - 1, false)] {
        let bounds = Bounds {
            program_bytes_max,
            ..Bounds::default()
        };
        let agent = Agent::new(bounds).await;
        let mut application = agent.attach().await;
        for key in 0..2 {
            application
                .registers(key, large(&format!("i{key}"), 9))
                .await;
        }
        let third = application.registers(2, large("i2", 9)).await;
        assert_eq!(matches!(third, Said::Registered(_)), fits, "{third:?}");
        if fits {
            application.watches(9, "catalog", None).await;
            let (code, text) = application.refused().await;
            assert_eq!(code, Code::ResourceExhausted);
            assert!(
                text.contains("registers and watches takes at most"),
                "{text}"
            );
        }
        // What is given back can be taken again.
        let gone = proto::Deregister {
            key: 0,
            ..Default::default()
        };
        application.say(to::Said::Deregister(gone)).await;
        let again = application.registers(7, large("i7", 9)).await;
        assert!(matches!(again, Said::Registered(_)), "{again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_unwatched_or_refused_is_not_counted() {
    let agent = Agent::new(Bounds::default()).await;
    let mut application = agent.attach().await;
    application.registers(1, instance("a", "catalog")).await;
    let before = taken(&agent);
    application.say(register(2, instance("a", "catalog"))).await;
    application.refused().await;
    application.say(register(1, instance("b", "catalog"))).await;
    application.refused().await;
    assert_eq!(taken(&agent), before);
    application.watches(9, "catalog", None).await;
    application.updated().await;
    assert!(taken(&agent) > before);
    application.watches(9, "catalog", None).await;
    application.refused().await;
    let unwatch = proto::Unwatch {
        key: 9,
        ..Default::default()
    };
    application.say(to::Said::Unwatch(unwatch)).await;
    let last = application.registers(3, instance("a", "catalog")).await;
    assert!(matches!(last, Said::Refused(_)));
    assert_eq!(taken(&agent), before);
}

#[tokio::test(start_paused = true)]
async fn of_a_hundred_thousand_registrations_of_one_program_a_thousand_are_taken() {
    let agent = Agent::new(Bounds::default()).await;
    let mut application = agent.attach().await;
    let requests = Arc::clone(&application.requests);
    let speaking = tokio::spawn(async move {
        for key in 0..100_000 {
            let said = register(key, instance("", "catalog"));
            requests.send(message(said)).await.unwrap();
        }
    });
    let (mut registered, mut refused) = (0, 0);
    while registered + refused < 100_000 {
        match application.next().await {
            Said::Registered(_) => registered += 1,
            Said::Refused(_) => refused += 1,
            said => panic!("{said:?}"),
        }
    }
    speaking.await.unwrap();
    let bounds = Bounds::default();
    assert_eq!(registered, bounds.instances_max);
    assert_eq!(agent.ids().len(), bounds.instances_max);
    assert!(taken(&agent) <= bounds.program_bytes_max as u64);
    drop(application);
    until(&agent, |agent| agent.ids().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn so_many_messages_of_one_program_are_taken_in_a_tick() {
    let bounds = Bounds {
        messages_max: 10,
        ..Bounds::default()
    };
    let agent = Agent::new(bounds).await;
    let mut application = agent.attach().await;
    // From the beginning of a tick on.
    let mut ticks = agent.attachments.0.ticks.subscribe();
    ticks.changed().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let begun = clock::now();
    for key in 0..11 {
        application
            .say(register(key, instance("", "catalog")))
            .await;
    }
    let mut times = Vec::new();
    for _ in 0..11 {
        assert!(matches!(application.next().await, Said::Registered(_)));
        times.push(clock::now() - begun);
    }
    assert!(times[9] < Duration::from_millis(900), "{times:?}");
    assert!(times[10] > Duration::from_millis(900), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_read_keeps_nothing_alive_and_is_left_in_the_end() {
    let agent = Agent::new(Bounds::default()).await;
    let file = agent.knowledge.sink("file", Origin::File);
    let all = (0..300).map(|number| large(&format!("i{number:03}"), 60));
    file.replace(all.map(|said| Instance::try_from(said).unwrap()));
    let mut client = agent.attach().await;
    let _beats = client.beats();
    client.watches(1, "catalog", None).await;
    let begun = clock::now();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let shown = agent.knowledge.read(|registry| {
        let shown = registry.all().map(|known| Arc::downgrade(&known.instance));
        shown.collect::<Vec<_>>()
    });
    file.replace([]);
    let held = shown.iter().filter(|it| it.upgrade().is_some()).count();
    assert_eq!((shown.len(), held), (300, 0));
    while !agent.attachments.is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = clock::now() - begun;
    let bounds = Duration::from_secs(30)..=Duration::from_secs(32);
    assert!(bounds.contains(&took), "{took:?}");
    assert_eq!(client.end().await.unwrap_err().0, Code::ResourceExhausted);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_takes_long_ends_with_what_there_is_by_then() {
    let agent = Agent::new(Bounds::default()).await;
    let file = agent.knowledge.sink("file", Origin::File);
    let all = |count| {
        let all = (0..count).map(|number| large(&format!("i{number:03}"), 60));
        all.map(|said| Instance::try_from(said).unwrap())
    };
    file.replace(all(100));
    let mut client = agent.attach().await;
    let _beats = client.beats();
    client.watches(1, "catalog", None).await;
    let mut ids = std::collections::BTreeSet::new();
    let mut is_first = true;
    // Until everything that was said is how it is.
    while ids.len() != 50 {
        let part = client.updated().await;
        ids.extend(part.changed.into_iter().map(|it| it.id));
        part.removed.iter().for_each(|id| {
            ids.remove(id);
        });
        if std::mem::take(&mut is_first) {
            assert!(part.more && part.complete);
            file.replace(all(50));
        }
    }
    assert_eq!(ids.last().unwrap(), "i049");
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_hello_has_a_place_as_well() {
    let bounds = Bounds {
        streams_max: 1,
        ..Bounds::default()
    };
    let agent = Agent::new(bounds).await;
    let connector = Connector::new().memory(&agent.hub);
    let channel = connector.connect("memory://agent").await.unwrap();
    let silent = proto::AgentClient::new(channel).attach().await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut second = agent.attach_as(1, 1).await;
    assert_eq!(second.end().await.unwrap_err().0, Code::ResourceExhausted);
    assert!(agent.attachments.is_empty(), "nobody has said hello");
    // It is not kept for long.
    tokio::time::sleep(Duration::from_secs(4)).await;
    agent.attach().await;
    drop(silent);
}

/// What an application is told that registers an instance which others say is there.
async fn answer(agent: &Agent, id: &str) -> Result<(), (Code, String)> {
    let mut application = agent.attach().await;
    let mut said = instance(id, "catalog");
    said.addresses = vec!["10.0.0.7".to_owned()];
    application.say(register(1, said)).await;
    match application.next().await {
        Said::Registered(_) => Ok(()),
        Said::Refused(refused) => Err((Code::from_number(refused.code), refused.message)),
        said => panic!("{said:?}"),
    }
}

fn of_host(id: &str, host: &str) -> Instance {
    let mut said = instance(id, "catalog");
    said.addresses = vec!["10.0.0.7".to_owned()];
    said.host = host.to_owned();
    said.agent = "agent-2".to_owned();
    said.try_into().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_id_of_an_instance_of_a_file_or_another_agent_is_not_given_to_a_program() {
    let agent = Agent::new(Bounds::default()).await;
    let file = agent
        .knowledge
        .sink("file:/etc/services.yaml", Origin::File);
    let gossip = agent.knowledge.sink("gossip", Origin::Gossip);
    let remembered = agent.knowledge.sink("remembered", Origin::Remembered);
    file.set(of_host("of-file", "host-1"));
    gossip.set(of_host("of-other", "host-2"));
    remembered.keep([of_host("of-before", "host-2")]);
    for (id, whose) in [
        ("of-file", "of file:/etc/services.yaml"),
        ("of-other", "of the agent agent-2 on host-2"),
        ("of-before", "of the agent agent-2 on host-2"),
    ] {
        let shown = |agent: &Agent| agent.knowledge.known(&InstanceId::new(id).unwrap());
        let before = shown(&agent).unwrap().instance;
        let (code, text) = answer(&agent, id).await.unwrap_err();
        assert_eq!(code, Code::AlreadyExists);
        assert!(
            text.contains(whose) && text.contains("another id"),
            "{text}"
        );
        assert_eq!(shown(&agent).unwrap().instance, before);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_has_come_back_or_moved_here_keeps_its_id() {
    let agent = Agent::new(Bounds::default()).await;
    let gossip = agent.knowledge.sink("gossip", Origin::Gossip);
    // As an agent of this host said that has another name now.
    gossip.set(of_host("renamed", "host-1"));
    answer(&agent, "renamed").await.unwrap();
    // Another place of this host is another instance.
    let mut elsewhere = of_host("elsewhere", "host-1");
    elsewhere.addresses = vec![Host::Ip([10, 0, 0, 8].into())];
    gossip.set(elsewhere);
    assert!(answer(&agent, "elsewhere").await.is_err());
    gossip.set(of_host("moved", "host-2"));
    let moved = InstanceId::new("moved").unwrap();
    assert!(answer(&agent, "moved").await.is_err());
    let failing = Some(Health::failing("refused"));
    agent.knowledge.set_health(&moved, failing);
    answer(&agent, "moved").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_held_is_given_to_its_user_alone() {
    let agent = Agent::new(Bounds::default()).await;
    let held = agent.knowledge.sink("held", Origin::Held);
    for id in ["of-seven", "of-nobody-knows"] {
        held.set(of_host(id, "host-1"));
    }
    let of_seven = InstanceId::new("of-seven").unwrap();
    agent.attachments.remember_users([(of_seven, 7)].into());
    // Here in memory, nobody is a process of the user 7.
    let (code, text) = answer(&agent, "of-seven").await.unwrap_err();
    assert_eq!(code, Code::AlreadyExists);
    assert!(text.contains("held for a program of the user 7"), "{text}");
    answer(&agent, "of-nobody-knows").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn names_are_fit_to_be_printed() {
    let program = Program::new(1, Some(Process::new(7, 0, Some(9))), "shop", 4);
    assert_eq!(&*program.name, "shop (process 9 of user 7)");
    let hidden = Program::new(1, Some(Process::new(7, 0, None)), "shop", 4);
    assert_eq!(
        &*hidden.name, "shop (of user 7)",
        "what it says of itself may be wrong"
    );
    assert_eq!(stream::printable("a\u{202e}b\u{1b}[2Jc\nd"), "ab[2Jcd");
    assert_eq!(stream::printable("\u{1b}"), "a program");
    assert_eq!(stream::printable(&"x".repeat(1_000)).len(), 64);
}
