//! `dreammesh idl breaking`: each rule with a change that breaks it and one that is just within,
//! and the report in each of its formats.
//!
//! `DREAMMESH_BLESS=1` writes the reports as they are now instead of comparing them.

use std::fs;
use std::path::Path;
use std::process::Command;

use protox::prost::Message as _;

use crate::scratch::{self, Ended, Scratch};

/// A rule, a body that both changes begin from, one that breaks it, and one that does not.
type Case = (&'static str, &'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    (
        "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED",
        "message M { int32 a = 1; int32 b = 2; }",
        "message M { reserved \"b\"; int32 a = 1; }",
        "message M { reserved 2; reserved \"b\"; int32 a = 1; }",
    ),
    (
        "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED",
        "message M { int32 a = 1; int32 b = 2; }",
        "message M { reserved 3 to 9; reserved \"b\"; int32 a = 1; }",
        "message M { option (dreammesh.retired) = { number: 2 type: \"int32\" };
          reserved \"b\"; int32 a = 1; }",
    ),
    (
        "FIELD_NO_DELETE_UNLESS_NAME_RESERVED",
        "message M { int32 a = 1; int32 b = 2; }",
        "message M { reserved 2; int32 a = 1; }",
        "message M { reserved 2; reserved \"b\"; int32 a = 1; }",
    ),
    (
        "FIELD_SAME_NAME",
        "message M { int32 a = 1 [json_name = \"a\"]; }",
        "message M { int32 b = 1 [json_name = \"a\"]; }",
        "message M { int32 a = 1; }",
    ),
    (
        "FIELD_SAME_JSON_NAME",
        "message M { int32 a_b = 1; }",
        "message M { int32 a_b = 1 [json_name = \"ab\"]; }",
        "message M { int32 a_b = 1 [json_name = \"aB\"]; }",
    ),
    (
        "FIELD_WIRE_COMPATIBLE_TYPE",
        "message M { int32 a = 1; }",
        "message M { sint32 a = 1; }",
        "message M { uint32 a = 1; }",
    ),
    (
        "FIELD_WIRE_COMPATIBLE_TYPE",
        "message M { sfixed64 a = 1; }",
        "message M { double a = 1; }",
        "message M { fixed64 a = 1; }",
    ),
    (
        "FIELD_WIRE_COMPATIBLE_TYPE",
        "message A { int32 x = 1; } message B { int32 x = 1; } message M { A a = 1; }",
        "message A { int32 x = 1; } message B { int32 x = 1; } message M { B a = 1; }",
        "message A { int32 x = 1; } message B { int32 x = 1; } message M { A a = 1; B b = 2; }",
    ),
    (
        "FIELD_WIRE_COMPATIBLE_TYPE",
        "message M { enum E { Z = 0; O = 1; } E e = 1; }",
        "message M { enum E { Z = 0; O = 1; } Other.E e = 1; }
         message Other { enum E { Z = 0; O = 2; } }",
        "message M { enum E { Z = 0; O = 1; } Other.E e = 1; }
         message Other { enum E { Z = 0; O = 1; T = 2; } }",
    ),
    (
        "FIELD_WIRE_COMPATIBLE_TYPE",
        "message M { map<string, int32> m = 1; }",
        "message M { map<string, bytes> m = 1; }",
        "message M { map<string, uint32> m = 1; }",
    ),
    (
        "FIELD_WIRE_JSON_COMPATIBLE_TYPE",
        "message M { int32 a = 1; }",
        "message M { int64 a = 1; }",
        "message M { uint32 a = 1; }",
    ),
    (
        "FIELD_WIRE_JSON_COMPATIBLE_TYPE",
        "message M { string a = 1; }",
        "message M { bytes a = 1; }",
        "message M { string a = 1; bytes b = 2; }",
    ),
    (
        "FIELD_WIRE_COMPATIBLE_TYPE",
        "message M { bytes a = 1; }",
        "message M { string a = 1; }",
        "message M { bytes a = 1; }",
    ),
    (
        "FIELD_WIRE_COMPATIBLE_CARDINALITY",
        "message M { int32 a = 1; }",
        "message M { repeated int32 a = 1; }",
        "message M { optional int32 a = 1; }",
    ),
    (
        "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY",
        "message E { string key = 1; string value = 2; } message M { repeated E e = 1; }",
        "message E { string key = 1; string value = 2; } message M { map<string, string> e = 1; }",
        "message E { string key = 1; string value = 2; bool x = 3; } message M { repeated E e = 1; }",
    ),
    (
        "FIELD_SAME_ONEOF",
        "message M { oneof o { int32 a = 1; } int32 b = 2; }",
        "message M { oneof o { int32 a = 1; int32 b = 2; } }",
        "message M { oneof o { int32 a = 1; int32 c = 3; } int32 b = 2; }",
    ),
    (
        "FIELD_SAME_ONEOF",
        "message M { oneof o { int32 a = 1; int32 b = 2; } }",
        "message M { oneof o { int32 a = 1; } optional int32 b = 2; }",
        "message M { oneof o { int32 b = 2; int32 a = 1; } }",
    ),
    (
        "RESERVED_MESSAGE_NO_DELETE",
        "message M { reserved 4 to 9; }",
        "message M { reserved 4 to 7, 9; }",
        "message M { reserved 4 to 7, 8, 9 to 12; }",
    ),
    (
        "RESERVED_MESSAGE_NO_DELETE",
        "message M { reserved \"a\", \"b\"; }",
        "message M { reserved \"a\"; }",
        "message M { reserved \"b\", \"c\", \"a\"; }",
    ),
    (
        "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED",
        "enum E { Z = 0; A = 1; }",
        "enum E { reserved \"A\"; Z = 0; }",
        "enum E { reserved 1; reserved \"A\"; Z = 0; }",
    ),
    (
        "ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED",
        "enum E { Z = 0; A = 1; }",
        "enum E { reserved 1; Z = 0; }",
        "enum E { reserved 1; reserved \"A\"; Z = 0; }",
    ),
    (
        "ENUM_VALUE_SAME_NAME",
        "enum E { Z = 0; A = 1; }",
        "enum E { Z = 0; B = 1; }",
        "enum E { option allow_alias = true; Z = 0; B = 1; A = 1; }",
    ),
    (
        "RESERVED_ENUM_NO_DELETE",
        "enum E { Z = 0; reserved -5 to -1, 9 to max; }",
        "enum E { Z = 0; reserved -5 to -2, 9 to max; }",
        "enum E { Z = 0; reserved -5 to -1, 2, 9 to 10, 11 to max; }",
    ),
    (
        "RESERVED_ENUM_NO_DELETE",
        "enum E { Z = 0; reserved \"A\"; }",
        "enum E { Z = 0; }",
        "enum E { Z = 0; reserved \"B\", \"A\"; }",
    ),
    (
        "PACKAGE_SERVICE_NO_DELETE",
        "message M {} service S { rpc A(M) returns (M); }",
        "message M {}",
        "message M {} service T {} service S { rpc A(M) returns (M); }",
    ),
    (
        "RPC_NO_DELETE",
        "message M {} service S { rpc A(M) returns (M); }",
        "message M {} service S { rpc B(M) returns (M); }",
        "message M {} service S { rpc B(M) returns (M); rpc A(M) returns (M); }",
    ),
    (
        "RPC_SAME_REQUEST_TYPE",
        "message M {} message N {} service S { rpc A(M) returns (M); }",
        "message M {} message N {} service S { rpc A(N) returns (M); }",
        "message M {} message N {} service S { rpc A(.p.M) returns (M); }",
    ),
    (
        "RPC_SAME_RESPONSE_TYPE",
        "message M {} message N {} service S { rpc A(M) returns (M); }",
        "message M {} message N {} service S { rpc A(M) returns (N); }",
        "message M {} message N {} service S { rpc A(M) returns (p.M); }",
    ),
    (
        "RPC_SAME_CLIENT_STREAMING",
        "message M {} service S { rpc A(M) returns (stream M); }",
        "message M {} service S { rpc A(stream M) returns (stream M); }",
        "message M {} service S { rpc A(M) returns (stream M); rpc B(stream M) returns (M); }",
    ),
    (
        "RPC_SAME_SERVER_STREAMING",
        "message M {} service S { rpc A(M) returns (stream M); }",
        "message M {} service S { rpc A(M) returns (M); }",
        "message M {} service S { rpc A(M) returns (stream M); rpc B(M) returns (M); }",
    ),
    (
        "RPC_SAME_IDEMPOTENCY_LEVEL",
        "message M {} service S { rpc A(M) returns (M) { option idempotency_level = IDEMPOTENT; } }",
        "message M {} service S { rpc A(M) returns (M); }",
        "message M {} service S {
           rpc A(M) returns (M) { option (dreammesh.idempotency) = IDEMPOTENT; } }",
    ),
];

#[test]
fn each_rule_breaks_where_it_should_and_holds_just_within() {
    let scratch = Scratch::new("rules");
    for (rule, old, breaks, holds) in CASES {
        let old = scratch.file("old.proto", &schema(old));
        for (new, breaks) in [(breaks, true), (holds, false)] {
            let shown = scratch.file("new.proto", &schema(new));
            let ended = scratch.dreammesh(&[
                "idl",
                "breaking",
                &shown,
                "--against",
                &old,
                "--format",
                "lines",
            ]);
            let lines: Vec<&str> = ended
                .stdout
                .lines()
                .filter(|it| it.contains("error:"))
                .collect();
            assert!(ended.stderr.is_empty(), "{rule}: {new}: {}", ended.stderr);
            if breaks {
                assert_eq!(lines.len(), 1, "{rule}: {new}: {}", ended.stdout);
                assert!(
                    lines[0].ends_with(&format!(" [{rule}]")),
                    "{rule}: {}",
                    lines[0]
                );
                assert!(lines[0].contains("new.proto:"), "{}", lines[0]);
            } else {
                assert!(lines.is_empty(), "{rule}: {new}: {}", ended.stdout);
            }
            assert_eq!(ended.status, i32::from(breaks), "{rule}: {new}");
        }
    }
}

#[test]
fn a_package_that_is_gone_is_one_finding() {
    let scratch = Scratch::new("package");
    let old = scratch.file(
        "old.proto",
        &schema("message M {} service S { rpc A(M) returns (M); }"),
    );
    let new = scratch.file(
        "new.proto",
        "syntax = \"proto3\";\npackage q;\nmessage M {}\n",
    );
    let ended = scratch.dreammesh(&[
        "idl",
        "breaking",
        &new,
        "--against",
        &old,
        "--format",
        "lines",
    ]);
    assert_eq!(
        ended.stdout,
        "error: package `p` is gone [PACKAGE_NO_DELETE]\n"
    );
    assert_eq!(ended.status, 1);
}

#[test]
fn what_breaks_json_alone_can_be_left_out() {
    let scratch = Scratch::new("wire");
    let old = scratch.file("old.proto", &schema("message M { int32 a = 1; }"));
    let new = scratch.file("new.proto", &schema("message M { int64 a = 1; }"));
    let run = |rules: &str| {
        scratch.dreammesh(&["idl", "breaking", &new, "--against", &old, "--rules", rules])
    };
    assert_eq!((run("json").status, run("wire").status), (1, 0));
}

#[test]
fn a_method_without_archives_counts_where_one_asks() {
    let scratch = Scratch::new("archives");
    let service = "service S { rpc A(M) returns (N); }";
    let old = format!("message M {{ int32 a = 1; int32 c = 3; }} message N {{}} {service}");
    let new = old.replace("int32 c", "int32 b = 2; int32 c");
    let old = scratch.file("old.proto", &schema(&old));
    let new = scratch.file("new.proto", &schema(&new));
    let ended = scratch.dreammesh(&["idl", "breaking", &new, "--against", &old]);
    assert_eq!(ended.status, 0);
    let said = "/p.S/A  requests protobuf, responses exact\n  requests: ";
    assert!(ended.stdout.contains(said), "{}", ended.stdout);
    let reason = "field 2 `b` of `p.M` was added below field 3\n";
    assert!(ended.stdout.contains(reason), "{}", ended.stdout);
    let strict = [
        "idl",
        "breaking",
        &new,
        "--against",
        &old,
        "--keep-archives",
    ];
    assert_eq!(scratch.dreammesh(&strict).status, 1);
}

#[test]
fn the_report_is_what_was_reviewed_in_each_format() {
    for format in ["text", "json", "github", "lines"] {
        let ended = scratch::dreammesh(
            Path::new(env!("CARGO_MANIFEST_DIR")),
            &[
                "idl",
                "breaking",
                "tests/golden/new.proto",
                "--against",
                "tests/golden/old.proto",
                "--format",
                format,
            ],
        );
        assert_eq!((ended.status, ended.stderr.as_str()), (1, ""));
        reviewed(&format!("breaking.{format}"), &ended.stdout);
    }
}

#[test]
fn a_descriptor_set_is_an_earlier_revision_too() {
    let scratch = Scratch::new("set");
    let shop = "message M { int32 a = 1; } service S { rpc A(M) returns (M); }";
    let old = scratch.file("old.proto", &schema(shop));
    let set = scratch.path("old.fds");
    fs::write(
        &set,
        protox::compile([&old], [scratch.path("")])
            .unwrap()
            .encode_to_vec(),
    )
    .unwrap();
    let new = scratch.file("new.proto", &schema(&shop.replace("int32", "string")));
    let set = set.display().to_string();
    let ended = scratch.dreammesh(&["idl", "breaking", &new, "--against", &set]);
    assert_eq!(ended.status, 1);
    assert!(
        ended.stdout.contains("[FIELD_WIRE_COMPATIBLE_TYPE]"),
        "{}",
        ended.stdout
    );
    let broken = scratch.file("broken.fds", "\u{1}not a set");
    let ended = scratch.dreammesh(&["idl", "breaking", &new, "--against", &broken]);
    assert_eq!(ended.status, 2);
    assert!(
        ended
            .stderr
            .starts_with("error: cannot use the descriptor set"),
        "{}",
        ended.stderr
    );
}

/// A repository whose tag `v1` has a service and the file it imports.
fn repository(test: &str) -> Scratch {
    let scratch = Scratch::new(test);
    scratch.file("proto/p/types.proto", &schema("message M { int32 a = 1; }"));
    let api = "syntax = \"proto3\";\npackage p;\nimport \"p/types.proto\";\n\
        service S { rpc A(M) returns (M); }\n";
    scratch.file("proto/p/api.proto", api);
    let commit = "-c user.name=t -c user.email=t@t commit --quiet -m one";
    for arguments in ["init --quiet", "add .", commit, "tag v1"] {
        let git = Command::new("git")
            .args(arguments.split(' '))
            .current_dir(scratch.path(""))
            .output();
        assert!(git.unwrap().status.success(), "{arguments}");
    }
    scratch
}

#[test]
fn a_git_revision_is_read_with_what_it_imports() {
    let scratch = repository("git");
    scratch.file(
        "proto/p/types.proto",
        &schema("message M { sint32 a = 1; }"),
    );
    let ended = scratch.dreammesh(&["idl", "breaking", "proto/p/api.proto", "--against", "v1"]);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains("it was at v1:proto/p/types.proto:3:13"),
        "{}",
        ended.stdout
    );
    // From a directory below, with an include directory.
    let below = scratch.path("proto/p");
    let arguments = [
        "idl",
        "breaking",
        "-I",
        "..",
        "../p/api.proto",
        "--against",
        "HEAD",
    ];
    assert_eq!(scratch::dreammesh(&below, &arguments).status, 1);
}

#[test]
fn a_revision_that_cannot_be_read_is_named() {
    let scratch = repository("revision");
    scratch.file("proto/p/new.proto", &schema("message N {}"));
    let refused = |arguments: &[&str], text: &str| {
        let ended = scratch.dreammesh(arguments);
        assert_eq!((ended.status, ended.stderr.as_str()), (2, text));
    };
    refused(
        &["idl", "breaking", "proto/p/new.proto", "--against", "v1"],
        "error: `proto/p/new.proto` is not in the revision `v1`\n",
    );
    refused(
        &["idl", "breaking", "proto/p/api.proto", "--against", "v2"],
        "error: git knows no revision `v2`\n",
    );
    refused(
        &["idl", "breaking", "proto/p/api.proto", "--against=-v"],
        "error: `-v` is no revision\n",
    );
    let ended: Ended = scratch.with_path(
        "/nonexistent",
        &["idl", "breaking", "proto/p/api.proto", "--against", "v1"],
    );
    let text = "error: `v1` cannot be looked up as a revision: there is no `git` program\n";
    assert_eq!((ended.status, ended.stderr.as_str()), (2, text));
}

fn schema(body: &str) -> String {
    let import = if body.contains("dreammesh.") {
        "import \"dreammesh/options.proto\"; "
    } else {
        ""
    };
    format!("syntax = \"proto3\";\npackage p; {import}\n{body}\n")
}

fn reviewed(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("DREAMMESH_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap(), "{name}");
}
