//! The steps of `cargo xtask test`, in the order in which they run: the cheap ones first.

pub(crate) mod cargo;
pub(crate) mod cross;
pub(crate) mod features;
pub(crate) mod foreign;
pub(crate) mod fuzz;
pub(crate) mod programs;

use crate::arguments::TestOptions;
use crate::plan::{Check, Step};
use crate::tidy;

/// Every step there is.
pub(crate) fn all(options: &TestOptions) -> Vec<Step> {
    let mut steps = code();
    steps.extend(builds());
    steps.extend(outside(options.fuzz_seconds));
    steps
}

/// What `--quick` runs: the code by itself.
fn code() -> Vec<Step> {
    let quick = |name, shows, check| Step {
        name,
        shows,
        quick: true,
        check,
    };
    vec![
        quick(
            "fmt",
            "the code is formatted",
            Box::new(cargo::fmt) as Check,
        ),
        quick(
            "tidy",
            "the walls of the house stand",
            Box::new(|root| tidy::run(root).map(none)),
        ),
        quick(
            "clippy",
            "no lint warns, in any target",
            Box::new(cargo::clippy),
        ),
        quick(
            "tests",
            "unit and integration tests",
            Box::new(cargo::tests),
        ),
        quick(
            "doc-tests",
            "every example in the docs compiles and runs",
            Box::new(cargo::doc_tests),
        ),
    ]
}

/// The other ways in which the code is built.
fn builds() -> Vec<Step> {
    vec![
        slow(
            "rustdoc",
            "the docs build without a warning",
            Box::new(cargo::rustdoc),
        ),
        slow(
            "toolchain",
            "the stated rust-version is the one tested",
            Box::new(cargo::rust_version),
        ),
        slow(
            "features",
            "the rooms build with any set of features",
            Box::new(features::run),
        ),
        slow(
            "cross",
            "the crates check on macOS and Windows",
            Box::new(cross::run),
        ),
    ]
}

/// Programs run as a person would run them, and what is not ours to compare with.
fn outside(fuzz_seconds: u64) -> Vec<Step> {
    vec![
        slow(
            "hello",
            "the smallest example builds and runs outside of the workspace",
            Box::new(programs::hello),
        ),
        slow(
            "quickstart",
            "the shop that the README names first",
            Box::new(programs::quickstart),
        ),
        slow(
            "corpus",
            "every proto3 file of two published collections compiles",
            Box::new(foreign::corpus),
        ),
        slow(
            "differential",
            "protobuf and JSON agree with Google's implementation",
            Box::new(foreign::differential),
        ),
        slow(
            "grpc",
            "other implementations of gRPC and ours pass its interoperability tests, also through Envoy",
            Box::new(foreign::grpc),
        ),
        slow(
            "connect",
            "Connect's own clients call our server by three protocols, from node and from Chromium",
            Box::new(foreign::connect),
        ),
        slow(
            "restart",
            "servers are replaced under 5,000 calls a second and lose none",
            Box::new(cargo::restart),
        ),
        slow(
            "proxies",
            "tunnels pass nginx and Envoy; curl, h2load, aioquic and ngtcp2 are answered",
            Box::new(foreign::proxies),
        ),
        slow(
            "namespaces",
            "calls go on where a firewall blocks UDP, and while it does",
            Box::new(foreign::namespaces),
        ),
        slow(
            "chaos",
            "three hosts of a mesh are killed, stopped and cut off in part, and logs are compared",
            Box::new(foreign::chaos),
        ),
        slow(
            "fuzz",
            "a short run of every fuzz target under AddressSanitizer",
            Box::new(move |root| fuzz::run(root, fuzz_seconds, None).map(none)),
        ),
        slow(
            "agent",
            "an agent of 1,000 instances and 100 programs stays small and idle, whatever they call",
            Box::new(programs::agent),
        ),
        slow(
            "compare",
            "the benchmark runs every system that it compares",
            Box::new(programs::compare),
        ),
    ]
}

fn slow(name: &'static str, shows: &'static str, check: Check) -> Step {
    Step {
        name,
        shows,
        quick: false,
        check,
    }
}

/// Nothing was left unchecked.
fn none((): ()) -> crate::plan::Notes {
    crate::plan::Notes::new()
}
