//! Tests of instances as they come from outside.

use super::*;

fn sample() -> proto::Instance {
    proto::Instance {
        id: "catalog-1".to_owned(),
        service: "catalog".to_owned(),
        addresses: vec!["10.0.0.7".to_owned()],
        ports: vec![port("", 7443)],
        ..Default::default()
    }
}

fn port(name: &str, number: u32) -> proto::Port {
    proto::Port {
        name: name.to_owned(),
        number,
        protocol: proto::Protocol::DREAMMESH,
        ..Default::default()
    }
}

fn with(change: impl FnOnce(&mut proto::Instance)) -> Result<Instance, InstanceError> {
    let mut said = sample();
    change(&mut said);
    said.try_into()
}

#[test]
fn what_was_not_said_has_its_default() {
    let instance = with(|_| ()).unwrap();
    assert_eq!(instance.service.to_string(), "catalog.default");
    assert_eq!(instance.weight, WEIGHT_DEFAULT);
    assert_eq!(instance.status, InstanceStatus::Up);
    assert_eq!(instance.check, Check::default());
    assert_eq!(instance.port(None), instance.port(Some("")));
}

#[test]
fn an_instance_travels_unchanged() {
    let instance = with(|said| {
        said.version = "2.1".to_owned();
        said.addresses.push("shop.example".to_owned());
        said.addresses.push("fd00::7".to_owned());
        said.ports.push(proto::Port {
            tls: true,
            unix_path: "/run/catalog.sock".to_owned(),
            protocol: proto::Protocol::GRPC,
            ..port("admin", 0)
        });
        said.weight = Some(0);
        said.region = "eu".to_owned();
        said.zone = "eu-1".to_owned();
        said.labels.insert("team".to_owned(), "shelf".to_owned());
        said.layouts.push(proto::Layouts {
            service: "shop.v1.Catalog".to_owned(),
            hash: vec![7; 16].into(),
            ..Default::default()
        });
        said.status = proto::InstanceStatus::MAINTENANCE;
        said.check = Some(proto::Check {
            kind: proto::CheckKind::GRPC,
            service: "shop.v1.Catalog".to_owned(),
            ..Default::default()
        });
        said.permit_plaintext = true;
    })
    .unwrap();
    let sent = proto::Instance::from(&instance);
    assert_eq!(Instance::try_from(sent), Ok(instance));
}

#[test]
fn every_bound_holds_at_it_and_one_past() {
    type Change = fn(&mut proto::Instance, usize);
    let bounds: [(usize, InstanceError, Change); 9] = [
        (ID_BYTES_MAX, InstanceError::Id, |it, n| {
            it.id = "a".repeat(n)
        }),
        (ADDRESSES_MAX, InstanceError::Addresses, |it, n| {
            it.addresses = vec!["10.0.0.7".to_owned(); n];
        }),
        (PORTS_MAX, InstanceError::Ports, |it, n| {
            it.ports = (0..n).map(|at| port(&format!("p{at}"), 1)).collect();
        }),
        (LABELS_MAX, InstanceError::Labels, |it, n| {
            it.labels = (0..n).map(|at| (at.to_string(), String::new())).collect();
        }),
        (LABEL_NAME_BYTES_MAX, InstanceError::LabelName, |it, n| {
            it.labels.insert("n".repeat(n), String::new());
        }),
        (
            LABEL_VALUE_BYTES_MAX,
            InstanceError::LabelValue("team".into()),
            |it, n| {
                it.labels.insert("team".to_owned(), "v".repeat(n));
            },
        ),
        (LAYOUTS_MAX, InstanceError::Layouts, |it, n| {
            it.layouts = (0..n)
                .map(|at| proto::Layouts {
                    service: at.to_string(),
                    hash: vec![0; 16].into(),
                    ..Default::default()
                })
                .collect();
        }),
        (TEXT_BYTES_MAX, InstanceError::Text("version"), |it, n| {
            it.version = "v".repeat(n);
        }),
        (WEIGHT_MAX.into(), InstanceError::Weight(65_536), |it, n| {
            it.weight = u32::try_from(n).ok();
        }),
    ];
    for (bound, error, change) in bounds {
        assert!(with(|it| change(it, bound)).is_ok(), "{error}");
        assert_eq!(with(|it| change(it, bound + 1)), Err(error));
    }
}

#[test]
fn what_is_wrong_is_said() {
    type Change = fn(&mut proto::Instance);
    let wrong: [(InstanceError, Change); 10] = [
        (InstanceError::Id, |it| it.id.clear()),
        (InstanceError::Id, |it| it.id = "a b".to_owned()),
        (InstanceError::NoPort, |it| it.ports.clear()),
        (InstanceError::NoPort, |it| it.ports[0].protocol = 77.into()),
        (InstanceError::PortNumber(65_536), |it| {
            it.ports[0].number = 65_536
        }),
        (InstanceError::PortNumber(0), |it| it.ports[0].number = 0),
        (InstanceError::SocketPath("a.sock".into()), |it| {
            it.ports[0].unix_path = "a.sock".to_owned();
        }),
        (InstanceError::SamePort("".into()), |it| {
            it.ports.push(port("", 1))
        }),
        (InstanceError::NoAddress, |it| it.addresses.clear()),
        (InstanceError::LayoutHash("a".into()), |it| {
            it.layouts.push(proto::Layouts {
                service: "a".to_owned(),
                hash: vec![0; 15].into(),
                ..Default::default()
            });
        }),
    ];
    for (error, change) in wrong {
        assert_eq!(with(change), Err(error));
    }
}

#[test]
fn an_address_means_one_host() {
    for text in [
        "127.0.0.1",
        "::1",
        "localhost",
        "a.example",
        "x_1",
        "10-0-0-7.pod",
    ] {
        assert!(text.parse::<Host>().is_ok(), "{text:?}");
    }
    let wrong = [
        "",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "a b",
        "-a",
        "a..b",
        "a:80",
        "[::1]",
        "1.2.3",
        "a/b",
    ];
    for text in wrong {
        let error = text.parse::<Host>().unwrap_err();
        assert_eq!(error, InstanceError::Address(text.into()));
    }
    for (text, loopback) in [
        ("127.8.0.1", true),
        ("::ffff:127.0.0.1", true),
        ("10.0.0.1", false),
    ] {
        assert_eq!(
            text.parse::<Host>().unwrap().is_loopback(),
            loopback,
            "{text}"
        );
    }
}
