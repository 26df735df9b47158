//! The generated text is what was reviewed, and what the repository's own generated code is.
//!
//! `DREAMMESH_BLESS=1` writes what the compiler now generates instead of comparing; the difference is
//! then reviewed like any other.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use dreammesh_codegen::Builder;

#[test]
fn fixtures_generate_the_reviewed_text() {
    let root = manifest("tests/golden");
    let mut files: Vec<PathBuf> = Vec::new();
    proto_files(&root.join("proto"), &mut files);
    files.sort();
    assert!(!files.is_empty());
    let builder = Builder::new()
        .include(root.join("proto"))
        .runtime("::dreammesh_core::codegen")
        .include_file("fixtures.rs");
    compare(&builder, &files, &root.join("src/gen"));
}

#[test]
fn revisions_generate_the_reviewed_text() {
    let root = manifest("tests/golden");
    for revision in ["v1", "v2", "v3"] {
        let directory = root.join("revisions").join(revision);
        let builder = Builder::new()
            .include(&directory)
            .runtime("::dreammesh_core::codegen");
        let file = directory.join("evolution.proto");
        compare(&builder, &[file], &root.join("src/gen").join(revision));
    }
}

#[test]
fn the_well_known_types_are_fresh() {
    let files = [
        "any",
        "api",
        "duration",
        "empty",
        "field_mask",
        "source_context",
        "struct",
    ]
    .into_iter()
    .chain(["timestamp", "type", "wrappers"])
    .map(|name| PathBuf::from(format!("google/protobuf/{name}.proto")));
    let builder = Builder::new()
        .include(".")
        .runtime("crate::codegen")
        .well_known_types(true);
    compare(
        &builder,
        &files.collect::<Vec<_>>(),
        &manifest("../rpc-core/src/gen"),
    );
}

#[test]
fn the_status_types_are_fresh() {
    let root = manifest("../rpc-core/proto");
    let files = ["status", "error_details"];
    let files = files.map(|name| root.join(format!("google/rpc/{name}.proto")));
    let builder = Builder::new().include(root).runtime("crate::codegen");
    compare(&builder, &files, &manifest("../rpc-core/src/gen"));
}

#[test]
fn the_services_of_every_server_are_fresh() {
    let root = manifest("../rpc-core/services/proto");
    let mut files = Vec::new();
    proto_files(&root, &mut files);
    files.sort();
    let builder = Builder::new()
        .include(root)
        .runtime("::dreammesh_core::codegen");
    compare(&builder, &files, &manifest("../rpc-core/services/src/gen"));
}

#[test]
fn the_contract_with_the_agent_is_fresh() {
    let root = manifest("../mesh-agent/api/proto");
    let mut files = Vec::new();
    proto_files(&root, &mut files);
    files.sort();
    let builder = Builder::new()
        .include(root)
        .runtime("::dreammesh_core::codegen");
    compare(&builder, &files, &manifest("../mesh-agent/api/src/gen"));
}

fn compare(builder: &Builder, files: &[PathBuf], directory: &Path) {
    let output = builder.generate(files).unwrap();
    let bless = std::env::var_os("DREAMMESH_BLESS").is_some();
    for file in &output.files {
        let path = directory.join(&file.name);
        if bless {
            fs::create_dir_all(directory).unwrap();
            fs::write(&path, &file.contents).unwrap();
            continue;
        }
        let pinned = fs::read(&path).unwrap_or_default();
        if pinned != file.contents {
            let (old, new) = (
                String::from_utf8_lossy(&pinned),
                String::from_utf8_lossy(&file.contents),
            );
            let differing = old
                .lines()
                .zip(new.lines())
                .position(|(old, new)| old != new);
            panic!(
                "{} is not what the compiler generates now, from line {}; \
                 run with DREAMMESH_BLESS=1 and review the difference",
                path.display(),
                differing.map_or_else(|| "the end".to_owned(), |line| (line + 1).to_string()),
            );
        }
    }
}

fn proto_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            proto_files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            found.push(path);
        }
    }
}

fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
