//! `dreammesh list` and `describe`, and what is made of the table of commands itself.

use std::path::Path;

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
    for command in ["list", "describe"] {
        let ended = run(&[command, "p.Nope", "--proto", &file]);
        let text = "error: the schema has nothing called `p.Nope`\n";
        assert_eq!((ended.status, ended.stderr.as_str()), (2, text));
    }
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
        for word in ["call", "list", "describe", "breaking", "against"] {
            assert!(ended.stdout.contains(word), "{arguments:?}: {word}");
        }
    }
    assert_eq!(run(&["completions", "tcsh"]).status, 2);
}
