//! Attaching, and what becomes of it when agents come and go.

use std::time::Duration;

use dreammesh_agent_api::{proto, state};
use dreammesh_core::resolve::{Abilities, Resolvers};
use tokio::time::{Instant, timeout};

use crate::agent::{Asking, Host, Said, instance, update, welcome};

#[tokio::test(start_paused = true)]
async fn what_was_said_is_kept_and_gone_on_from_when_the_agent_is_back() {
    let host = Host::new("restart");
    let mut agent = host.agent().await;
    let mesh = host.mesh();
    let mut asking = Asking::new(&mesh);
    let mut stream = agent.welcomed("e").await;
    let watch = stream.watched().await;
    assert_eq!((&*watch.service, &*watch.namespace), ("catalog", "default"));
    assert_eq!((&*watch.epoch, watch.version), ("", 0));
    stream.say(Said::Update(update(watch.key, 4, true, &["a", "b"])));
    assert_eq!(asking.ids().await, ["a", "b"]);
    let knowledge = asking.0.knowledge().unwrap();

    agent.kill().await;
    // The trouble is told, with what is known.
    assert_eq!(asking.ids().await, ["a", "b"]);
    assert!(!mesh.is_attached());
    tokio::time::sleep(Duration::from_secs(100)).await;
    let now = Instant::now().into_std();
    assert!(knowledge.age(now).unwrap() >= Duration::from_secs(100));

    let mut agent = host.agent().await;
    let mut stream = agent.welcomed("e").await;
    let watch = stream.watched().await;
    assert_eq!((&*watch.epoch, watch.version), ("e", 4));
    assert_eq!(asking.ids().await, ["a", "b"]);
    let mut delta = update(watch.key, 5, false, &["c"]);
    delta.removed = vec!["a".into()];
    stream.say(Said::Update(delta));
    assert_eq!(asking.ids().await, ["b", "c"]);
    let now = Instant::now().into_std();
    assert!(knowledge.age(now).unwrap() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn two_who_follow_one_service_share_one_watch_and_the_last_ends_it() {
    let host = Host::new("shared");
    let mut agent = host.agent().await;
    let mesh = host.mesh();
    let (mut first, mut second) = (Asking::new(&mesh), Asking::new(&mesh));
    let mut stream = agent.welcomed("e").await;
    let watch = stream.watched().await;
    stream.say(Said::Update(update(watch.key, 1, true, &["a"])));
    assert_eq!(first.ids().await, ["a"]);
    assert_eq!(second.ids().await, ["a"]);
    // Whoever comes later is told at once.
    assert_eq!(Asking::new(&mesh).ids().await, ["a"]);
    drop(first);
    stream.say(Said::Update(update(watch.key, 2, false, &["b"])));
    assert_eq!(second.ids().await, ["a", "b"]);
    drop(second);
    let unwatched = stream.hear().await;
    assert!(matches!(unwatched, crate::agent::To::Unwatch(it) if it.key == watch.key));
    drop(mesh);
    stream.ended().await;
}

fn left(host: &Host, ids: &[&str]) {
    left_at(host, 1_000, ids);
}

fn left_at(host: &Host, written_unix_ms: u64, ids: &[&str]) {
    let state = proto::State {
        host: "here".into(),
        written_unix_ms,
        instances: ids.iter().map(|id| instance(id, 7443)).collect(),
        ..Default::default()
    };
    let bytes = state::encode(&state).unwrap();
    std::fs::write(host.directory.join("state"), bytes).unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_no_agent_answers_what_one_left_is_used() {
    let host = Host::new("left");
    left(&host, &["a"]);
    let mesh = host.mesh();
    let mut asking = Asking::new(&mesh);
    assert_eq!(asking.ids().await, ["a"]);
    let age = asking.0.knowledge().unwrap().age(Instant::now().into_std());
    // It was written in 1970.
    assert!(age.unwrap() > Duration::from_secs(1_000_000_000));
}

#[tokio::test(start_paused = true)]
async fn what_one_left_whose_clock_was_ahead_is_used_as_new() {
    let host = Host::new("ahead");
    left_at(&host, u64::MAX, &["a"]);
    let mesh = host.mesh();
    let mut asking = Asking::new(&mesh);
    assert_eq!(asking.ids().await, ["a"]);
    let age = asking.0.knowledge().unwrap().age(Instant::now().into_std());
    assert!(age.unwrap() < Duration::from_secs(1), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_takes_the_stream_and_says_nothing_is_waited_for_300_ms() {
    let host = Host::new("silent");
    left(&host, &["a"]);
    let mut agent = host.agent().await;
    let mesh = host.mesh();
    let begun = Instant::now();
    let mut asking = Asking::new(&mesh);
    let mut stream = agent.stream().await;
    assert_eq!(asking.ids().await, ["a"]);
    let waited = begun.elapsed();
    assert!((300..400).contains(&waited.as_millis()), "{waited:?}");
    // It was only slow.
    stream.hear().await;
    stream.say(Said::Welcome(welcome("e")));
    let watch = stream.watched().await;
    stream.say(Said::Update(update(watch.key, 1, true, &["b"])));
    while asking.ids().await != ["b"] {}
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_broken_is_as_none() {
    let host = Host::new("broken");
    std::fs::write(host.directory.join("state"), "DMSTATE1 and something").unwrap();
    let mesh = host.mesh();
    let mut asking = Asking::new(&mesh);
    assert_eq!(asking.endpoints().await, []);
    let why = asking.0.why_none().unwrap();
    assert!(
        why.starts_with("no instance of catalog.default is known"),
        "{why}"
    );
    assert!(why.contains("`dreammesh agent`"), "{why}");
    assert!(why.contains("DREAMMESH_SERVICES"), "{why}");
    // And it is looked for all the time.
    let mut agent = host.agent().await;
    let mut stream = timeout(Duration::from_secs(3), agent.welcomed("e"))
        .await
        .unwrap();
    let watch = stream.watched().await;
    stream.say(Said::Update(update(watch.key, 1, true, &["a"])));
    while asking.ids().await != ["a"] {}
}

#[tokio::test(start_paused = true)]
async fn an_agent_of_another_version_says_so_and_is_asked_again() {
    let host = Host::new("newer");
    let agent = host
        .refusing("this agent speaks 7 to 8, and the application 1 to 1")
        .await;
    let mesh = host.mesh();
    let mut asking = Asking::new(&mesh);
    assert_eq!(asking.endpoints().await, []);
    let why = asking.0.why_none().unwrap();
    assert!(why.contains("this agent speaks 7 to 8"), "{why}");
    agent.kill().await;
    let mut agent = host.agent().await;
    let mut stream = agent.stream().await;
    stream.hear().await;
    stream.say(Said::Welcome(proto::Welcome {
        version: 2,
        ..welcome("e")
    }));
    stream.ended().await;
    agent.welcomed("e").await;
}

#[tokio::test(start_paused = true)]
async fn the_socket_of_nobody_is_not_dialled() {
    let host = Host::new("absent");
    std::fs::remove_file(host.directory.join("agent.sock")).unwrap();
    let mesh = host.mesh();
    let mut asking = Asking::new(&mesh);
    assert_eq!(asking.endpoints().await, []);
    let why = asking.0.why_none().unwrap();
    assert!(
        why.contains("agent.sock") && why.contains("No such file"),
        "{why}"
    );
}

#[tokio::test]
async fn a_target_that_is_none_is_refused_with_the_reason() {
    let host = Host::new("target");
    let error = host
        .mesh()
        .resolver("mesh://Catalog", Abilities::default())
        .unwrap_err();
    assert!(error.to_string().contains("'C'"), "{error}");
}
