use super::*;
use crate::instance::InstanceId;

fn instance(host: &str, addresses: &[&str]) -> Instance {
    let port = Port::new(7443, Protocol::DreamMesh);
    let id = InstanceId::new("i").unwrap();
    let mut instance = Instance::new(id, "catalog".parse().unwrap(), port);
    instance.addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
    instance.host = host.into();
    instance
}

fn here() -> Here {
    Here::new("a", Locality::new("eu", "eu-1"))
}

fn target(instance: &Instance, rules: Rules) -> Result<(String, bool), Reason> {
    let chosen = choose(instance, None, &here(), rules)?;
    Ok((chosen.endpoint.endpoint.target().to_owned(), chosen.exposed))
}

fn ok(target: &str, exposed: bool) -> Result<(String, bool), Reason> {
    Ok((target.to_owned(), exposed))
}

#[test]
fn a_socket_is_for_the_same_host() {
    let rules = Rules::default();
    let mut it = instance("a", &["127.0.0.1"]);
    it.ports[0].unix_path = "/run/x".into();
    assert_eq!(target(&it, rules), ok("unix:///run/x", false));
    // As many bytes as an address of a socket holds, and one more.
    it.ports[0].unix_path = format!("/{}", "x".repeat(102)).into();
    assert!(target(&it, rules).unwrap().0.starts_with("unix://"));
    it.ports[0].unix_path = format!("/{}", "x".repeat(103)).into();
    assert_eq!(
        target(&it, rules),
        ok("dreammesh+tcp://127.0.0.1:7443", false)
    );
    it.ports[0].number = 0;
    assert_eq!(target(&it, rules), Err(Reason::SocketElsewhere));
    it.ports[0].unix_path = "/run/x".into();
    it.host = "b".into();
    assert_eq!(target(&it, rules), Err(Reason::SocketElsewhere));
}

#[test]
fn a_server_of_grpc_is_called_by_its_socket_too() {
    let rules = Rules::default();
    let mut it = instance("a", &["127.0.0.1"]);
    it.ports[0].protocol = Protocol::Grpc;
    it.ports[0].unix_path = format!("/{}", "x".repeat(102)).into();
    assert!(target(&it, rules).unwrap().0.starts_with("grpc+unix://"));
    it.ports[0].unix_path = format!("/{}", "x".repeat(103)).into();
    assert_eq!(target(&it, rules), ok("grpc://127.0.0.1:7443", false));
    it.ports[0].unix_path = "/run/x".into();
    assert_eq!(target(&it, rules), ok("grpc+unix:///run/x", false));
    it.ports[0].number = 0;
    assert_eq!(target(&it, rules), ok("grpc+unix:///run/x", false));
    // What a socket carries stays on its host, so nothing need be encrypted there.
    it.ports[0].tls = true;
    assert_eq!(target(&it, rules), ok("grpc+unix:///run/x", false));
    it.host = "b".into();
    assert_eq!(target(&it, rules), Err(Reason::SocketElsewhere));
}

#[test]
fn loopback_is_for_the_same_host() {
    let rules = Rules::default().plaintext(true);
    for address in ["127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1"] {
        let there = instance("b", &[address]);
        assert_eq!(target(&there, rules), Err(Reason::LoopbackElsewhere));
        let both = instance("b", &[address, "10.0.0.7"]);
        assert_eq!(
            target(&both, rules),
            ok("dreammesh+tcp://10.0.0.7:7443", true)
        );
        assert!(target(&instance("a", &[address]), Rules::default()).is_ok());
    }
    let six = instance("a", &["::1"]);
    assert_eq!(target(&six, rules), ok("dreammesh+tcp://[::1]:7443", false));
}

#[test]
fn plaintext_leaves_the_host_only_where_it_may() {
    let mut there = instance("b", &["10.0.0.7"]);
    let rules = Rules::default();
    assert_eq!(target(&there, rules), Err(Reason::Plaintext));
    let exposed = ok("dreammesh+tcp://10.0.0.7:7443", true);
    assert_eq!(target(&there, rules.plaintext(true)), exposed);
    there.permit_plaintext = true;
    assert_eq!(target(&there, rules), exposed);
    // What goes to an address of one's own does not leave the host.
    let own = instance("a", &["10.0.0.7"]);
    assert_eq!(
        target(&own, rules),
        ok("dreammesh+tcp://10.0.0.7:7443", false)
    );
}

#[test]
fn what_is_encrypted_is_dialled_by_who_knows_whom_to_believe() {
    let mut there = instance("b", &["shop.example"]);
    there.ports[0].tls = true;
    // That plaintext is permitted is no reason to use it.
    there.permit_plaintext = true;
    assert_eq!(target(&there, Rules::default()), Err(Reason::Encrypted));
    let rules = Rules::default().encrypted(true);
    assert_eq!(
        target(&there, rules),
        ok("dreammesh://shop.example:7443", false)
    );
    there.ports[0].protocol = Protocol::Grpc;
    assert_eq!(
        target(&there, rules),
        ok("grpcs://shop.example:7443", false)
    );
}

#[test]
fn the_state_says_whether_it_takes_calls() {
    for (status, reason) in [
        (InstanceStatus::Starting, Reason::Starting),
        (InstanceStatus::Draining, Reason::Draining),
        (InstanceStatus::Maintenance, Reason::Maintenance),
    ] {
        let mut it = instance("a", &["127.0.0.1"]);
        it.status = status;
        assert_eq!(choose(&it, None, &here(), Rules::default()), Err(reason));
    }
    for (status, available) in [(InstanceStatus::Up, true), (InstanceStatus::Down, false)] {
        let mut it = instance("a", &["127.0.0.1"]);
        it.status = status;
        it.weight = 7;
        let chosen = choose(&it, None, &here(), Rules::default()).unwrap();
        assert_eq!(
            (chosen.endpoint.available, chosen.endpoint.weight),
            (available, 7)
        );
        assert_eq!(&*chosen.endpoint.id, "i");
    }
}

#[test]
fn ports_are_chosen_by_name() {
    let mut it = instance("a", &["127.0.0.1"]);
    let mut admin = Port::new(9000, Protocol::Grpc);
    admin.name = "admin".into();
    it.ports.push(admin);
    let of = |name| choose(&it, name, &here(), Rules::default());
    let target = |name| of(name).unwrap().endpoint.endpoint.target().to_owned();
    assert_eq!(target(Some("admin")), "grpc://127.0.0.1:9000");
    assert_eq!(target(None), "dreammesh+tcp://127.0.0.1:7443");
    assert_eq!(of(Some("x")), Err(Reason::NoPort("x".into())));
}

#[test]
fn what_is_not_known_of_a_place_makes_no_difference() {
    let near = |region: &str, zone: &str| nearness(&here().locality, &Locality::new(region, zone));
    assert_eq!(near("eu", "eu-1"), Nearness::Zone);
    assert_eq!(near("", "eu-1"), Nearness::Zone);
    assert_eq!(near("eu", ""), Nearness::Zone);
    assert_eq!(near("eu", "eu-2"), Nearness::Region);
    assert_eq!(near("us", "eu-1"), Nearness::Elsewhere);
    let nowhere = Locality::default();
    assert_eq!(
        nearness(&nowhere, &Locality::new("us", "us-1")),
        Nearness::Zone
    );
}

#[test]
fn a_file_speaks_of_the_host_that_it_is_on() {
    let nobody = |instance: &Instance| {
        let chosen = choose(instance, None, &Here::default(), Rules::default())?;
        Ok((chosen.endpoint.endpoint.target().to_owned(), chosen.exposed))
    };
    let mut it = instance("", &["127.0.0.1"]);
    assert_eq!(nobody(&it), ok("dreammesh+tcp://127.0.0.1:7443", false));
    it.ports[0].unix_path = "/run/x".into();
    assert_eq!(nobody(&it), ok("unix:///run/x", false));
    // Another address may be that of any host.
    assert_eq!(nobody(&instance("", &["10.0.0.7"])), Err(Reason::Plaintext));
}
