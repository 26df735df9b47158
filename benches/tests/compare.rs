//! The benchmark from its command line to its files, for a moment: the figures mean nothing.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test are outside of its test functions"
)]

use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs the benchmark; what it writes goes to a directory of this test's own.
fn compare(name: &str, arguments: &[&str]) -> (Output, PathBuf) {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .args(["--quick", "--out"])
        .arg(&out)
        .args(arguments)
        .output()
        .unwrap();
    (output, out)
}

fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    format!("{}\n{errors}", output.status)
}

#[test]
fn every_shape_of_calls_gives_a_row_with_figures() {
    let workloads = [
        "64B/1/1",
        "64B-spawned",
        "64B-download",
        "64B-ping-pong/64/1",
        "64B-slow-reader",
        "64B-open-own-20",
        "64B-open-tonic-50-sleep",
        "connect",
        "idle",
    ];
    // Nothing is tied to a core in this setting, which not every machine would allow.
    let mut arguments = vec![
        "--only",
        "dreammesh",
        "--only",
        "unix",
        "--only",
        "multi-thread",
    ];
    arguments.extend(workloads.iter().flat_map(|name| ["--only", name]));
    let (output, out) = compare("shapes", &arguments);
    assert!(output.status.success(), "{}", said(&output));
    let json = std::fs::read_to_string(out.join("results.json")).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(rows.len(), workloads.len(), "{json}");
    for row in &rows {
        let idle = row["workload"] == "idle";
        let figure = if idle {
            "server_kib_per_connection"
        } else {
            "calls_per_s"
        };
        assert!(row[figure].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["rounds"], 1);
        // Memory is known on Linux alone.
        assert!(row["server_rss_kib"].is_number(), "{row}");
    }
    let page = std::fs::read_to_string(out.join("results.md")).unwrap();
    assert!(
        page.contains("## multi-thread") && !page.contains("## Failed"),
        "{page}"
    );
}

#[test]
fn a_name_of_nothing_ends_the_run_before_it_begins() {
    let (output, _) = compare("nothing", &["--only", "nobody"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("nobody"), "{}", said(&output));
}
