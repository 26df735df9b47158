//! Agents that say what is wrong, or much.

use dreammesh_agent_api::proto;

use crate::agent::{Asking, Host, Said, To, instance, update, welcome};

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_left_out_and_the_rest_is_used() {
    let host = Host::new("wrong");
    let mut agent = host.agent().await;
    let mesh = host.mesh();
    let mut asking = Asking::new(&mesh);
    let mut stream = agent.welcomed("e").await;
    let watch = stream.watched().await;
    let mut said = update(watch.key, 1, true, &["a", "b", "c", "d", "e"]);
    said.changed[0].ports.clear();
    said.changed[1].service = "cart".into();
    said.changed[2]
        .labels
        .insert("x".into(), "y".repeat(1 << 20));
    said.changed[3].addresses = vec!["0.0.0.0".into()];
    said.removed = vec!["x".repeat(1 << 20), String::new()];
    stream.say(Said::Update(said));
    // What nobody asked for, and what a newer agent might say.
    stream.say(Said::Update(update(99, 1, true, &["x"])));
    stream.say(Said::Registered(proto::Registered::default()));
    stream.say(Said::Refused(proto::Refused::default()));
    assert_eq!(asking.ids().await, ["e"]);
    stream.say(Said::Update(update(watch.key, 2, false, &["f"])));
    assert_eq!(asking.ids().await, ["e", "f"]);
}

#[tokio::test(start_paused = true)]
async fn an_update_of_many_instances_comes_in_parts() {
    let host = Host::new("many");
    let mut agent = host.agent().await;
    let mesh = host.mesh();
    let mut asking = Asking::new(&mesh);
    let mut stream = agent.welcomed("e").await;
    let watch = stream.watched().await;
    let instances: Vec<_> = (0..10_000)
        .map(|at| instance(&format!("i{at:05}"), 1))
        .collect();
    for (at, part) in instances.chunks(2_000).enumerate() {
        stream.say(Said::Update(proto::Update {
            key: watch.key,
            version: 1,
            complete: true,
            changed: part.to_vec(),
            more: at < 4,
            ..Default::default()
        }));
    }
    assert_eq!(asking.endpoints().await.len(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_breaks_the_rules_is_left_and_asked_again() {
    let host = Host::new("rules");
    let mut agent = host.agent().await;
    let _mesh = host.mesh();
    let _asking = Asking::new(&_mesh);
    for wrong in [
        Said::Heartbeat(proto::Heartbeat::default()),
        Said::Update(update(1, 1, true, &["a"])),
    ] {
        let mut stream = agent.stream().await;
        assert!(matches!(stream.hear().await, To::Hello(_)));
        stream.say(wrong);
        stream.ended().await;
    }
    let mut stream = agent.welcomed("e").await;
    stream.watched().await;
    stream.say(Said::Welcome(welcome("e")));
    stream.ended().await;
    agent.welcomed("e").await;
}
