//! Sizes and names of files, and where `unsafe` may stand.

use std::collections::BTreeSet;

use super::repository::{is_generated, is_test_path};
use super::{Finding, Repository};

/// The most lines a file may have, its tests not counted.
const LINES_MAX: usize = 800;

/// Names that say nothing about the idea behind a module.
const NAMELESS: [&str; 9] = [
    "util", "utils", "common", "helper", "helpers", "hack", "hacks", "misc", "stuff",
];

/// The one room where `unsafe` is at home.
const UNSAFE_ROOM: &str = "rpc-core/wire/";

/// What a newcomer reads first has not one line more than it needs; it has no `unsafe` all the same.
const HELLO: &str = "examples/hello/";

/// Modules elsewhere that may use `unsafe`, each named: none so far.
const UNSAFE_MODULES: [&str; 0] = [];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings: Vec<Finding> = repository
        .unreadable
        .iter()
        .map(|(path, reason)| Finding::new(path, 0, reason.clone()))
        .collect();
    for file in repository
        .texts
        .iter()
        .filter(|file| file.is_rust() && !is_generated(&file.path))
    {
        let parts = || {
            file.path
                .split('/')
                .map(|part| part.trim_end_matches(".rs"))
        };
        if file.name() == "mod.rs" && !is_test_path(&file.path) {
            findings.push(Finding::new(
                &file.path,
                0,
                "a module is `name.rs`, never `name/mod.rs`",
            ));
        }
        if let Some(name) = parts().find(|part| NAMELESS.contains(part)) {
            findings.push(Finding::new(
                &file.path,
                0,
                format!("`{name}` names no idea"),
            ));
        }
        let Some(code) = repository.codes.get(&file.path) else {
            continue;
        };
        let lines = file.text.lines().count().saturating_sub(code.test_lines);
        if lines > LINES_MAX && !is_test_path(&file.path) {
            let what = format!("{lines} lines without tests; the ceiling is {LINES_MAX}");
            findings.push(Finding::new(&file.path, 0, what));
        }
        for name in NAMELESS {
            for token in code.matches(&["mod", name]) {
                findings.push(Finding::new(
                    &file.path,
                    token.line,
                    format!("`{name}` names no idea"),
                ));
            }
        }
    }
    findings
}

pub(super) fn unsafe_code(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for root in crate_roots(repository) {
        let Some(code) = repository.codes.get(root) else {
            continue;
        };
        let forbids = code
            .attributes
            .iter()
            .any(|attribute| attribute.text.replace(' ', "") == "forbid(unsafe_code)");
        if !forbids && !root.starts_with(UNSAFE_ROOM) {
            findings.push(Finding::new(
                root,
                1,
                "a crate opens with #![forbid(unsafe_code)]",
            ));
        }
    }
    for (path, code) in &repository.codes {
        if path.starts_with(UNSAFE_ROOM) && !is_generated(path)
            || UNSAFE_MODULES.contains(&path.as_str())
        {
            continue;
        }
        for token in code.matches(&["unsafe"]) {
            findings.push(Finding::new(
                path,
                token.line,
                "`unsafe` outside of its room",
            ));
        }
    }
    findings
}

/// The files at which the libraries and programs of the workspace begin.
fn crate_roots(repository: &Repository) -> BTreeSet<&str> {
    let paths = repository.codes.keys().map(String::as_str);
    paths
        .filter(|path| {
            let apart = path.contains("fuzz/") || is_generated(path) || path.starts_with(HELLO);
            !apart
                && !path.contains("/tests/")
                && (path.ends_with("src/lib.rs")
                    || path.ends_with("src/main.rs")
                    || is_program(path))
        })
        .collect()
}

/// Whether the path is `…/src/bin/name.rs`.
fn is_program(path: &str) -> bool {
    path.rsplit_once('/')
        .is_some_and(|(directory, _)| directory.ends_with("src/bin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_counts_lines_without_tests() {
        let line = "// A line.\n";
        let at = line.repeat(LINES_MAX);
        let above = line.repeat(LINES_MAX + 1);
        let tested = format!("{at}#[cfg(test)]\nmod tests {{\n{at}}}\n");
        let count = |path: &str, text: &str| check(&Repository::sample(&[(path, text)])).len();
        assert_eq!(count("a/src/b.rs", &at), 0);
        assert_eq!(count("a/src/b.rs", &above), 1);
        assert_eq!(
            count("a/src/b.rs", &tested),
            1,
            "the attribute's own line is one too many"
        );
        assert_eq!(count("a/src/gen/b.rs", &above), 0);
        assert_eq!(count("a/tests/b.rs", &above), 0);
    }

    #[test]
    fn names_without_an_idea_are_found() {
        for path in [
            "a/src/util.rs",
            "a/src/common/b.rs",
            "a/src/b/mod.rs",
            "a/src/helpers.rs",
        ] {
            assert_eq!(check(&Repository::sample(&[(path, "")])).len(), 1, "{path}");
        }
        assert_eq!(
            check(&Repository::sample(&[("a/src/b.rs", "mod helpers { }")])).len(),
            1
        );
        assert_eq!(
            check(&Repository::sample(&[("a/src/b.rs", "mod ideas { }")])).len(),
            0
        );
    }

    #[test]
    fn what_is_not_rust_is_found() {
        assert_eq!(
            check(&Repository::sample(&[("a/src/b.rs", "fn f( {")])).len(),
            1
        );
    }

    #[test]
    fn unsafe_stays_in_its_room() {
        let count =
            |path: &str, text: &str| unsafe_code(&Repository::sample(&[(path, text)])).len();
        assert_eq!(count("a/src/lib.rs", "#![forbid(unsafe_code)]"), 0);
        assert_eq!(count("a/src/lib.rs", "//! Docs."), 1);
        assert_eq!(count("a/src/bin/b.rs", "fn main() {}"), 1);
        assert_eq!(count("a/src/b.rs", "fn f() { unsafe { g() } }"), 1);
        assert_eq!(
            count("rpc-core/wire/src/b.rs", "fn f() { unsafe { g() } }"),
            0
        );
        assert_eq!(
            count(
                "rpc-core/wire/tests/golden/b.rs",
                "fn f() { unsafe { g() } }"
            ),
            1
        );
    }
}
