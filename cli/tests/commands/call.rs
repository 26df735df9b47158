//! `dreammesh call` against a server in this process: every kind of call, and every way to fail.

use std::future::pending;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dreammesh_core::call::Metadata;
use dreammesh_core::codegen::{Receiver, Request, Response, Sender, Status};
use dreammesh_golden::shop::v1::{Catalog, CatalogServer, Empty, Item, ItemArgs, Node};
use dreammesh_transport::tls::{Certificate, ServerTls};
use dreammesh_transport::{Server, ServerBuilder};
use tokio::runtime::Runtime;

use crate::scratch::{self, Ended};

struct Shelf;

impl Catalog for Shelf {
    async fn get_item(&self, request: Request<Item>) -> Result<Response<Item>, Status> {
        let mut headers = Metadata::new();
        let token = request
            .metadata()
            .text("token")
            .unwrap_or("none")
            .to_owned();
        headers.append("saw", token).unwrap();
        let mut item = request.into_owned();
        match item.sku.as_str() {
            "" => return Err(Status::not_found("no such sku")),
            "slow" => pending().await,
            _ => {}
        }
        item.title = "found".into();
        let mut response = Response::new(item);
        *response.metadata_mut() = headers;
        Ok(response)
    }

    async fn list(&self, request: Request<Node>, items: Sender<Item>) -> Result<(), Status> {
        for number in 0..3 {
            let sku = format!("{}-{number}", request.view().name());
            let item = ItemArgs {
                sku: &sku,
                ..Default::default()
            };
            items.send(item).await?;
        }
        if request.view().name() == "broken" {
            return Err(Status::data_loss("the rest is lost"));
        }
        Ok(())
    }

    async fn record(&self, mut items: Receiver<Item>) -> Result<Response<Empty>, Status> {
        let mut count = 0;
        while items.next().await?.is_some() {
            count += 1;
        }
        match count {
            2 => Ok(Response::new(Empty::default())),
            other => Err(Status::out_of_range(other.to_string())),
        }
    }

    async fn chat(&self, mut asks: Receiver<Node>, answers: Sender<Node>) -> Result<(), Status> {
        while let Some(ask) = asks.next().await? {
            answers.send(ask).await?;
        }
        Ok(())
    }

    async fn new(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty::default()))
    }
}

/// A server whose runtime lives as long as it does.
struct Shop {
    _runtime: Runtime,
    target: String,
}

impl Shop {
    fn open() -> Self {
        Self::telling(true)
    }

    /// With or without reflection.
    fn telling(reflection: bool) -> Self {
        Self::serving(
            Server::builder().reflection(reflection),
            "dreammesh+tcp://127.0.0.1:0",
        )
    }

    fn encrypted(chain: &str, key: &str) -> Self {
        let certificate = Certificate::from_pem(chain, key).unwrap();
        let builder = Server::builder().tls(ServerTls::new(certificate));
        Self::serving(builder, "dreammesh+tls://127.0.0.1:0")
    }

    fn serving(builder: ServerBuilder, address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let builder = builder.service(CatalogServer::new(Shelf));
        let bound = runtime.block_on(builder.bind(address));
        let server = bound.unwrap();
        let target = server.target();
        runtime.spawn(async move { server.serve_until(pending::<()>()).await });
        Self {
            _runtime: runtime,
            target,
        }
    }

    fn call(&self, method: &str, arguments: &[&str]) -> Ended {
        call(&self.target, method, arguments)
    }
}

fn protos() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rpc-codegen/tests/golden/proto")
}

fn call(target: &str, method: &str, arguments: &[&str]) -> Ended {
    let method = format!("shop.v1.Catalog/{method}");
    let fixed = ["call", target, &method, "--proto", "shop.proto", "-I", "."];
    scratch::dreammesh(&protos(), &[&fixed, arguments].concat())
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
        said(&shop.call("GetItem", &["-d", request])),
        (0, found, "")
    );
    let compact = ["-d", r#"{"name": "x"}"#, "--compact"];
    let items = "{\"sku\":\"x-0\"}\n{\"sku\":\"x-1\"}\n{\"sku\":\"x-2\"}\n";
    assert_eq!(said(&shop.call("List", &compact)), (0, items, ""));
    assert_eq!(
        said(&shop.call("Record", &["-d", "{} {}"])),
        (0, "{}\n", "")
    );
    let nodes = "{\"name\":\"a\",\"left\":{\"name\":\"b\"}}\n{\"root\":true}\n";
    assert_eq!(
        said(&shop.call("Chat", &["-d", nodes, "--compact"])),
        (0, nodes, "")
    );
    assert_eq!(said(&shop.call("Chat", &["--compact"])), (0, "", ""));
    assert_eq!(said(&shop.call("New", &[])), (0, "{}\n", ""));
}

#[test]
fn messages_are_archives_where_nobody_declares_otherwise() {
    let shop = Shop::open();
    let form = |arguments: &[&str]| {
        let ended = shop.call(
            "GetItem",
            &[&["-v", "-d", r#"{"sku":"A"}"#], arguments].concat(),
        );
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        ended.stderr
    };
    assert!(form(&["--wire", "archive"]).contains(" bytes as archive\n"));
    // The option is about what is sent; the server decides about its responses.
    form(&["--wire", "protobuf"]);
    let declared = shop.call("List", &["-v"]).stderr;
    assert!(declared.contains(" bytes as protobuf\n"), "{declared}");
    let headers = form(&["-H", "token: t-1"]);
    assert!(headers.contains("< saw: t-1\n"), "{headers}");
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
    }
    let silent = Shop::telling(false);
    let ended = scratch::dreammesh(Path::new("/"), &["list", "--target", &silent.target]);
    let text = "error: the server does not tell its schema: name it with --proto or \
        --descriptor-set\n";
    assert_eq!(said(&ended), (2, "", text));
}

#[test]
fn data_come_from_standard_input_too() {
    let shop = Shop::open();
    let arguments = [
        "call",
        &shop.target,
        "shop.v1.Catalog.Chat",
        "--proto",
        "shop.proto",
        "-I",
        ".",
        "--compact",
        "-d",
        "@",
    ];
    let mut child = scratch::command(&protos(), &arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(b"{\"name\":\"a\"}{\"name\":\"b\"}")
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"{\"name\":\"a\"}\n{\"name\":\"b\"}\n");
}

#[test]
fn a_call_that_fails_ends_with_the_number_of_its_code() {
    let shop = Shop::open();
    let text = "error: NOT_FOUND: no such sku\n";
    assert_eq!(said(&shop.call("GetItem", &[])), (69, "", text));
    let text = "error: OUT_OF_RANGE: 1\n";
    assert_eq!(said(&shop.call("Record", &["-d", "{}"])), (75, "", text));
    let broken = shop.call("List", &["-d", r#"{"name": "broken"}"#, "--compact"]);
    assert_eq!((broken.status, broken.stdout.lines().count()), (79, 3));
    assert_eq!(broken.stderr, "error: DATA_LOSS: the rest is lost\n");
    let slow = shop.call(
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
    assert_eq!(said(&shop.call("New", &named)), (0, "{}\n", ""));
    let ended = shop.call("New", &["--cacert", &roots]);
    assert_eq!(ended.status, 78, "{}", ended.stderr);
    let other = rcgen::generate_simple_self_signed(["shop.test".to_owned()]).unwrap();
    let others = scratch.file("others.pem", &pem("CERTIFICATE", other.cert.der()));
    let ended = shop.call("New", &["--cacert", &others, "--server-name", "shop.test"]);
    assert_eq!(ended.status, 78, "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
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
    ("GetItem", &["-d", "{\"sku\": "], "the data is no JSON: EOF"),
    (
        "GetItem",
        &["-d", "{} {}"],
        "takes one message, and the data are 2",
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
