//! Words that may not stand in code, comments or documents.

use super::repository::{is_generated, is_test_path};
use super::{Finding, Repository};

/// Directories whose programs implement a service's methods, which may well be named `GetItem`.
const SERVICES: [&str; 3] = ["examples/", "benches/", "dreammesh/"];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The rules' own files have to spell out what they look for.
    for file in repository
        .texts
        .iter()
        .filter(|file| !is_generated(&file.path) && !is_rule(&file.path))
    {
        let markdown = file.path.ends_with(".md");
        if !markdown
            && !file.is_rust()
            && !file.path.ends_with(".proto")
            && !file.path.ends_with(".py")
        {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            let prose = if markdown { Some(line) } else { comment(line) };
            if let Some(what) = prose.and_then(unwelcome) {
                findings.push(Finding::new(&file.path, index + 1, what));
            }
        }
    }
    for (path, code) in repository
        .codes
        .iter()
        .filter(|(path, _)| !is_generated(path) && !is_test_path(path))
    {
        for attribute in code
            .attributes
            .iter()
            .filter(|attribute| is_allow(&attribute.text))
        {
            findings.push(Finding::new(
                path,
                attribute.line,
                "an allow or expect needs a `reason`",
            ));
        }
        if SERVICES.iter().any(|directory| path.starts_with(directory)) {
            continue;
        }
        for window in code
            .tokens
            .windows(2)
            .filter(|window| window[0].text == "fn" && !window[0].test)
        {
            if window[1].text.starts_with("get_") {
                let what = format!("`{}`: a getter is named by its noun", window[1].text);
                findings.push(Finding::new(path, window[1].line, what));
            }
        }
    }
    findings
}

fn is_rule(path: &str) -> bool {
    path.starts_with("xtask/src/tidy")
}

fn is_allow(attribute: &str) -> bool {
    (attribute.starts_with("allow")
        || attribute.starts_with("expect ")
        || attribute.starts_with("expect("))
        && !attribute.contains("reason")
}

/// The comment that a line of code holds, if there is one.
fn comment(line: &str) -> Option<&str> {
    let at = line
        .find("//")
        .or_else(|| line.trim_start().starts_with('#').then_some(0))?;
    Some(&line[at..])
}

/// Why this piece of prose may not stand.
fn unwelcome(prose: &str) -> Option<String> {
    let owned = |at: usize| prose[at + 4..].starts_with('(') && !prose[at + 4..].starts_with("()");
    if prose.match_indices("TODO").any(|(at, _)| !owned(at)) {
        return Some("a TODO has an owner, `TODO(name)`, or is deleted".to_owned());
    }
    if let Some(word) = ["FIXME", "XXX", "HACK"]
        .into_iter()
        .find(|word| has_word(prose, word))
    {
        return Some(format!("{word} is a TODO without an owner"));
    }
    if names_an_issue(prose) {
        return Some(
            "an issue's number says nothing to the reader; spell the reason out".to_owned(),
        );
    }
    if ["```ignore", "```rust,ignore", "```rust, ignore"]
        .iter()
        .any(|fence| prose.contains(fence))
    {
        return Some("an example that is ignored is not checked".to_owned());
    }
    None
}

fn has_word(prose: &str, word: &str) -> bool {
    prose
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|part| part == word)
}

/// Whether the text has `issue 12`, `issue #12` or a bare `#12`.
fn names_an_issue(prose: &str) -> bool {
    let lower = prose.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '.' | ':' | ';'))
        .collect();
    let is_number = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    words.iter().enumerate().any(|(index, word)| {
        let hashed = word.strip_prefix('#').is_some_and(is_number);
        let after = words
            .get(index + 1)
            .is_some_and(|next| is_number(next.trim_start_matches('#')));
        hashed || (matches!(*word, "issue" | "issues") && after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&Repository::sample(&[(path, text)])).len()
    }

    #[test]
    fn unowned_work_and_issue_numbers_are_found() {
        for text in [
            "// TODO: later",
            "fn f() {} // FIXME",
            "/// See issue 12.",
            "// because of #12",
            "//! ```ignore",
            "// XXX",
        ] {
            assert_eq!(findings("a/src/b.rs", text), 1, "{text}");
        }
        for text in [
            "// TODO(ada): later",
            "// 12 issues were seen",
            "#[derive(Debug)]\nstruct S;",
            "// the XXXL size",
        ] {
            assert_eq!(findings("a/src/b.rs", text), 0, "{text}");
        }
        assert_eq!(findings("README.md", "as in issue #3"), 1);
        assert_eq!(findings("README.md", "# 3 things"), 0);
    }

    #[test]
    fn getters_are_named_by_their_noun() {
        assert_eq!(findings("a/src/b.rs", "fn get_size() {}"), 1);
        assert_eq!(findings("a/src/b.rs", "fn target_size() {}"), 0);
        assert_eq!(
            findings("a/src/b.rs", "#[cfg(test)] mod tests { fn get_size() {} }"),
            0
        );
        assert_eq!(
            findings("examples/shop/src/main.rs", "async fn get_item() {}"),
            0
        );
    }

    #[test]
    fn an_allow_gives_its_reason() {
        assert_eq!(findings("a/src/b.rs", "#[allow(dead_code)]\nfn f() {}"), 1);
        assert_eq!(findings("a/src/b.rs", "#[expect(dead_code)]\nfn f() {}"), 1);
        assert_eq!(
            findings(
                "a/src/b.rs",
                "#[expect(dead_code, reason = \"shown\")]\nfn f() {}"
            ),
            0
        );
    }
}
