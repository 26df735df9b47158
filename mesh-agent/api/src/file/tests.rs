use super::*;
use crate::instance::{CheckKind, InstanceStatus, Protocol};

fn ids(text: &str) -> Vec<String> {
    let instances = parse(text).unwrap();
    instances.iter().map(|it| it.id.to_string()).collect()
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn a_file_says_what_an_instance_can_be() {
    let instances = parse(
        r#"
services:
  - service: catalog
    namespace: shop
    instances:
      - id: catalog-1
        address: 10.0.0.7
        port: 7443
        protocol: grpc
        tls: true
        weight: 50
        version: "2"
        region: eu
        zone: eu-1
        labels: {team: books}
        status: maintenance
        check: tcp
        permit_plaintext: true
      - addresses: [shop.example, "::1"]
        ports:
          - {port: 7443}
          - {name: admin, port: 9000, protocol: dreammesh}
  - service: cart
    instances:
      - unix_path: /run/cart.sock
"#,
    )
    .unwrap();
    let first = &instances[0];
    assert_eq!(first.service.to_string(), "catalog.shop");
    assert_eq!(first.ports[0].protocol, Protocol::Grpc);
    assert!(first.ports[0].tls && first.permit_plaintext);
    assert_eq!((first.weight, &*first.version), (50, "2"));
    assert_eq!(&*first.locality.zone, "eu-1");
    assert_eq!(first.labels.len(), 1);
    assert_eq!(first.status, InstanceStatus::Maintenance);
    assert_eq!(first.check.kind, CheckKind::Tcp);
    let second = &instances[1];
    assert_eq!(second.id.as_str(), "catalog.shop@shop.example:7443");
    assert_eq!(second.port(Some("admin")).unwrap().number, 9000);
    let third = &instances[2];
    assert_eq!(third.id.as_str(), "cart.default@/run/cart.sock");
    assert_eq!(third.status, InstanceStatus::Up);
}

#[test]
fn a_file_may_have_nothing() {
    for text in [
        "",
        "# nobody yet\n",
        "services: []",
        "services:\n  - service: a\n",
    ] {
        assert_eq!(ids(text), [""; 0], "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, line, what) in [
        ("services: 1", 1, "sequence"),
        ("service:\n  - a", 1, "unknown field"),
        ("services:\n  - service: [a", 2, ""),
        (
            "services:\n  - service: a\n    instances:\n      - adress: 10.0.0.7\n",
            4,
            "adress",
        ),
        (
            "services:\n  - service: a\n    instances:\n      - address: 10.0.0.7\n        port: 70000\n",
            4,
            "70000",
        ),
        (
            "services:\n  - service: a\n    instances:\n      - {address: 0.0.0.0, port: 1}\n",
            4,
            "0.0.0.0",
        ),
        (
            "services:\n  - service: A\n    instances:\n\n      - {address: a, port: 1}\n",
            5,
            "'A'",
        ),
        (
            "services:\n  - service: a\n    instances:\n      - {address: a, port: 1, protocol: soap}\n",
            4,
            "soap",
        ),
        (
            "services:\n  - service: a\n    instances:\n      - {address: a}\n",
            4,
            "no port",
        ),
        (
            "services:\n  - service: a\n    instances:\n      - {port: 1}\n",
            4,
            "no address",
        ),
        (
            "services:\n  - service: a\n    instances:\n      - {address: a, port: 1}\n      - {address: a, port: 1}\n",
            5,
            "two instances",
        ),
    ] {
        let error = error(text);
        assert!(
            error.starts_with(&format!("line {line}: ")),
            "{text}\n{error}"
        );
        assert!(error.contains(what), "{text}\n{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(error.matches("line").count(), 1, "{error}");
    }
}

#[test]
fn the_number_of_instances_is_bounded() {
    let mut text = String::from("services:\n  - service: a\n    instances:\n");
    for port in 0..INSTANCES_MAX {
        text += &format!("      - {{id: i{port}, address: a, port: 1}}\n");
    }
    assert_eq!(parse(&text).unwrap().len(), INSTANCES_MAX);
    text += "      - {address: a, port: 1}\n";
    assert!(error(&text).contains("more than 20000 instances"));
}

#[test]
fn what_would_grow_is_refused() {
    let deep = format!("services: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    parse(&deep).unwrap_err();
    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let below = level - 1;
        let row = vec![format!("*a{below}"); 10].join(",");
        laughs += &format!("a{level}: &a{level} [{row}]\n");
    }
    parse(&laughs).unwrap_err();
    let long = " ".repeat(FILE_BYTES_MAX);
    assert_eq!(parse(&long).unwrap(), []);
    assert!(error(&(long + " ")).contains("more than"));
}
