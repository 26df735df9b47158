//! Tests of which instances are checked, and how.

use dreammesh_agent_api::instance::{Check, Host, Instance, InstanceId, Locality, Port};

use super::*;
use crate::knowledge::{Here as Agent, Knowledge};

fn instance(protocol: Protocol, kind: CheckKind) -> Instance {
    let id = InstanceId::new("catalog-1").unwrap();
    let mut instance = Instance::new(id, "catalog".parse().unwrap(), Port::new(7, protocol));
    instance.addresses = vec![Host::Ip([10, 0, 0, 7].into())];
    instance.host = "host-2".into();
    instance.check = Check::default();
    instance.check.kind = kind;
    instance
}

fn subject(origin: Origin, instance: Instance, is_orphan: bool) -> Option<(Kind, String)> {
    let knowledge = Knowledge::new(Agent::new("agent-1", "host-1"));
    let sink = knowledge.sink("test", origin);
    let id = instance.id.clone();
    assert!(sink.set(instance));
    let here = Here::new("host-1", Locality::default());
    let subject = Subject::of(&knowledge.known(&id).unwrap(), is_orphan, &here)?;
    Some((subject.kind, subject.target.into()))
}

fn kind(origin: Origin, protocol: Protocol, check: CheckKind) -> Option<Kind> {
    subject(origin, instance(protocol, check), false).map(|it| it.0)
}

#[test]
fn what_nobody_holds_a_stream_for_is_checked_as_fits_its_protocol() {
    for origin in [Origin::File, Origin::Held, Origin::Remembered] {
        let fitting = |protocol| kind(origin, protocol, CheckKind::Fitting);
        assert_eq!(fitting(Protocol::DreamMesh), Some(Kind::Session));
        assert_eq!(fitting(Protocol::Grpc), Some(Kind::Grpc));
        assert_eq!(kind(origin, Protocol::Grpc, CheckKind::None), None);
        assert_eq!(
            kind(origin, Protocol::Grpc, CheckKind::Tcp),
            Some(Kind::Tcp)
        );
    }
}

#[test]
fn an_application_is_known_by_its_stream_unless_it_asks_for_more() {
    let attached = |protocol, check| kind(Origin::Attached, protocol, check);
    assert_eq!(attached(Protocol::DreamMesh, CheckKind::Fitting), None);
    let (session, grpc) = (Some(Kind::Session), Some(Kind::Grpc));
    assert_eq!(attached(Protocol::DreamMesh, CheckKind::Session), session);
    // Whoever registered it is not who serves.
    assert_eq!(attached(Protocol::Grpc, CheckKind::Fitting), grpc);
    assert_eq!(attached(Protocol::DreamMesh, CheckKind::None), None);
}

#[test]
fn what_others_speak_for_is_checked_when_they_are_silent() {
    let of = |orphan| {
        let instance = instance(Protocol::DreamMesh, CheckKind::Fitting);
        subject(Origin::Gossip, instance, orphan)
    };
    assert_eq!(of(false), None);
    let target = "dreammesh+tcp://10.0.0.7:7".to_owned();
    assert_eq!(of(true), Some((Kind::Session, target)));
}

#[test]
fn what_takes_no_calls_by_its_own_word_is_not_checked() {
    for status in [
        InstanceStatus::Starting,
        InstanceStatus::Draining,
        InstanceStatus::Maintenance,
        InstanceStatus::Down,
    ] {
        let mut instance = instance(Protocol::DreamMesh, CheckKind::Fitting);
        instance.status = status;
        assert_eq!(subject(Origin::File, instance, false), None);
    }
}

#[test]
fn the_target_is_what_a_caller_here_would_dial() {
    let with = |change: &dyn Fn(&mut Instance)| {
        let mut instance = instance(Protocol::DreamMesh, CheckKind::Fitting);
        change(&mut instance);
        subject(Origin::Gossip, instance, true)
    };
    let socket = with(&|it| {
        it.host = "host-1".into();
        it.ports[0].unix_path = "/run/catalog.sock".into();
    });
    assert_eq!(
        socket,
        Some((Kind::Session, "unix:///run/catalog.sock".into()))
    );
    // Whom to believe is not known, so no more than that somebody listens is asked for.
    let encrypted = with(&|it| it.ports[0].tls = true);
    assert_eq!(
        encrypted,
        Some((Kind::Tcp, "dreammesh://10.0.0.7:7".into()))
    );
    let elsewhere = with(&|it| it.addresses = vec![Host::Ip([127, 0, 0, 1].into())]);
    assert_eq!(
        elsewhere, None,
        "what a loopback address means is known there alone"
    );
}

#[test]
fn a_socket_is_asked_in_what_is_spoken_there_unless_the_check_says_otherwise() {
    let of = |protocol, check| {
        let mut instance = instance(protocol, check);
        instance.host = "host-1".into();
        instance.ports[0].unix_path = "/run/catalog.sock".into();
        let knowledge = Knowledge::new(Agent::new("agent-1", "host-1"));
        let sink = knowledge.sink("test", Origin::File);
        let id = instance.id.clone();
        assert!(sink.set(instance));
        let here = Here::new("host-1", Locality::default());
        let it = Subject::of(&knowledge.known(&id).unwrap(), false, &here).unwrap();
        assert_eq!(it.place(), Place::Socket("/run/catalog.sock"));
        let (grpc, session) = (it.grpc_target(), it.session_target());
        (it.kind, grpc, session)
    };
    let (session, grpc) = ("unix:///run/catalog.sock", "grpc+unix:///run/catalog.sock");
    let expected = |kind, by_grpc: &str| (kind, by_grpc.to_owned(), session.to_owned());
    for (protocol, check, kind, by_grpc) in [
        (Protocol::Grpc, CheckKind::Fitting, Kind::Grpc, grpc),
        (Protocol::Grpc, CheckKind::Session, Kind::Session, grpc),
        (
            Protocol::DreamMesh,
            CheckKind::Fitting,
            Kind::Session,
            session,
        ),
        (Protocol::DreamMesh, CheckKind::Grpc, Kind::Grpc, session),
    ] {
        assert_eq!(of(protocol, check), expected(kind, by_grpc), "{check:?}");
    }
}
