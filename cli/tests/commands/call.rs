//! `dreammesh call` against a server in this process: every kind of call, and every way to fail.

use std::path::Path;

use crate::scratch::{self, Ended};
use crate::shop::{Shop, pem, protos};

fn call(target: &str, method: &str, arguments: &[&str]) -> Ended {
    let method = format!("shop.v1.Catalog/{method}");
    let fixed = ["call", target, &method, "--proto", "shop.proto", "-I", "."];
    // What the method declares is too short for a machine that has much to do.
    let patient: &[&str] = if arguments.contains(&"--timeout") {
        &[]
    } else {
        &["--timeout", "60s"]
    };
    scratch::dreammesh(&protos(), &[&fixed, arguments, patient].concat())
}

fn called(shop: &Shop, method: &str, arguments: &[&str]) -> Ended {
    call(&shop.target, method, arguments)
}

fn said(ended: &Ended) -> (i32, &str, &str) {
    (ended.status, &ended.stdout, &ended.stderr)
}

#[test]
fn each_kind_of_call_is_made_with_json() {
    let shop = Shop::open();
    let request = r#"{"sku": "A-17", "priceCents": "5", "sizes": {"s": {"width": 1.5}}}"#;
    let found = "{\n  \"sku\": \"A-17\",\n  \"title\": \"found\",\n  \"priceCents\": \"5\",\n  \
        \"sizes\": {\n    \"s\": {\n      \"width\": 1.5\n    }\n  }\n}\n";
    assert_eq!(
        said(&called(&shop, "GetItem", &["-d", request])),
        (0, found, "")
    );
    let compact = ["-d", r#"{"name": "x"}"#, "--compact"];
    let items = "{\"sku\":\"x-0\"}\n{\"sku\":\"x-1\"}\n{\"sku\":\"x-2\"}\n";
    assert_eq!(said(&called(&shop, "List", &compact)), (0, items, ""));
    assert_eq!(
        said(&called(&shop, "Record", &["-d", "{} {}"])),
        (0, "{}\n", "")
    );
    let nodes = "{\"name\":\"a\",\"left\":{\"name\":\"b\"}}\n{\"root\":true}\n";
    assert_eq!(
        said(&called(&shop, "Chat", &["-d", nodes, "--compact"])),
        (0, nodes, "")
    );
    assert_eq!(said(&called(&shop, "Chat", &["--compact"])), (0, "", ""));
    assert_eq!(said(&called(&shop, "New", &[])), (0, "{}\n", ""));
}

#[test]
fn messages_are_archives_where_nobody_declares_otherwise() {
    let shop = Shop::open();
    let form = |arguments: &[&str]| {
        let ended = called(
            &shop,
            "GetItem",
            &[&["-v", "-d", r#"{"sku":"A"}"#], arguments].concat(),
        );
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        ended.stderr
    };
    assert!(form(&["--wire", "archive"]).contains(" bytes as archive\n"));
    // The option is about what is sent; the server decides about its responses.
    form(&["--wire", "protobuf"]);
    let declared = called(&shop, "List", &["-v"]).stderr;
    assert!(declared.contains(" bytes as protobuf\n"), "{declared}");
    let headers = form(&["-H", "token: t-1"]);
    assert!(headers.contains("< saw: t-1\n"), "{headers}");
}

#[cfg(unix)]
#[test]
fn plain_grpc_is_called_on_a_unix_socket() {
    let name = format!("dreammesh-cli-{}.sock", std::process::id());
    let shop = Shop::on(&std::env::temp_dir().join(name));
    let target = shop.target.replace("unix", "grpc+unix");
    let found = "{\"sku\":\"A\",\"title\":\"found\"}\n";
    let ended = call(&target, "GetItem", &["-d", r#"{"sku":"A"}"#, "--compact"]);
    assert_eq!(said(&ended), (0, found, ""));
}

#[test]
fn plain_grpc_is_called_as_a_session_is() {
    let shop = Shop::open();
    let target = shop.target.replace("dreammesh+tcp", "grpc");
    let found = "{\"sku\":\"A\",\"title\":\"found\"}\n";
    let ended = call(&target, "GetItem", &["-d", r#"{"sku":"A"}"#, "--compact"]);
    assert_eq!(said(&ended), (0, found, ""));
    assert_eq!(
        said(&call(&target, "Record", &["-d", "{} {}"])),
        (0, "{}\n", "")
    );
    let nodes = "{\"name\":\"a\"}\n{\"root\":true}\n";
    assert_eq!(
        said(&call(&target, "Chat", &["-d", nodes, "--compact"])),
        (0, nodes, "")
    );
    let broken = call(
        &target,
        "List",
        &["-d", r#"{"name": "broken"}"#, "--compact"],
    );
    assert_eq!((broken.status, broken.stdout.lines().count()), (79, 3));
    assert_eq!(broken.stderr, "error: DATA_LOSS: the rest is lost\n");
}

#[test]
fn a_server_tells_its_schema_itself() {
    let shop = Shop::open();
    let grpc = shop.target.replace("dreammesh+tcp", "grpc");
    for target in [shop.target.as_str(), &grpc] {
        let whole = |arguments: &[&str]| scratch::dreammesh(Path::new("/"), arguments);
        let arguments = [
            "call",
            target,
            "shop.v1.Catalog/GetItem",
            "--compact",
            "--timeout",
            "60s",
            "-d",
            "{\"sku\":\"A\"}",
        ];
        let found = "{\"sku\":\"A\",\"title\":\"found\"}\n";
        assert_eq!(said(&whole(&arguments)), (0, found, ""), "{target}");
        let list = whole(&["list", "--target", target]);
        assert!(
            list.stdout.contains("shop.v1.Catalog\n"),
            "{target}: {list:?}"
        );
        let shown = whole(&["describe", "shop.v1.Empty", "--target", target]);
        assert_eq!(said(&shown), (0, "message shop.v1.Empty {\n}\n", ""));
        let nobody = whole(&["call", target, "a.B/C"]);
        assert_eq!(nobody.status, 2, "{nobody:?}");
        assert!(
            nobody
                .stderr
                .starts_with("error: the server does not know `a.B`: "),
            "{nobody:?}"
        );
        assert_eq!(said(&whole(&["health", target])), (0, "SERVING\n", ""));
        assert_eq!(whole(&["health", target, "a.B"]).status, 69);
        let json = whole(&["health", target, "shop.v1.Catalog", "--json"]);
        let text = "{\"service\":\"shop.v1.Catalog\",\"status\":\"SERVING\"}\n";
        assert_eq!(said(&json), (0, text, ""));
    }
    let old = Shop::of_old();
    for target in [&old.target, &old.by("grpc")] {
        let list = ["list", "--target", target];
        let ended = scratch::dreammesh(Path::new("/"), &list);
        assert_eq!(said(&ended), (0, "shop.v1.Catalog\n", ""), "{target}");
    }
    let silent = Shop::telling(false);
    let ended = scratch::dreammesh(Path::new("/"), &["list", "--target", &silent.target]);
    let text = "error: the server does not tell its schema: name it with --proto or \
        --descriptor-set\n";
    assert_eq!(said(&ended), (2, "", text));
}

#[test]
fn a_call_that_fails_ends_with_the_number_of_its_code() {
    let shop = Shop::open();
    let text = "error: NOT_FOUND: no such sku\n";
    assert_eq!(said(&called(&shop, "GetItem", &[])), (69, "", text));
    let text = "error: OUT_OF_RANGE: 1\n";
    assert_eq!(
        said(&called(&shop, "Record", &["-d", "{}"])),
        (75, "", text)
    );
    let broken = called(&shop, "List", &["-d", r#"{"name": "broken"}"#, "--compact"]);
    assert_eq!((broken.status, broken.stdout.lines().count()), (79, 3));
    assert_eq!(broken.stderr, "error: DATA_LOSS: the rest is lost\n");
    let slow = called(
        &shop,
        "GetItem",
        &["-d", r#"{"sku": "slow"}"#, "--timeout", "20ms"],
    );
    assert_eq!(slow.status, 68, "{}", slow.stderr);
    assert!(
        slow.stderr.starts_with("error: DEADLINE_EXCEEDED"),
        "{}",
        slow.stderr
    );
    let target = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("dreammesh+tcp://{}", free.local_addr().unwrap())
    };
    let nobody = call(&target, "New", &[]);
    assert_eq!(nobody.status, 78, "{}", nobody.stderr);
    assert!(
        nobody.stderr.starts_with("error: UNAVAILABLE: "),
        "{}",
        nobody.stderr
    );
    assert_eq!(nobody.stderr.lines().count(), 1);
}

#[test]
fn an_encrypted_server_is_called_by_those_who_believe_it() {
    let scratch = scratch::Scratch::new("tls");
    let made = rcgen::generate_simple_self_signed(["shop.test".to_owned()]).unwrap();
    let chain = pem("CERTIFICATE", made.cert.der());
    let key = pem("PRIVATE KEY", &made.signing_key.serialize_der());
    let roots = scratch.file("roots.pem", &chain);
    let shop = Shop::encrypted(&chain, &key);
    let named = ["--cacert", &roots, "--server-name", "shop.test"];
    assert_eq!(said(&called(&shop, "New", &named)), (0, "{}\n", ""));
    let ended = called(&shop, "New", &["--cacert", &roots]);
    assert_eq!(ended.status, 78, "{}", ended.stderr);
    let other = rcgen::generate_simple_self_signed(["shop.test".to_owned()]).unwrap();
    let others = scratch.file("others.pem", &pem("CERTIFICATE", other.cert.der()));
    let ended = called(
        &shop,
        "New",
        &["--cacert", &others, "--server-name", "shop.test"],
    );
    assert_eq!(ended.status, 78, "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

const TARGET: &str = "dreammesh+tcp://127.0.0.1:1";

/// Of a method with its schema: further arguments, and a part of what is said of them.
const WRONG: &[(&str, &[&str], &str)] = &[
    (
        "Nope",
        &[],
        "`shop.v1.Catalog` has no method `Nope`; it has `GetItem`, `List`",
    ),
    (
        "GetItem",
        &["-d", "{\n  \"sku\": 5}"],
        "message 1 is no `shop.v1.Item`: ",
    ),
    (
        "GetItem",
        &["-d", "{\n  \"sku\": 5}"],
        " at line 2 column 10",
    ),
    (
        "GetItem",
        &["-d", "{\"sku\": "],
        "the data end within message 1",
    ),
    (
        "GetItem",
        &["-d", "{} {}"],
        "takes one message, and the data are more",
    ),
    (
        "GetItem",
        &["-d", "{\"nope\": 1}"],
        "message 1 is no `shop.v1.Item`: ",
    ),
    (
        "Record",
        &["-d", "{} {\"sku\": true}"],
        "message 2 is no `shop.v1.Item`: ",
    ),
    (
        "New",
        &["-H", "token"],
        "`token` is no metadata: write `name: value`",
    ),
    (
        "New",
        &["-H", "a-bin: !"],
        "the value of `a-bin` is no base64",
    ),
    ("New", &["-H", ": x"], "\"\" is not a metadata name"),
    ("New", &["-H", "grpc-timeout: 1S"], "is reserved"),
    ("New", &["-H", "a: b\nc"], "is not printable ASCII"),
    (
        "Record",
        &["-d", "{} nul"],
        "message 2 is no `shop.v1.Item`: expected an object at line 1 column 4",
    ),
    ("New", &["--timeout", "soon"], "`soon` is no time"),
    ("New", &["--cacert", "/nonexistent.pem"], "/nonexistent.pem"),
];

/// Arguments of the whole command, and a part of what is said of them.
const UNUSABLE: &[(&[&str], &str)] = &[
    (
        &["list"],
        "name the schema with --proto or --descriptor-set",
    ),
    (
        &["call", TARGET, "C", "--proto", "shop.proto"],
        "`C` is no method",
    ),
    (
        &["call", TARGET, "a.B/C", "--proto", "shop.proto"],
        "no service `a.B`; it has",
    ),
    (
        &["call", TARGET, "a.B/C", "--proto", "nope.proto"],
        "nope.proto",
    ),
    (
        &["call", TARGET, "a.B/C", "--descriptor-set", "nope"],
        "cannot read nope",
    ),
    (
        &[
            "call",
            "what",
            "shop.v1.Catalog/New",
            "--proto",
            "shop.proto",
        ],
        "what",
    ),
    (
        &[
            "call",
            "dreammesh://127.0.0.1:1",
            "shop.v1.Catalog/New",
            "--proto",
            "shop.proto",
        ],
        "name the certificates to believe with --cacert",
    ),
];

#[test]
fn what_cannot_be_a_call_is_one_line_and_two() {
    for &(method, arguments, text) in WRONG {
        let ended = call(TARGET, method, arguments);
        assert_eq!(ended.status, 2, "{method} {arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(text),
            "{method} {arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    let whole = |arguments: &[&str]| scratch::dreammesh(&protos(), arguments);
    for &(arguments, text) in UNUSABLE {
        let ended = whole(arguments);
        assert_eq!(ended.status, 2, "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(text),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}
