//! A schema that is wrong is answered with its place, and never with a panic.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use dreammesh_codegen::{Builder, Diagnostics, Error};

/// A directory of schemas that is gone when the test is over.
struct Schemas {
    directory: PathBuf,
}

impl Schemas {
    fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("dreammesh-codegen-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        for (name, text) in files {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { directory }
    }

    fn check(&self, name: &str) -> Result<Diagnostics, Error> {
        Builder::new()
            .include(&self.directory)
            .check([self.directory.join(name)])
    }

    /// What is said of a file that is wrong, with the directory's name taken out.
    fn errors(&self, name: &str) -> String {
        let error = self.check(name).unwrap_err();
        assert!(error.diagnostics().is_some(), "{error}");
        error
            .to_string()
            .replace(&format!("{}/", self.directory.display()), "")
    }
}

impl Drop for Schemas {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Checks one file and returns what is said of it.
fn errors(test: &str, text: &str) -> String {
    Schemas::new(test, &[("a.proto", text)]).errors("a.proto")
}

#[test]
fn an_unexpected_token_is_shown_with_what_was_expected() {
    let said = errors(
        "token",
        "syntax = \"proto3\";\nmessage A {\n  string = 1;\n}\n",
    );
    assert!(said.starts_with("error: expected"), "{said}");
    assert!(said.contains("--> a.proto:3:10\n"), "{said}");
    assert!(said.contains("3 |   string = 1;\n  |          ^"), "{said}");
}

#[test]
fn every_mistake_of_a_file_is_reported() {
    let said = errors(
        "several",
        "syntax = \"proto3\";\nmessage A { Foo a = 1; string b = 2; }\nmessage B { Bar c = 1; }\n",
    );
    assert!(
        said.contains("a.proto:2:13") && said.contains("a.proto:3:13"),
        "{said}"
    );
}

#[test]
fn every_broken_file_is_reported() {
    let schemas = Schemas::new(
        "files",
        &[
            ("a.proto", "syntax = \"proto3\"; message A {"),
            ("b.proto", "syntax = \"proto3\"; enum"),
        ],
    );
    let paths = ["a.proto", "b.proto"].map(|name| schemas.directory.join(name));
    let error = Builder::new()
        .include(&schemas.directory)
        .check(paths)
        .unwrap_err();
    let files: Vec<_> = error.diagnostics().unwrap().iter().collect();
    let ends = |end: &str| {
        files
            .iter()
            .any(|d| d.place.as_ref().unwrap().file.ends_with(end))
    };
    assert!(ends("a.proto") && ends("b.proto"), "{error}");
}

#[test]
fn a_number_used_twice_names_both_places() {
    let said = errors(
        "number",
        "syntax = \"proto3\";\nmessage A {\n string a = 1;\n string b = 1;\n}\n",
    );
    assert!(
        said.contains("a.proto:4:13") && said.contains("a.proto:3:13"),
        "{said}"
    );
}

#[test]
fn a_missing_import_is_shown_where_it_is_imported() {
    let said = errors(
        "import",
        "syntax = \"proto3\";\nimport \"no/such.proto\";\n",
    );
    assert!(
        said.starts_with("error: cannot find `no/such.proto`\n --> a.proto:2:1"),
        "{said}"
    );
}

#[test]
fn an_import_cycle_is_spelt_out() {
    let import = |name: &str| format!("syntax = \"proto3\";\nimport \"{name}\";\n");
    let schemas = Schemas::new(
        "cycle",
        &[
            ("a.proto", &import("b.proto")),
            ("b.proto", &import("c.proto")),
            ("c.proto", &import("a.proto")),
        ],
    );
    let said = schemas.errors("a.proto");
    assert!(said.contains("--> c.proto:2:1"), "{said}");
    assert!(
        said.contains("a.proto -> b.proto -> c.proto -> a.proto"),
        "{said}"
    );
    let own = Schemas::new("own-cycle", &[("a.proto", &import("a.proto"))]);
    assert!(own.errors("a.proto").contains("a.proto -> a.proto"));
}

#[test]
fn an_edition_is_refused_with_the_way_around() {
    let said = errors("edition", "// New.\nedition = \"2023\";\nmessage A {}\n");
    assert!(
        said.contains("--> a.proto:2:1") && said.contains("Builder::descriptor_set"),
        "{said}"
    );
}

#[test]
fn proto2_is_refused_unless_only_its_options_are_used() {
    let said = errors("proto2", "syntax = \"proto2\";\nmessage A {}\n");
    assert!(
        said.contains("is proto2") && said.contains("--> a.proto:1:1"),
        "{said}"
    );
    let old = "import \"google/protobuf/descriptor.proto\";\n\
               extend google.protobuf.FieldOptions { optional string hint = 50001; }\n\
               message Old {}\n";
    let uses = "syntax = \"proto3\";\nimport \"old.proto\";\n\
                message A { string a = 1 [(hint) = \"x\"]; }\n";
    let schemas = Schemas::new("options", &[("old.proto", old), ("a.proto", uses)]);
    assert!(schemas.check("a.proto").unwrap().is_empty());
    let types = "syntax = \"proto3\";\nimport \"old.proto\";\nmessage A { Old a = 1; }\n";
    let schemas = Schemas::new("types", &[("old.proto", old), ("a.proto", types)]);
    let said = schemas.errors("a.proto");
    assert!(
        said.contains("`Old` is declared in a proto2 file\n --> a.proto:3:13"),
        "{said}"
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        format!(
            "syntax = \"proto3\";\n{}{}",
            "message M {\n".repeat(depth),
            "}".repeat(depth)
        )
    };
    let schemas = Schemas::new(
        "depth",
        &[("a.proto", &nested(31)), ("b.proto", &nested(32))],
    );
    assert!(schemas.check("a.proto").unwrap().is_empty());
    assert!(schemas.errors("b.proto").contains("--> b.proto:33:"));
    let said = errors("deep", &nested(100_000));
    assert!(
        said.contains("nests too deeply\n  --> a.proto:66:11"),
        "{said}"
    );
}

#[test]
fn options_are_judged() {
    let method = |option: &str| {
        format!(
            "syntax = \"proto3\";\nimport \"dreammesh/options.proto\";\nmessage A {{}}\n\
             service S {{ rpc Get(A) returns (A) {{\n  option {option};\n}} }}\n"
        )
    };
    let said = errors("deadline", &method("(dreammesh.deadline) = \"soon\""));
    assert!(
        said.contains("`soon` is no duration\n --> a.proto:5:3"),
        "{said}"
    );
    let schemas = Schemas::new(
        "hedging",
        &[(
            "a.proto",
            &method("(dreammesh.hedging) = { attempts: 2 delay: \"5ms\" }"),
        )],
    );
    let warnings = schemas.check("a.proto").unwrap();
    let said = warnings.iter().next().unwrap().one_line();
    assert!(
        said.ends_with("a.proto:5:3: nothing enforces `(dreammesh.hedging)` yet"),
        "{said}"
    );
    assert!(errors("unknown", &method("(dreammesh.speed) = 9")).contains("--> a.proto:5:"));
}

#[test]
fn retired_fields_are_judged() {
    let message = |option: &str| {
        format!(
            "syntax = \"proto3\";\nimport \"dreammesh/options.proto\";\nmessage A {{\n\
             option (dreammesh.retired) = {{ {option} }};\n  string a = 1;\n\
             oneof o {{ string b = 3; int32 c = 5; }}\n  string d = 4;\n}}\n"
        )
    };
    for (test, option, expected) in [
        (
            "live",
            "number: 1 type: \"string\"",
            "field 1 is retired and also declared, as `a`",
        ),
        ("zero", "number: 0 type: \"string\"", "0 is no field number"),
        (
            "type",
            "number: 2 type: \"text\"",
            "`text` is no type of a field",
        ),
        (
            "key",
            "number: 2 type: \"map<bytes, string>\"",
            "is no type of a field",
        ),
        (
            "oneof",
            "number: 2 type: \"string\" oneof: \"p\"",
            "has no oneof `p`",
        ),
        (
            "label",
            "number: 2 type: \"repeated string\" oneof: \"o\"",
            "cannot be in a oneof",
        ),
        ("first", "number: 2 type: \"string\" oneof: \"o\"", ""),
    ] {
        let schemas = Schemas::new(&format!("retired-{test}"), &[("a.proto", &message(option))]);
        if expected.is_empty() {
            assert!(schemas.check("a.proto").is_ok(), "{option}");
            continue;
        }
        let said = schemas.errors("a.proto");
        assert!(
            said.contains(expected) && said.contains("--> a.proto:4:1"),
            "{said}"
        );
    }
}

#[test]
fn the_first_arm_of_a_oneof_keeps_its_place() {
    let said = errors(
        "displaced",
        "syntax = \"proto3\";\nimport \"dreammesh/options.proto\";\nmessage A {\n\
         option (dreammesh.retired) = { number: 1 type: \"string\" oneof: \"o\" };\n\
         string a = 2;\n  oneof o { string b = 3; }\n}\n",
    );
    assert!(
        said.contains("the first field of oneof `o` cannot be retired\n --> a.proto:3:1"),
        "{said}"
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let schemas = Schemas::new("absent", &[("a.proto", "")]);
    let said = schemas.errors("b.proto");
    assert!(said.contains("cannot find `b.proto`"), "{said}");
    let outside = Builder::new()
        .include(&schemas.directory)
        .check([Path::new("/x/y.proto")]);
    assert!(
        outside
            .unwrap_err()
            .to_string()
            .contains("is in no include directory")
    );
    fs::write(schemas.directory.join("c.proto"), [0xff, 0xfe]).unwrap();
    assert!(matches!(schemas.check("c.proto"), Err(Error::Read { .. })));
}

#[test]
fn broken_options_of_the_builder_are_named() {
    let schemas = Schemas::new(
        "builder",
        &[("a.proto", "syntax = \"proto3\"; message A {}")],
    );
    let path = [schemas.directory.join("a.proto")];
    let base = Builder::new().include(&schemas.directory);
    for broken in [
        base.clone().runtime("not a path"),
        base.clone().extern_path("no.dot", "::x"),
        base.clone().extern_path(".x", "1"),
        base.clone().type_attribute(".", "#[unclosed"),
        base.field_attribute("a", "#[x]"),
    ] {
        let result = broken.generate(&path);
        // A field attribute is looked at only where there is a field.
        assert!(
            matches!(result, Err(Error::Option { .. }) | Ok(_)),
            "{result:?}"
        );
    }
}
