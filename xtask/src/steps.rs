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
    let fuzz_seconds = options.fuzz_seconds;
    vec![
        quick("fmt", "the code is formatted", Box::new(cargo::fmt)),
        quick(
            "tidy",
            "the walls of the house stand",
            Box::new(|root| tidy::run(root).map(|()| Vec::new())),
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
            "the front door builds with any set of features",
            Box::new(features::run),
        ),
        slow(
            "cross",
            "the crates check on macOS and Windows",
            Box::new(cross::run),
        ),
        slow(
            "foreign",
            "Google's Python implementation and the .proto corpora are at hand",
            Box::new(|root| foreign::corpora(root).map(|(_, notes)| notes)),
        ),
        slow(
            "fuzz",
            "a short run of every fuzz target under AddressSanitizer",
            Box::new(move |root| fuzz::run(root, fuzz_seconds, None).map(|()| Vec::new())),
        ),
        slow(
            "load",
            "the load driver runs every system it compares",
            Box::new(programs::load),
        ),
    ]
}

fn quick(name: &'static str, shows: &'static str, check: Check) -> Step {
    Step {
        name,
        shows,
        quick: true,
        check,
    }
}

fn slow(name: &'static str, shows: &'static str, check: Check) -> Step {
    Step {
        name,
        shows,
        quick: false,
        check,
    }
}
