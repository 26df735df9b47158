use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use async_trait::async_trait;
use chitchat::ChitchatEnvelope;
use chitchat::transport::{ChannelTransport, RecvOutcome, SendOutcome, Socket};
use tokio::task::JoinHandle;

use super::*;
use crate::gossip::guard::Dropped;
use crate::gossip::secret::Secrets;
use crate::gossip::transport::Guarded;
use crate::knowledge::{Here, Knowledge};
use crate::questions::Members;
use crate::source::contract::{self, instance};

/// A network in memory that rings as the one of sockets does.
struct Net(ChannelTransport, Arc<Heard>);

struct NetSocket(Box<dyn Socket>, Arc<Heard>);

#[async_trait]
impl Transport for Net {
    async fn open(&self, address: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket = self.0.open(address).await?;
        Ok(Box::new(NetSocket(socket, self.1.clone())))
    }
}

#[async_trait]
impl Socket for NetSocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.0.local_addr()
    }

    async fn send(
        &mut self,
        to: SocketAddr,
        envelope: ChitchatEnvelope,
    ) -> anyhow::Result<SendOutcome> {
        self.0.send(to, envelope).await
    }

    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        let came = self.0.recv().await;
        self.1.ring();
        came
    }
}

/// An agent as far as gossip sees it.
struct Agent {
    knowledge: Knowledge,
    attached: Sink,
    neighbours: Neighbours,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Agent {
    fn of(
        name: &str,
        membership: Membership,
        transport: Box<dyn Transport>,
        heard: Arc<Heard>,
    ) -> Self {
        let knowledge = Knowledge::new(Here::new(name, name));
        let attached = knowledge.sink("attached", Origin::Attached);
        Self::knowing(knowledge, attached, membership, transport, heard)
    }

    fn knowing(
        knowledge: Knowledge,
        attached: Sink,
        membership: Membership,
        transport: Box<dyn Transport>,
        heard: Arc<Heard>,
    ) -> Self {
        let address = membership.address;
        let source = Box::new(GossipSource::new(membership, transport, heard));
        let neighbours = source.neighbours();
        let sink = knowledge.sink(&source.name(), source.origin());
        let task = tokio::spawn(source.run(sink));
        Self {
            knowledge,
            attached,
            neighbours,
            address,
            task,
        }
    }

    fn ids(&self) -> Vec<String> {
        let all = |registry: &crate::registry::Registry| {
            let all = registry.all();
            all.map(|known| known.instance.id.to_string()).collect()
        };
        self.knowledge.read(all)
    }

    fn orphans(&self) -> Vec<String> {
        let orphans = self.neighbours.orphans();
        let orphans = orphans.borrow();
        orphans.iter().map(ToString::to_string).collect()
    }

    fn problems(&self) -> Vec<String> {
        self.knowledge.read(|registry| {
            let problems = registry.sources().filter_map(|it| it.problem.as_ref());
            problems.map(ToString::to_string).collect()
        })
    }

    fn alive(&self) -> usize {
        let members = self.neighbours.members();
        members.iter().filter(|member| member.alive).count()
    }
}

const fn at(number: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), number)
}

/// An agent of a network in memory, which begins with the agent at 1.
fn agent(net: &ChannelTransport, number: u16) -> Agent {
    named(net, number, &format!("agent-{number}"), 1)
}

fn named(net: &ChannelTransport, number: u16, name: &str, generation: u64) -> Agent {
    let mut membership = Membership::new(at(number), "test", vec![at(1).to_string()]);
    membership.generation = generation;
    let heard = Arc::<Heard>::default();
    let net = Box::new(Net(net.clone(), heard.clone()));
    Agent::of(name, membership, net, heard)
}

/// A later run of the agent of that number, which knows something already.
fn restarted(net: &ChannelTransport, number: u16, knowledge: Knowledge) -> Agent {
    let mut membership = Membership::new(at(number), "test", vec![at(1).to_string()]);
    membership.generation = 2;
    let heard = Arc::<Heard>::default();
    let net = Box::new(Net(net.clone(), heard.clone()));
    let attached = knowledge.sink("attached", Origin::Attached);
    Agent::knowing(knowledge, attached, membership, net, heard)
}

fn id(text: &str) -> InstanceId {
    InstanceId::new(text).unwrap()
}

/// Waits until something holds; says how long that took.
async fn until(holds: impl Fn() -> bool) -> Duration {
    let start = clock::now();
    for _ in 0..6_000 {
        if holds() {
            return clock::now() - start;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to hold in a minute");
}

#[tokio::test(start_paused = true)]
async fn instances_are_heard_of_in_their_agents_name_and_do_not_echo() {
    let net = ChannelTransport::default();
    let (one, two, three) = (agent(&net, 1), agent(&net, 2), agent(&net, 3));
    one.attached.set(instance("a", 1));
    until(|| [&two, &three].iter().all(|it| it.ids() == ["a"])).await;
    let known = two.knowledge.known(&id("a")).unwrap();
    assert_eq!(
        (&*known.instance.agent, &*known.instance.origin),
        ("agent-1", "gossip")
    );
    assert_eq!(known.origin, Origin::Gossip);
    // What it says itself under the same id shows; the other one's word stands behind it.
    two.attached.set(instance("a", 2));
    until(|| {
        let known = three.knowledge.known(&id("a"));
        let agents = three.knowledge.read(|it| it.contested().count());
        known.is_some() && agents == 1
    })
    .await;
    one.attached.gone(&id("a"));
    two.attached.gone(&id("a"));
    until(|| [&one, &two, &three].iter().all(|it| it.ids().is_empty())).await;
    for agent in [&one, &two, &three] {
        until(|| agent.alive() == 2).await;
        assert!(agent.problems().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_at_twenty_agents_in_less_than_a_second() {
    let net = ChannelTransport::default();
    let agents: Vec<_> = (1..=20).map(|number| agent(&net, number)).collect();
    until(|| agents.iter().all(|agent| agent.alive() == 19)).await;
    for (number, agent) in agents.iter().enumerate() {
        let name = format!("i-{number}");
        agent.attached.set(instance(&name, 1));
        let took = until(|| {
            agents
                .iter()
                .all(|it| it.knowledge.known(&id(&name)).is_some())
        })
        .await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    agents[3].attached.gone(&id("i-3"));
    let took = until(|| {
        agents
            .iter()
            .all(|it| it.knowledge.known(&id("i-3")).is_none())
    })
    .await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_instances_of_a_dead_agent_are_orphans_until_a_check_fails() {
    let net = ChannelTransport::default();
    let (one, two) = (agent(&net, 1), agent(&net, 2));
    two.attached.set(instance("a", 1));
    two.attached.set(instance("b", 1));
    until(|| one.ids() == ["a", "b"] && one.alive() == 1).await;
    sleep(Duration::from_secs(30)).await;
    assert!(one.orphans().is_empty());
    two.task.abort();
    let took = until(|| one.orphans() == ["a", "b"]).await;
    assert!(took < Duration::from_millis(2_200), "{took:?}");
    assert_eq!((one.ids(), one.alive()), (vec!["a".into(), "b".into()], 0));
    assert!(
        one.problems()[0].contains("no other agent"),
        "{:?}",
        one.problems()
    );
    one.neighbours.lose(id("a"));
    until(|| one.ids() == ["b"]).await;
    assert_eq!(one.orphans(), ["b"]);
    // An hour later chitchat has forgotten the agent, and its instance is checked all the same.
    sleep(Duration::from_secs(3_600)).await;
    assert_eq!(
        (one.ids(), one.orphans()),
        (vec!["b".to_owned()], vec!["b".to_owned()])
    );
    // The agent is back, and speaks for one of them and another one.
    let again = named(&net, 2, "agent-2", 2);
    again.attached.set(instance("b", 1));
    again.attached.set(instance("c", 1));
    until(|| one.ids() == ["b", "c"] && one.orphans().is_empty()).await;
    assert!(one.problems().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_no_longer_says_after_a_quick_restart_goes_even_if_its_clock_went_back() {
    let net = ChannelTransport::default();
    let one = agent(&net, 1);
    let two = named(&net, 2, "agent-2", 4_000_000);
    two.attached.set(instance("a", 1));
    two.attached.set(instance("b", 1));
    until(|| one.ids() == ["a", "b"] && one.alive() == 1).await;
    two.task.abort();
    until(|| two.task.is_finished()).await;
    let again = named(&net, 2, "agent-2", 400_000);
    again.attached.set(instance("b", 1));
    let took = until(|| one.ids() == ["b"]).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    until(|| one.orphans().is_empty() && one.alive() == 1).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!((one.ids(), one.alive()), (vec!["b".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_leaves_leaves_its_instances_and_says_so_at_once() {
    let net = ChannelTransport::default();
    let agents: Vec<_> = (1..=5).map(|number| agent(&net, number)).collect();
    let (leaves, stay) = agents.split_first().unwrap();
    leaves.attached.set(instance("a", 1));
    until(|| stay.iter().all(|it| it.ids() == ["a"] && it.alive() == 4)).await;
    let start = clock::now();
    leaves.neighbours.leave().await;
    // What ends after it takes its words back, and nobody hears that.
    leaves.attached.gone(&id("a"));
    until(|| stay.iter().all(|it| it.orphans() == ["a"])).await;
    let took = clock::now() - start;
    assert!(took < Duration::from_millis(700), "{took:?}");
    sleep(Duration::from_secs(20)).await;
    assert!(stay.iter().all(|it| it.ids() == ["a"] && it.alive() == 3));
}

#[tokio::test(start_paused = true)]
async fn a_partition_loses_nothing_and_heals() {
    let net = ChannelTransport::default();
    let agents: Vec<_> = (1..=4).map(|number| agent(&net, number)).collect();
    for (number, agent) in agents.iter().enumerate() {
        agent.attached.set(instance(&format!("i-{number}"), 1));
    }
    until(|| {
        agents
            .iter()
            .all(|it| it.ids().len() == 4 && it.alive() == 3)
    })
    .await;
    let across = [(1, 3), (1, 4), (2, 3), (2, 4)];
    for (a, b) in across {
        net.remove_link(at(a), at(b)).await;
    }
    until(|| {
        agents
            .iter()
            .all(|it| it.orphans().len() == 2 && it.alive() == 1)
    })
    .await;
    assert!(agents.iter().all(|it| it.ids().len() == 4));
    // Here a check fails, and what is new on either side is not heard on the other.
    agents[0].neighbours.lose(id("i-3"));
    agents[2].attached.set(instance("new", 1));
    until(|| agents[0].ids().len() == 3 && agents[3].ids().len() == 5).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!((agents[0].ids().len(), agents[1].ids().len()), (3, 4));
    for (a, b) in across {
        net.add_link(at(a), at(b)).await;
    }
    until(|| {
        agents
            .iter()
            .all(|it| it.ids().len() == 5 && it.orphans().is_empty())
    })
    .await;
    assert!(
        agents
            .iter()
            .all(|it| it.alive() == 3 && it.problems().is_empty())
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_restarts_empty_takes_nothing_from_others_before_it_has_said_all() {
    let net = ChannelTransport::default();
    let one = agent(&net, 1);
    let two = named(&net, 2, "agent-2", 1);
    two.attached.set(instance("a", 1));
    two.attached.set(instance("b", 1));
    until(|| one.ids() == ["a", "b"] && one.alive() == 1).await;
    two.task.abort();
    until(|| two.task.is_finished()).await;
    // Its applications are not back, and its file takes long.
    let knowledge = Knowledge::new(Here::new("agent-2", "agent-2"));
    let files = knowledge.settling().wait_for(Awaited::Files);
    let returning = knowledge.settling().wait_for(Awaited::Applications);
    let again = restarted(&net, 2, knowledge);
    until(|| one.neighbours.members().len() == 1 && one.alive() == 1).await;
    drop(files);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(one.ids(), ["a", "b"]);
    again.attached.set(instance("b", 1));
    drop(returning);
    let took = until(|| one.ids() == ["b"]).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    until(|| one.orphans().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_known_counts_for_all_once_others_were_heard_or_for_long_were_not() {
    let net = ChannelTransport::default();
    let all = [Awaited::Agents];
    // The first of a cluster names itself, and waits for nobody.
    let one = agent(&net, 1);
    assert!(one.knowledge.settling().is_over(&all));
    one.attached.set(instance("a", 1));
    let two = agent(&net, 2);
    assert!(!two.knowledge.settling().is_over(&all));
    let took = until(|| two.knowledge.settling().is_over(&all)).await;
    assert!(took < HEARING_MAX / 2, "{took:?}");
    assert_eq!(two.ids(), ["a"]);
    one.task.abort();
    two.task.abort();
    let three = agent(&net, 3);
    let took = until(|| three.knowledge.settling().is_over(&all)).await;
    assert!(took >= HEARING_MAX - INTERVAL && took <= HEARING_MAX + INTERVAL);
    assert!(three.ids().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_was_stopped_takes_nobody_else_for_dead() {
    let net = ChannelTransport::default();
    let agents: Vec<_> = (1..=4).map(|number| agent(&net, number)).collect();
    let (stopped, others) = agents.split_first().unwrap();
    for (number, agent) in others.iter().enumerate() {
        agent.attached.set(instance(&format!("i-{number}"), 1));
    }
    until(|| {
        agents
            .iter()
            .all(|it| it.ids().len() == 3 && it.alive() == 3)
    })
    .await;
    let (mut orphans, version) = (
        stopped.neighbours.orphans(),
        stopped.knowledge.read(crate::registry::Registry::version),
    );
    orphans.mark_unchanged();
    for seconds in [2, 31, 3_600] {
        // All of them are, which is the worst of it.
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for _ in 0..500 {
            sleep(Duration::from_millis(10)).await;
            assert_eq!(stopped.alive(), 3, "after {seconds} s");
            assert!(stopped.problems().is_empty());
        }
        assert!(!orphans.has_changed().unwrap(), "after {seconds} s");
    }
    assert_eq!(
        stopped.knowledge.read(crate::registry::Registry::version),
        version
    );
    // Who has died meanwhile is found out all the same.
    agents[3].task.abort();
    tokio::time::advance(Duration::from_secs(31)).await;
    let took = until(|| stopped.orphans() == ["i-2"]).await;
    assert!(took < EXCUSED_FOR + INTERVAL * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn two_agents_of_one_name_are_told_so() {
    let net = ChannelTransport::default();
    let (one, two) = (named(&net, 1, "same", 1), named(&net, 2, "same", 2));
    let told = |agent: &Agent| {
        agent
            .problems()
            .iter()
            .any(|it| it.contains("another name"))
    };
    until(|| told(&one) && told(&two)).await;
    two.task.abort();
    until(|| !told(&one)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_says_wrongly_is_skipped() {
    let net = ChannelTransport::default();
    let one = agent(&net, 1);
    let values = BTreeMap::from([
        ("i/bad", "no base64!".to_owned()),
        ("i/good", value_of(&instance("good", 1)).unwrap()),
        ("i/other", value_of(&instance("an-other", 1)).unwrap()),
        ("unknown", "of a newer agent".to_owned()),
        (READY, "1".to_owned()),
    ]);
    let values = values
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new("odd", 1, at(2)),
        cluster_id: "test".to_owned(),
        gossip_interval: INTERVAL,
        listen_addr: at(2),
        seed_nodes: vec![at(1).to_string()],
        failure_detector_config: failure_detector(),
        marked_for_deletion_grace_period: FORGET_AFTER,
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: ProtocolVersion::V0,
    };
    let odd = spawn_chitchat(config, values.collect(), &net)
        .await
        .unwrap();
    until(|| one.ids() == ["good"]).await;
    assert!(
        one.problems()[0].contains("instance \"other\""),
        "{:?}",
        one.problems()
    );
    let mend = |chitchat: &mut Chitchat| {
        for key in ["i/bad", "i/other"] {
            chitchat.self_node_state().delete(key);
        }
    };
    odd.with_chitchat(mend).await;
    until(|| one.problems().is_empty() && one.ids() == ["good"]).await;
    odd.abort();
}

#[tokio::test(start_paused = true)]
async fn a_seed_that_is_down_at_start_is_tried_until_it_is_up() {
    let net = ChannelTransport::default();
    let two = agent(&net, 2);
    two.attached.set(instance("a", 1));
    sleep(Duration::from_secs(7_200)).await;
    let one = agent(&net, 1);
    let took = until(|| one.ids() == ["a"]).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// Gossip over sockets: each agent is told of the first one.
async fn over_udp(number: u16, seeds: Vec<String>, secret: Option<&[u8]>) -> (Agent, Arc<Heard>) {
    let secrets = secret.map(|it| Secrets::parse(it).unwrap());
    let guarded = Guarded::new("test", secrets);
    let heard = guarded.heard();
    let address = guarded.bind(at(0)).await.unwrap();
    let membership = Membership::new(address, "test", seeds);
    let name = format!("agent-{number}");
    let agent = Agent::of(&name, membership, Box::new(guarded), heard.clone());
    (agent, heard)
}

#[tokio::test]
async fn sealed_gossip_goes_through_sockets_and_keeps_strangers_out() {
    let secret = Some(&[b's'; 32][..]);
    let (one, heard) = over_udp(1, Vec::new(), secret).await;
    let seeds = vec![one.address.to_string()];
    let (two, _) = over_udp(2, seeds.clone(), secret).await;
    let (stranger, _) = over_udp(3, seeds.clone(), Some(&[b'x'; 32])).await;
    let (open, _) = over_udp(4, seeds, None).await;
    let many: Vec<_> = (0..300)
        .map(|it| instance(&format!("i-{it:03}"), 1))
        .collect();
    for each in &many {
        two.attached.set(each.clone());
    }
    for agent in [&stranger, &open] {
        agent.attached.set(instance("intruder", 1));
    }
    until(|| one.ids().len() == 300 && one.alive() == 1).await;
    until(|| heard.dropped(Dropped::Foreign) > 2).await;
    assert_eq!((one.ids().len(), one.alive()), (300, 1));
    assert_eq!((stranger.ids().len(), stranger.alive()), (1, 0));
    assert_eq!(open.ids().len(), 1);
}

#[tokio::test]
async fn without_a_secret_gossip_stays_on_the_host() {
    let guarded = Guarded::new("test", None);
    let error = guarded.bind(([0, 0, 0, 0], 0).into()).await.unwrap_err();
    assert!(error.to_string().contains("there is no secret"), "{error}");
    assert!(guarded.bind(at(0)).await.is_ok());
    assert!(guarded.bind("[::1]:0".parse().unwrap()).await.is_ok());
}

/// The other agent, which says what the suite wants said.
struct Rig {
    net: ChannelTransport,
    said: Option<Agent>,
    generation: u64,
}

impl contract::Rig for Rig {
    fn source(&self) -> Box<dyn Source> {
        let membership = Membership::new(at(1), "test", vec![at(2).to_string()]);
        let heard = Arc::<Heard>::default();
        let net = Box::new(Net(self.net.clone(), heard.clone()));
        Box::new(GossipSource::new(membership, net, heard))
    }

    fn say(&mut self, instances: &[Instance]) {
        if self.said.is_none() {
            self.generation += 1;
            self.said = Some(named(&self.net, 2, "agent-2", self.generation));
        }
        let said = self.said.as_ref().unwrap();
        said.attached.replace(instances.iter().cloned());
    }

    fn lose(&mut self) {
        self.said.take().unwrap().task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn gossip_does_what_every_source_has_to() {
    let rig = Rig {
        net: ChannelTransport::default(),
        said: None,
        generation: 0,
    };
    contract::holds(rig).await;
}
