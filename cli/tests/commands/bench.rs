//! `dreammesh bench` against a server in this process.

use std::process::Stdio;

use serde_json::Value;

use crate::scratch::{self, Ended};
use crate::shop::{SLOW, Shop, protos};

fn bench(target: &str, method: &str, arguments: &[&str]) -> Ended {
    let method = format!("shop.v1.Catalog/{method}");
    let fixed = ["bench", target, &method, "--proto", "shop.proto", "-I", "."];
    scratch::dreammesh(&protos(), &[&fixed, arguments].concat())
}

/// The report of a run that ends with a status.
fn report(status: i32, target: &str, method: &str, arguments: &[&str]) -> Value {
    let ended = bench(target, method, &[arguments, &["--json"]].concat());
    assert_eq!((ended.status, ended.stderr.as_str()), (status, ""));
    assert_eq!(ended.stdout.lines().count(), 1);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn counted(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap()
}

#[test]
fn every_call_is_counted_over_any_wire() {
    let shop = Shop::open();
    for target in [&shop.target, &shop.by("grpc"), &shop.by("dreammesh+h2c")] {
        let arguments = ["-d", r#"{"sku":"A"}"#, "--calls", "50"];
        let lanes = ["--concurrency", "4", "--connections", "2", "--threads", "2"];
        let report = report(0, target, "GetItem", &[&arguments[..], &lanes].concat());
        assert_eq!(report["method"], "shop.v1.Catalog/GetItem");
        assert_eq!(
            (&report["kind"], &report["interrupted"]),
            (&"unary".into(), &false.into())
        );
        for (name, count) in [
            ("calls", 50),
            ("succeeded", 50),
            ("failed", 0),
            ("unfinished", 0),
        ] {
            assert_eq!(counted(&report, name), count, "{target}: {name}");
        }
        let histogram = report["histogram"].as_array().unwrap();
        let in_ranges = histogram.iter().map(|range| counted(range, "count"));
        assert_eq!(in_ranges.sum::<u64>(), 50);
        let latency = |name: &str| report["latency"][name].as_f64().unwrap();
        let names = [
            "min_us", "p50_us", "p90_us", "p95_us", "p99_us", "p99_9_us", "max_us",
        ];
        assert!(latency("min_us") > 0.0, "{report}");
        assert!(
            names
                .windows(2)
                .all(|two| latency(two[0]) <= latency(two[1])),
            "{report}"
        );
        assert!(latency("mean_us") <= latency("max_us"), "{report}");
        assert!(report["calls_per_second"].as_f64().unwrap() > 0.0);
        assert_eq!(shop.asked.try_iter().count(), 50);
    }
}

#[test]
fn a_call_of_a_stream_is_all_of_its_messages() {
    let shop = Shop::open();
    for target in [&shop.target, &shop.by("grpc")] {
        for (method, data, sent, received) in [
            ("List", "{}", 1, 3),
            ("Record", "{} {}", 2, 1),
            ("Chat", "{} {} {}", 3, 3),
            ("Chat", "", 0, 0),
        ] {
            let report = report(0, target, method, &["-d", data, "--calls", "7"]);
            assert_eq!(counted(&report, "succeeded"), 7, "{method}");
            assert_eq!(counted(&report, "messages_sent"), 7 * sent, "{method}");
            assert_eq!(
                counted(&report, "messages_received"),
                7 * received,
                "{method}"
            );
        }
    }
}

#[test]
fn failures_are_told_by_code_with_what_the_first_one_said() {
    let shop = Shop::open();
    let none = report(69, &shop.target, "GetItem", &["--calls", "5"]);
    let failures = serde_json::json!([
        {"code": "NOT_FOUND", "count": 5, "first_message": "no such sku"}
    ]);
    assert_eq!(
        (&none["failures"], &none["latency"]),
        (&failures, &Value::Null)
    );
    let shop = Shop::open();
    let later = ["-d", r#"{"sku":"later"}"#, "--calls", "5"];
    let some = report(1, &shop.target, "GetItem", &later);
    let failures = serde_json::json!([
        {"code": "ABORTED", "count": 1, "first_message": "not yet"}
    ]);
    assert_eq!(some["failures"], failures);
    assert_eq!(counted(&some, "succeeded"), 4);
    let broken = ["-d", r#"{"name":"broken"}"#, "--calls", "2"];
    let broken = report(79, &shop.target, "List", &broken);
    assert_eq!(counted(&broken, "messages_received"), 6);
}

#[test]
fn waiting_behind_a_slow_call_counts_at_a_rate_and_only_there() {
    let slow = [
        "-d",
        r#"{"sku":"slow at first"}"#,
        "--calls",
        "9",
        "--concurrency",
        "1",
    ];
    let shop = Shop::open();
    let rate = [&slow[..], &["--rate", "1000"]].concat();
    let report = report(0, &shop.target, "GetItem", &rate);
    // The last one was due after 8 ms, and could not begin before the first had ended.
    let least = (SLOW.as_micros() - 8_000) as f64;
    assert!(
        report["latency"]["min_us"].as_f64().unwrap() >= least,
        "{report}"
    );
    assert!(
        report["lateness"]["p50_us"].as_f64().unwrap() >= least,
        "{report}"
    );
    assert_eq!(report["rate"], 1000.0);
}

#[test]
fn a_call_whose_time_is_over_before_it_can_begin_has_failed() {
    let shop = Shop::open();
    let slow = [
        "-d",
        r#"{"sku":"slow"}"#,
        "--calls",
        "5",
        "--concurrency",
        "1",
    ];
    let rate = ["--rate", "1000", "--timeout", "30ms"];
    let report = report(68, &shop.target, "GetItem", &[&slow[..], &rate].concat());
    assert_eq!(counted(&report, "failed"), 5);
    assert_eq!(report["failures"][0]["code"], "DEADLINE_EXCEEDED");
}

#[test]
fn time_ends_a_run_and_none_of_the_warm_up_counts() {
    let shop = Shop::open();
    let times = [
        "--duration",
        "60ms",
        "--warm-up",
        "20ms",
        "--concurrency",
        "2",
    ];
    let arguments = [&["-d", r#"{"sku":"A"}"#][..], &times].concat();
    let timed = report(0, &shop.target, "GetItem", &arguments);
    let asked = shop.asked.try_iter().count() as u64;
    assert!(counted(&timed, "calls") < asked, "{asked}: {timed}");
    // Every call that is due is made: the first one at once, none at the end.
    let rate = [&arguments[..], &["--rate", "100"]].concat();
    let paced = report(0, &shop.target, "GetItem", &rate);
    assert_eq!(counted(&paced, "calls"), 6);
    assert_eq!(shop.asked.try_iter().count(), 6 + 2);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_calls_and_reports_those_that_were() {
    let shop = Shop::open();
    let arguments = [
        "bench",
        &shop.target,
        "shop.v1.Catalog/GetItem",
        "--proto",
        "shop.proto",
        "-I",
        ".",
        "-d",
        r#"{"sku":"slow"}"#,
        "--concurrency",
        "3",
        "--timeout",
        "10m",
        "--json",
    ];
    let mut command = scratch::command(&protos(), &arguments);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    for _ in 0..3 {
        shop.asked.recv().unwrap();
    }
    let kill = ["-INT".to_owned(), child.id().to_string()];
    let killed = std::process::Command::new("kill").args(kill).status();
    assert!(killed.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    assert_eq!(
        (counted(&report, "calls"), counted(&report, "unfinished")),
        (0, 3)
    );
}

#[test]
fn people_see_percentiles_and_a_histogram() {
    let shop = Shop::open();
    let arguments = [
        "-d",
        r#"{"sku":"A"}"#,
        "--calls",
        "1200",
        "--buckets",
        "linear",
    ];
    let ended = bench(&shop.target, "GetItem", &arguments);
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
    for part in [
        "calls       1,200 in ",
        "failed      0\n",
        "  p99.9  ",
        "  mean   ",
        "#",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 80));
    assert!(!ended.stdout.contains('\x1b'));
    let coloured = bench(
        &shop.target,
        "GetItem",
        &[&arguments[..], &["--color", "always"]].concat(),
    );
    assert!(coloured.stdout.contains("\x1b[32m#"), "{}", coloured.stdout);
}

/// An option, the most that it may be, one more than that, and what is said then.
const BOUNDS: [(&str, &str, &str, &str); 9] = [
    (
        "--concurrency",
        "65536",
        "65537",
        "65537 is not in 1..=65536",
    ),
    ("--concurrency", "1", "0", "0 is not in 1..=65536"),
    ("--connections", "512", "513", "513 is not in 1..=512"),
    ("--threads", "64", "65", "65 is not in 1..=64"),
    (
        "--calls",
        "1000000000000",
        "1000000000001",
        "is not in 1..=",
    ),
    (
        "--rate",
        "1000000",
        "1000001",
        "`1000001` is no rate: write calls a second between",
    ),
    (
        "--duration",
        "1440m",
        "86401s",
        "--duration is longer than 86400s",
    ),
    (
        "--warm-up",
        "1440m",
        "1441m",
        "--warm-up is longer than 86400s",
    ),
    ("--timeout", "60m", "3601", "--timeout is longer than 3600s"),
];

#[test]
fn options_have_bounds() {
    let target = "dreammesh+tcp://127.0.0.1:1";
    for (option, most, more, said) in BOUNDS {
        // What is within them goes on to find that nobody is there.
        let ended = bench(target, "New", &[option, most]);
        assert_eq!(ended.status, 78, "{option} {most}: {}", ended.stderr);
        assert!(
            ended.stderr.starts_with("error: UNAVAILABLE: "),
            "{}",
            ended.stderr
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        let ended = bench(target, "New", &[option, more]);
        assert_eq!(ended.status, 2, "{option} {more}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(said),
            "{option} {more}: {}",
            ended.stderr
        );
    }
    for rate in ["0", "-1", "nan", "inf", "1e400", "many"] {
        assert_eq!(
            bench(target, "New", &[&format!("--rate={rate}")]).status,
            2,
            "{rate}"
        );
    }
    let more = bench(target, "New", &["--connections", "5", "--concurrency", "4"]);
    let said = "error: there are more --connections than calls under way (--concurrency)\n";
    assert_eq!((more.status, more.stderr.as_str()), (2, said));
}
