//! `dreammesh call` while it runs: data that come, and readers that go.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};

use crate::scratch;
use crate::shop::{Shop, protos};

fn begin(shop: &Shop, method: &str, data: &str) -> Child {
    let method = format!("shop.v1.Catalog/{method}");
    let fixed = [
        "call",
        &shop.target,
        &method,
        "--proto",
        "shop.proto",
        "-I",
        ".",
    ];
    let arguments = ["--compact", "--timeout", "60s", "-d", data];
    scratch::command(&protos(), &[&fixed[..], &arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// All that it writes to standard error until its end.
fn said(child: &mut Child) -> String {
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn each_message_is_sent_as_it_ends_and_answered() {
    let shop = Shop::open();
    let mut child = begin(&shop, "Chat", "@");
    let mut asks = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    for ask in ["{\"name\":\"a\"}", "{\"name\":\"b\"}"] {
        // No end of the line, and none of the data: the answer comes all the same.
        asks.write_all(ask.as_bytes()).unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim_end(), ask);
    }
    drop(asks);
    let mut rest = String::new();
    answers.read_to_string(&mut rest).unwrap();
    assert_eq!((child.wait().unwrap().code(), rest.as_str()), (Some(0), ""));
}

#[test]
fn one_message_is_read_to_the_end_of_the_data() {
    let shop = Shop::open();
    for (data, status, shown) in [
        (
            "{\"sku\":\"A\"}\n",
            0,
            "{\"sku\":\"A\",\"title\":\"found\"}\n",
        ),
        ("{} {}", 2, ""),
        ("{\"sku\":", 2, ""),
    ] {
        let mut child = begin(&shop, "GetItem", "@");
        let written = child.stdin.take().unwrap().write_all(data.as_bytes());
        written.unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{data}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), shown, "{data}");
    }
}

#[test]
fn a_wrong_message_ends_the_call_and_is_named_with_its_place() {
    let shop = Shop::open();
    let mut child = begin(&shop, "Chat", "@");
    let mut asks = child.stdin.take().unwrap();
    asks.write_all(b"{\"name\":\"a\"}\n{\"name\":\n 5}")
        .unwrap();
    // The data go on for all that the program can know.
    let said = said(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(
        said.starts_with("error: message 2 is no `shop.v1.Node`: "),
        "{said}"
    );
    assert!(said.ends_with(" at line 3 column 2\n"), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn a_call_that_the_server_ends_waits_for_no_more_data() {
    let shop = Shop::open();
    let mut child = begin(&shop, "Chat", "@");
    let mut asks = child.stdin.take().unwrap();
    asks.write_all(b"{\"name\":\"enough\"}").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(73));
    drop(asks);
}

#[test]
fn whoever_has_read_enough_ends_the_call() {
    let shop = Shop::open();
    let mut child = begin(&shop, "Chat", "@");
    let mut asks = child.stdin.take().unwrap();
    drop(child.stdout.take());
    asks.write_all(b"{}").unwrap();
    let said = said(&mut child);
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn a_watched_state_is_printed_as_it_comes_until_the_server_ends() {
    let shop = Shop::open();
    let arguments = ["health", &shop.target, "nobody", "--watch", "--json"];
    let mut child = scratch::command(&protos(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut states = BufReader::new(child.stdout.take().unwrap());
    let mut state = String::new();
    states.read_line(&mut state).unwrap();
    let unknown = "{\"service\":\"nobody\",\"status\":\"SERVICE_UNKNOWN\"}\n";
    assert_eq!(state, unknown);
    drop(shop);
    let said = said(&mut child);
    assert!(said.starts_with("error: UNAVAILABLE: "), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(78));
}
