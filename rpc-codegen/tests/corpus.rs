//! Every proto3 file of two published collections compiles to Rust that builds without a warning.
//!
//! `DREAMMESH_TEST_CORPUS` names their directories, each a root for imports. The test generates one
//! package from all of them below the target directory, builds and documents it with warnings
//! denied, does the same with tonic's generator for comparison, and prints lines and build times.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::disallowed_methods,
    reason = "build times are measured, nothing depends on them"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dreammesh_codegen::Builder;

#[test]
#[ignore = "needs the collections that cargo xtask test brings in"]
fn every_file_compiles_to_rust_without_warnings() {
    let roots = std::env::var_os("DREAMMESH_TEST_CORPUS").expect("DREAMMESH_TEST_CORPUS is set");
    let roots: Vec<PathBuf> = std::env::split_paths(&roots).collect();
    let files = proto3_files(&roots);
    assert!(
        files.len() >= 63,
        "only {} files found below {roots:?}",
        files.len()
    );
    let target = target().join("corpus");

    let (ours, generation) = generate_ours(&roots, &files, &target.join("dreammesh"));
    build(&ours, "build");
    build(&ours, "doc");
    let own = Figures {
        lines: lines(&ours.join("src")),
        generation,
        build: rebuild(&ours),
    };

    let theirs = write_tonic(&roots, &files, &target.join("tonic"));
    build(&theirs, "build");
    let generation = Duration::from_millis(number(&theirs.join("gen/milliseconds")));
    let tonic = Figures {
        lines: lines(&theirs.join("gen")),
        generation,
        build: rebuild(&theirs),
    };

    println!("{} proto3 files", files.len());
    println!(
        "{:<12} {:>8} {:>12} {:>10}",
        "", "lines", "generate", "build"
    );
    for (name, figures) in [("dreammesh", &own), ("tonic-prost", &tonic)] {
        println!(
            "{name:<12} {:>8} {:>9} ms {:>7.1} s",
            figures.lines,
            figures.generation.as_millis(),
            figures.build.as_secs_f64()
        );
    }
}

struct Figures {
    lines: usize,
    /// The generator alone, in the profile the test was built with.
    generation: Duration,
    /// The generated package alone, its dependencies built before.
    build: Duration,
}

fn generate_ours(roots: &[PathBuf], files: &[PathBuf], package: &Path) -> (PathBuf, Duration) {
    let _ = fs::remove_dir_all(package);
    let core = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../rpc-core")
        .canonicalize()
        .unwrap();
    let manifest = format!(
        "[package]\nname = \"corpus-dreammesh\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\ndreammesh-core = {{ path = {core:?} }}\n\n[workspace]\n"
    );
    let source = "//! The collections, generated.\n#![forbid(unsafe_code)]\n\
         #![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub)]\n\
         include!(\"mod.rs\");\n";
    write(&package.join("Cargo.toml"), &manifest);
    write(&package.join("src/lib.rs"), source);
    let mut builder = Builder::new()
        .out_dir(package.join("src"))
        .runtime("::dreammesh_core::codegen")
        .include_file("mod.rs");
    for root in roots {
        builder = builder.include(root);
    }
    let start = Instant::now();
    builder.compile(files).unwrap();
    (package.to_owned(), start.elapsed())
}

fn write_tonic(roots: &[PathBuf], files: &[PathBuf], package: &Path) -> PathBuf {
    let _ = fs::remove_dir_all(package);
    let manifest = "[package]\nname = \"corpus-tonic\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
        [dependencies]\nprost = \"0.14\"\nprost-types = \"0.14\"\ntonic = \"0.14\"\n\
        tonic-prost = \"0.14\"\n\n[build-dependencies]\nprotox = \"0.10\"\n\
        tonic-prost-build = \"0.14\"\n\n[workspace]\n";
    let list = |paths: &[PathBuf]| {
        let mut text = String::new();
        for path in paths {
            let _ = write!(text, "{path:?}, ");
        }
        text
    };
    let build = format!(
        "fn main() {{\n\
         \x20   let fds = protox::compile([{}], [{}]).unwrap();\n\
         \x20   std::fs::create_dir_all(\"gen\").unwrap();\n\
         \x20   let start = std::time::Instant::now();\n\
         \x20   tonic_prost_build::configure().out_dir(\"gen\").include_file(\"mod.rs\")\n\
         \x20       .compile_fds(fds).unwrap();\n\
         \x20   std::fs::write(\"gen/milliseconds\", start.elapsed().as_millis().to_string()).unwrap();\n\
         }}\n",
        list(files),
        list(roots)
    );
    write(&package.join("Cargo.toml"), manifest);
    write(&package.join("build.rs"), &build);
    let source = "#![allow(warnings, clippy::all)]\ninclude!(\"../gen/mod.rs\");\n";
    write(&package.join("src/lib.rs"), source);
    package.to_owned()
}

/// Runs cargo on the package, with warnings denied in its documentation too.
fn build(package: &Path, command: &str) -> Duration {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.arg(command).arg("--quiet").current_dir(package);
    if command == "doc" {
        cargo.arg("--no-deps");
    }
    cargo.env("CARGO_TARGET_DIR", target().join("corpus/build"));
    cargo.env("RUSTDOCFLAGS", "-D warnings");
    let start = Instant::now();
    let status = cargo.status().unwrap();
    assert!(
        status.success(),
        "cargo {command} failed in {}",
        package.display()
    );
    start.elapsed()
}

/// Builds the package again with everything below it built.
fn rebuild(package: &Path) -> Duration {
    let root = package.join("src/lib.rs");
    let mut source = fs::read_to_string(&root).unwrap();
    source.push_str("// Built once more.\n");
    fs::write(&root, source).unwrap();
    build(package, "build")
}

fn proto3_files(roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut waiting = roots.to_vec();
    let mut found = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "proto")
                && is_complete_proto3(&fs::read_to_string(&path).unwrap())
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Says whether a file is proto3 and within the collections: one of Debian's imports Envoy's files,
/// which no Debian package ships.
fn is_complete_proto3(text: &str) -> bool {
    text.contains("syntax = \"proto3\"") && !text.contains("import \"envoy/")
}

fn lines(directory: &Path) -> usize {
    let mut total = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            total += fs::read_to_string(&path).unwrap().lines().count();
        }
    }
    total
}

fn number(path: &Path) -> u64 {
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The target directory that this test was built into.
fn target() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let target = exe
        .ancestors()
        .find(|path| path.file_name().is_some_and(|name| name == "target"));
    target
        .expect("a test runs from below a directory named target")
        .to_owned()
}
