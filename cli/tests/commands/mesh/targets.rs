//! Targets of the mesh, as the commands that make calls take them.

use std::net::SocketAddr;

use serde_json::Value;

use super::running::{Running, ask, start_agent};
use crate::scratch::{Ended, Scratch, command, dreammesh, ended};
use crate::shop::{Shop, protos};

/// Keeps a server in the mesh, whatever it is found to be.
fn registered(scratch: &Scratch, service: &str, protocol: &str, shop: &Shop) -> Running {
    let port = port(shop);
    let words = [
        "register",
        service,
        "--id",
        service,
        "--port",
        &port,
        "--protocol",
        protocol,
        "--check",
        "none",
        "--drain",
        "1ms",
    ];
    let mut running = Running::new(scratch, &words);
    assert!(running.line().starts_with("registered "));
    running
}

fn port(shop: &Shop) -> String {
    let address = shop.target.strip_prefix("dreammesh+tcp://").unwrap();
    let address: SocketAddr = address.parse().unwrap();
    address.port().to_string()
}

const GET_ITEM: &str = "shop.v1.Catalog/GetItem";
const FOUND: &str = "{\"sku\":\"A\",\"title\":\"found\"}\n";

fn call<'a>(target: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = [
        "call",
        target,
        GET_ITEM,
        "-d",
        "{\"sku\":\"A\"}",
        "--compact",
    ];
    [&words[..], more].concat()
}

#[test]
fn a_service_is_called_by_its_name_whatever_its_instances_speak() {
    let scratch = Scratch::new("mesh-targets");
    let _agent = start_agent(&scratch, &[]);
    let shop = Shop::open();
    for protocol in ["dreammesh", "grpc"] {
        let _server = registered(&scratch, protocol, protocol, &shop);
        let target = format!("mesh://{protocol}");
        let said = |arguments: &[&str]| {
            let ended = ask(&scratch, arguments);
            assert_eq!((ended.status, &*ended.stderr), (0, ""), "{arguments:?}");
            ended.stdout
        };
        assert_eq!(said(&call(&target, &[])), FOUND);
        let list = said(&["list", "--target", &target]);
        assert!(list.lines().any(|it| it == "shop.v1.Catalog"), "{list}");
        let item = said(&["describe", "shop.v1.Item", "--target", &target]);
        assert!(item.starts_with("message shop.v1.Item {\n"), "{item}");
        assert_eq!(said(&["health", &target]), "SERVING\n");
        let calls = ["--calls", "9", "--connections", "2", "--json"];
        let bench = [
            &["bench", &target, GET_ITEM, "-d", "{\"sku\":\"A\"}"],
            &calls[..],
        ];
        let bench: Value = serde_json::from_str(&said(&bench.concat())).unwrap();
        assert_eq!(
            (&bench["succeeded"], &bench["target"]),
            (&9.into(), &target.into())
        );
    }
}

#[test]
fn a_server_of_grpc_on_a_socket_is_checked_and_called_by_name() {
    let scratch = Scratch::new("mesh-socket");
    let socket = scratch.path("shop.sock");
    let _shop = Shop::on(&socket);
    let services = format!(
        "services:\n  - service: catalog\n    instances:\n      - id: a\n        unix_path: {}\n        \
         protocol: grpc\n",
        socket.display()
    );
    let file = scratch.file("services.yaml", &services);
    let _agent = start_agent(&scratch, &["--services", &file]);
    let mut checked = String::new();
    while !checked.contains("it says that it serves") {
        checked = ask(&scratch, &["why", "mesh://catalog"]).stdout;
        let chosen = format!("grpc+unix://{}", socket.display());
        assert!(checked.contains(&chosen), "{checked}");
        std::thread::yield_now();
    }
    let proto = protos();
    let schema = proto.join("shop.proto").display().to_string();
    let (include, options) = (
        proto.display().to_string(),
        proto.join("../../../proto").display().to_string(),
    );
    let schema = ["--proto", &schema, "-I", &include, "-I", &options];
    let called = ask(&scratch, &call("mesh://catalog", &schema));
    assert_eq!((called.status, &*called.stdout), (0, FOUND), "{called:?}");
}

#[test]
fn a_file_takes_the_agents_place_unless_an_agent_is_named() {
    let scratch = Scratch::new("mesh-targets-file");
    let shop = Shop::open();
    let services = format!(
        "services:\n  - service: catalog\n    instances:\n      - address: 127.0.0.1\n        \
         port: {}\n",
        port(&shop)
    );
    let file = scratch.file("services.yaml", &services);
    let run = |arguments: &[&str]| {
        let mut command = command(&scratch.path("."), arguments);
        ended(command.env("DREAMMESH_SERVICES", &file).output())
    };
    let called = run(&call("mesh://catalog", &[]));
    assert_eq!((called.status, &*called.stdout), (0, FOUND), "{called:?}");
    let socket = scratch.path("nobody.sock").display().to_string();
    let named = run(&call("mesh://catalog", &["--agent", &socket]));
    assert_eq!(named.status, 78, "{named:?}");
    assert!(named.stderr.contains(&socket), "{named:?}");
}

#[test]
fn without_an_agent_the_error_says_how_to_start_one() {
    let scratch = Scratch::new("mesh-targets-alone");
    for arguments in [
        call("mesh://catalog", &[]),
        vec!["bench", "mesh://catalog", GET_ITEM],
        vec!["list", "--target", "mesh://catalog"],
        vec!["describe", "--target", "mesh://catalog"],
        vec!["health", "mesh://catalog"],
    ] {
        let ended = ask(&scratch, &arguments);
        assert_eq!(ended.status, 78, "{arguments:?}: {ended:?}");
        assert!(
            ended
                .stderr
                .contains("start an agent with `dreammesh agent`")
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

#[test]
fn what_is_no_target_of_a_mesh_says_why() {
    let scratch = Scratch::new("mesh-targets-wrong");
    let run = |target: &str, more: &[&str]| dreammesh(&scratch.path("."), &call(target, more));
    let refused = |ended: Ended, status: i32, reason: &str| {
        assert_eq!(ended.status, status, "{ended:?}");
        assert!(ended.stderr.contains(reason), "{ended:?}");
    };
    refused(run("mesh://Catalog", &[]), 2, "lower case");
    refused(run("mesh://", &[]), 2, "mesh://");
    let tcp = "dreammesh+tcp://127.0.0.1:1";
    refused(run(tcp, &["--agent", "/x"]), 2, "--agent is for mesh://");
    let permit = ["--permit-plaintext"];
    refused(run(tcp, &permit), 2, "--permit-plaintext is for mesh://");
    let relative = run("mesh://catalog", &["--agent", "x.sock"]);
    refused(relative, 2, "an absolute path, or unix:///path");
    let listed = scratch.dreammesh(&["list", "--agent", "/x"]);
    refused(listed, 2, "--target");
}

#[test]
fn plaintext_to_another_host_has_to_be_permitted_and_is_warned_of() {
    let scratch = Scratch::new("mesh-targets-plaintext");
    // An address to which nothing can be sent: a link is not named.
    let services = "services:\n  - service: catalog\n    instances:\n      - address: fe80::1\n        \
                    port: 7443\n";
    let file = scratch.file("services.yaml", services);
    let run = |more: &[&str]| {
        let mut command = command(&scratch.path("."), &call("mesh://catalog", more));
        ended(command.env("DREAMMESH_SERVICES", &file).output())
    };
    let forbidden = run(&[]);
    assert_eq!(forbidden.status, 78, "{forbidden:?}");
    let reason = "it is on another host and not encrypted";
    assert!(forbidden.stderr.contains(reason), "{forbidden:?}");
    let permitted = run(&["--permit-plaintext"]);
    assert_eq!(permitted.status, 78, "{permitted:?}");
    let warning = "calls to other hosts are plaintext";
    let warned = permitted.stderr.matches(warning).count();
    assert_eq!(warned, 1, "{permitted:?}");
    assert!(!permitted.stderr.contains(reason), "{permitted:?}");
}
