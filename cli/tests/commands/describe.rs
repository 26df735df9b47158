//! `dreammesh list` and `describe`, and what is made of the table of commands itself.

use std::path::Path;

use serde_json::{Value, json};

use crate::scratch::{self, Ended, Scratch};

const SCHEMA: &str = "syntax = \"proto3\"; package p;
// Finds things.
service S {
  // One of them.
  rpc Get(M) returns (M);
  rpc Chat(stream M) returns (stream M);
}
message M {
  // The key.
  string a = 1;
  optional string b = 2;
  repeated M more = 3;
  oneof o { int32 c = 4; M d = 6; }
  map<string, E> e = 5;
  optional bool f = 7;
}
enum E { Z = 0; O = 1; }
";

fn run(arguments: &[&str]) -> Ended {
    scratch::dreammesh(Path::new("."), arguments)
}

#[test]
fn services_methods_messages_and_enums_are_shown() {
    let scratch = Scratch::new("describe");
    let file = scratch.file("p.proto", SCHEMA);
    let shown = |arguments: &[&str]| {
        let ended = run(&[arguments, &["--proto", &file]].concat());
        assert_eq!(
            (ended.status, ended.stderr.as_str()),
            (0, ""),
            "{arguments:?}"
        );
        ended.stdout
    };
    assert_eq!(shown(&["list"]), "p.S\n");
    assert_eq!(shown(&["list", "p.S"]), "p.S/Get\np.S/Chat\n");
    assert_eq!(
        shown(&["list", "p.S", "--json"]),
        "[\"p.S/Get\",\"p.S/Chat\"]\n"
    );
    let service = "// Finds things.\nservice p.S {\n  // One of them.\n  \
        rpc Get(p.M) returns (p.M);\n  rpc Chat(stream p.M) returns (stream p.M);\n}\n";
    assert_eq!(shown(&["describe"]), service);
    assert_eq!(shown(&["describe", "p.S"]), service);
    let method = "// One of them.\nrpc Get(p.M) returns (p.M);\n";
    assert_eq!(shown(&["describe", "/p.S/Get"]), method);
    assert_eq!(shown(&["describe", "p.S.Get"]), method);
    let message = "message p.M {\n  // The key.\n  string a = 1;\n  optional string b = 2;\n  \
        repeated p.M more = 3;\n  oneof o {\n    int32 c = 4;\n    p.M d = 6;\n  }\n  \
        map<string, p.E> e = 5;\n  optional bool f = 7;\n}\n";
    assert_eq!(shown(&["describe", "p.M"]), message);
    assert_eq!(
        shown(&["describe", ".p.E"]),
        "enum p.E {\n  Z = 0;\n  O = 1;\n}\n"
    );
    let coloured = shown(&["describe", "p.S", "--color", "always"]);
    assert!(coloured.starts_with("\x1b[2m// Finds things.\x1b[0m\n\x1b[36mservice\x1b[0m p.S {"));
    for command in ["list", "describe"] {
        let ended = run(&[command, "p.Nope", "--proto", &file]);
        let text = "error: the schema has nothing called `p.Nope`\n";
        assert_eq!((ended.status, ended.stderr.as_str()), (2, text));
    }
}

#[test]
fn scripts_get_json() {
    let scratch = Scratch::new("script");
    let file = scratch.file("p.proto", SCHEMA);
    let shown = |name: &[&str]| {
        let ended = run(&[&["describe", "--json", "--proto", &file], name].concat());
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{name:?}");
        assert_eq!(ended.stdout.lines().count(), 1);
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let get = json!({
        "kind": "method", "name": "Get", "comment": "One of them.", "request": "p.M",
        "response": "p.M", "client_streaming": false, "server_streaming": false,
    });
    assert_eq!(shown(&["p.S.Get"]), get);
    let services = shown(&[]);
    let service = &services[0];
    assert_eq!(
        (&service["kind"], &service["name"]),
        (&json!("service"), &json!("p.S"))
    );
    assert_eq!(
        (
            &service["methods"][0],
            &service["methods"][1]["client_streaming"]
        ),
        (&get, &json!(true))
    );
    let message = shown(&["p.M"]);
    let fields = message["fields"].as_array().unwrap();
    let named = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap();
    assert_eq!(
        named("a"),
        &json!({"number": 1, "name": "a", "json_name": "a", "comment": "The key.", "type": "string"})
    );
    assert_eq!(named("b")["optional"], true);
    assert_eq!(
        (&named("more")["repeated"], &named("more")["type"]),
        (&json!(true), &json!("p.M"))
    );
    assert_eq!(
        (&named("e")["key"], &named("e")["type"]),
        (&json!("string"), &json!("p.E"))
    );
    assert_eq!(named("d")["oneof"], "o");
    assert_eq!(named("f")["optional"], true);
    let values = json!([{"number": 0, "name": "Z"}, {"number": 1, "name": "O"}]);
    assert_eq!(shown(&["p.E"])["values"], values);
}

#[test]
fn completions_and_manual_name_every_command() {
    for arguments in [
        &["completions", "bash"][..],
        &["completions", "zsh"],
        &["completions", "fish"],
        &["man"],
    ] {
        let ended = run(arguments);
        assert_eq!(
            (ended.status, ended.stderr.as_str()),
            (0, ""),
            "{arguments:?}"
        );
        let words = [
            "call",
            "list",
            "describe",
            "health",
            "breaking",
            "against",
            "bench",
            "concurrency",
            "connections",
            "warm",
            "watch",
            "color",
            "format",
        ];
        for word in words {
            assert!(ended.stdout.contains(word), "{arguments:?}: {word}");
        }
    }
    assert_eq!(run(&["completions", "tcsh"]).status, 2);
}
