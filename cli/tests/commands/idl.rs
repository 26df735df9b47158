//! `dreammesh idl check` and `layout` say with their exit status what their output says in words.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dreammesh"))
        .arg("idl")
        .args(arguments)
        .output()
        .unwrap()
}

fn fixture(name: &str) -> (String, String) {
    let root: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../rpc-codegen/tests/golden/proto");
    (
        root.display().to_string(),
        root.join(name).display().to_string(),
    )
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_sound_schema_is_zero() {
    let (root, file) = fixture("shop.proto");
    let output = run(&["check", "-I", &root, &file]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
    // Without `-I` the root is found from the package.
    assert_eq!(code(&run(&["check", &file])), 0);
}

#[test]
fn a_broken_schema_is_one() {
    let name = format!("dreammesh-cli-{}-command.proto", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, "syntax = \"proto3\";\nmessage {\n").unwrap();
    let output = run(&["check", &path.display().to_string()]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(code(&output), 1);
    assert!(
        text(&output.stderr).contains(".proto:2:9"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_wrong_command_line_is_two() {
    for arguments in [
        &[][..],
        &["what"],
        &["check"],
        &["check", "-x", "a"],
        &["check", "-I"],
        &["check", "--json", "a.proto"],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        let said = text(&output.stderr);
        let told = said.contains("Usage:") || said.contains("try '--help'");
        assert!(told, "{arguments:?}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_two() {
    let path = std::env::temp_dir().join(format!("dreammesh-{}.proto", std::process::id()));
    std::fs::write(&path, [0xff]).unwrap();
    let output = run(&["check", &path.display().to_string()]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(code(&output), 2);
}

#[test]
fn the_layout_is_printed_for_people_and_for_scripts() {
    let (root, file) = fixture("shop.proto");
    let output = run(&["layout", "-I", &root, &file]);
    let shown = text(&output.stdout);
    assert!(shown.contains("message shop.v1.Item  size "), "{shown}");
    assert!(shown.contains("string (retired) = 4"), "{shown}");
    let output = run(&["layout", "--json", "-I", &root, &file]);
    let json = text(&output.stdout);
    assert!(
        json.starts_with("[{\"message\":\"shop.v1.Empty\",\"size\":0,"),
        "{json}"
    );
    assert!(
        json.contains("{\"number\":4,\"retired\":true,\"type\":\"string\""),
        "{json}"
    );
}

#[test]
fn the_layout_is_shown_at_the_messages_themselves() {
    let scratch = crate::scratch::Scratch::new("layouts");
    let file = scratch.file(
        "shelf.proto",
        "syntax = \"proto3\";\npackage shelf;\n\nmessage Shelf {\n  int32 rows = 1;\n  \
         message Row { string name = 1; }\n}\nmessage Bare {}\n",
    );
    let layout = |format: &str| run(&["layout", "--format", format, &file]);
    let [lines, github] = ["lines", "github"].map(|format| {
        let output = layout(format);
        assert_eq!((code(&output), text(&output.stderr).as_str()), (0, ""));
        text(&output.stdout)
    });
    let json: serde_json::Value = serde_json::from_slice(&layout("json").stdout).unwrap();
    let messages = json.as_array().unwrap();
    assert_eq!((messages.len(), lines.lines().count()), (3, 3));
    let places = [(8, 1), (4, 1), (6, 3)];
    let both = lines.lines().zip(github.lines());
    for ((message, (line, command)), (row, column)) in messages.iter().zip(both).zip(places) {
        let said = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let slots = message["slots"].as_array().unwrap();
        let chain = slots
            .last()
            .map_or(&message["first"], |slot| &slot["chain"]);
        let (name, size, closure) = (&message["message"], &message["size"], &message["closure"]);
        let (name, chain, closure) = (said(name), said(chain), said(closure));
        let told = format!("message {name}: size {size}, chain {chain}, closure {closure}");
        let expected = format!("shelf.proto:{row}:{column}: notice: {told} [LAYOUT]");
        assert!(line.ends_with(&expected), "{line}\n{expected}");
        let expected = format!("shelf.proto,line={row},col={column},title=LAYOUT::{told}");
        assert!(command.starts_with("::notice file="), "{command}");
        assert!(command.ends_with(&expected), "{command}\n{expected}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (root, file) = fixture("shop.proto");
    let mut child = Command::new(env!("CARGO_BIN_EXE_dreammesh"))
        .args(["idl", "layout", "-I", &root, &file])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0);
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn findings_have_a_form_for_each_reader() {
    let scratch = crate::scratch::Scratch::new("formats");
    let file = scratch.file("broken.proto", "syntax = \"proto3\";\nmessage {\n");
    let (root, sound) = fixture("shop.proto");
    for (format, found, nothing) in [
        (
            "json",
            "{\"findings\":[{\"severity\":\"error\",\"message\":",
            "{\"findings\":[]}\n",
        ),
        ("github", "::error file=", ""),
        ("lines", "broken.proto:2:9: error: ", ""),
    ] {
        let output = run(&["check", "--format", format, &file]);
        assert_eq!(
            (code(&output), text(&output.stderr).as_str()),
            (1, ""),
            "{format}"
        );
        let shown = text(&output.stdout);
        assert!(shown.contains(found), "{format}: {shown}");
        let output = run(&["check", "--format", format, "-I", &root, &sound]);
        assert_eq!(
            (code(&output), text(&output.stdout).as_str()),
            (0, nothing),
            "{format}"
        );
    }
    // What is wrong with a schema is said in the same way where its layout was asked for.
    for format in ["json", "github", "lines"] {
        let asked = |command| run(&[command, "--format", format, &file]);
        let (checked, laid_out) = (asked("check"), asked("layout"));
        assert_eq!((code(&laid_out), text(&laid_out.stderr).as_str()), (1, ""));
        assert_eq!(laid_out.stdout, checked.stdout);
    }
    let layout = |option: &[&str]| run(&[&["layout", "-I", &root, &sound], option].concat());
    let both = [layout(&["--format", "json"]), layout(&["--json"])];
    assert_eq!(both[0].stdout, both[1].stdout);
    for absent in ["nowhere.proto", "/"] {
        for command in [
            &["check", absent][..],
            &["check", "--format", "json", absent],
            &["layout", absent],
        ] {
            let output = run(command);
            let said = format!("error: there is no file `{absent}`\n");
            assert_eq!(
                (code(&output), text(&output.stderr)),
                (2, said),
                "{command:?}"
            );
            assert_eq!(text(&output.stdout), "");
        }
    }
}
