//! Running the fuzz targets under AddressSanitizer, on the stable compiler.
//!
//! `cargo fuzz` is not needed: it is a wrapper around the flags below and libFuzzer's own command
//! line. Setting `RUSTC_BOOTSTRAP=1` is what lets a stable compiler take `-Zsanitizer`; it touches
//! nothing outside of these builds.

use std::path::{Path, PathBuf};

use crate::console::say;
use crate::shell::Tool;
use crate::workspace;

/// What `cargo fuzz` passes too: count edges and comparisons, keep the checks of a debug build,
/// stop on a bad address.
const FLAGS: [&str; 10] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
    "-Zsanitizer=address",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "--cfg=fuzzing",
];

/// Targets that reach so much code that to weigh inputs by how rare what they reach is, as libFuzzer
/// does, takes ten times as long as to run them.
const UNWEIGHED: [&str; 1] = ["http_request"];

/// Builds every fuzz package and runs its targets, `seconds` each; with a name, that target alone.
///
/// # Errors
/// When a build fails, a target finds something, or no target has the wanted name.
pub(crate) fn run(root: &Path, seconds: u64, wanted: Option<&str>) -> Result<(), String> {
    let host = host(root)?;
    let mut ran = 0;
    let mut found = Vec::new();
    for package in packages(root)? {
        let targets: Vec<String> = targets(&package)?
            .into_iter()
            .filter(|target| wanted.is_none_or(|wanted| wanted == target))
            .collect();
        if targets.is_empty() {
            continue;
        }
        build(root, &package, &host, &targets)?;
        for target in targets {
            ran += 1;
            if let Err(problem) = fuzz(root, &package, &host, &target, seconds) {
                say(&problem);
                found.push(target);
            }
        }
    }
    match (ran, found.is_empty()) {
        (0, _) => Err("there is no such fuzz target".to_owned()),
        (_, true) => Ok(()),
        (_, false) => Err(format!(
            "these targets found something: {}",
            found.join(", ")
        )),
    }
}

/// The directories named `fuzz` that hold a package.
fn packages(root: &Path) -> Result<Vec<PathBuf>, String> {
    let manifests = workspace::texts(root)?
        .into_iter()
        .filter(|file| file.path.ends_with("fuzz/Cargo.toml"));
    Ok(manifests
        .map(|file| root.join(file.path.trim_end_matches("/Cargo.toml")))
        .collect())
}

fn targets(package: &Path) -> Result<Vec<String>, String> {
    let metadata = workspace::metadata(package, &["--no-deps"])?;
    let targets = metadata["packages"][0]["targets"]
        .as_array()
        .ok_or("a fuzz package without targets")?;
    let binaries = targets.iter().filter(|target| target["kind"][0] == "bin");
    Ok(binaries
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect())
}

fn build(root: &Path, package: &Path, host: &str, targets: &[String]) -> Result<(), String> {
    let mut cargo = Tool::cargo(package)
        .args(["build", "--release", "--target", host, "--target-dir"])
        .args([target_directory(root)])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS.join(" "))
        // Thin LTO and the sanitizer's passes do not get along, and fuzzing gains nothing from it.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
    for target in targets {
        cargo = cargo.args(["--bin", target]);
    }
    cargo.run()
}

fn fuzz(root: &Path, package: &Path, host: &str, target: &str, seconds: u64) -> Result<(), String> {
    let corpus = package.join("corpus").join(target);
    let artifacts = package.join("artifacts").join(target);
    for directory in [&corpus, &artifacts] {
        std::fs::create_dir_all(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let mut directories = vec![corpus];
    // Seeds are checked in; what a run learns goes to the corpus, which is not.
    directories.extend(Some(package.join("seeds").join(target)).filter(|seeds| seeds.is_dir()));
    Tool::new(
        target_directory(root)
            .join(host)
            .join("release")
            .join(target),
        package,
    )
    .args([
        format!("-max_total_time={seconds}"),
        format!("-artifact_prefix={}/", artifacts.display()),
    ])
    .args([
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-verbosity=0",
    ])
    .args(UNWEIGHED.contains(&target).then_some("-entropic=0"))
    .args(directories)
    .run()
}

fn target_directory(root: &Path) -> PathBuf {
    root.join("target/fuzz")
}

fn host(root: &Path) -> Result<String, String> {
    let version = Tool::new("rustc", root).args(["-vV"]).read()?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned)
        .ok_or_else(|| "rustc does not name its host".to_owned())
}
