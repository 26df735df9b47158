//! The modules that decide and never act: time and randomness are arguments to them.

use super::repository::is_generated;
use super::{Finding, Repository};

/// What must be pure. A directory and the file of its name are listed apart.
const PURE: [&str; 10] = [
    "mesh-agent/src/health/hints.rs",
    "mesh-agent/src/health/plan.rs",
    "mesh-agent/src/health/subject.rs",
    "mesh-agent/src/health/verdict.rs",
    "mesh-agent/src/registry",
    "mesh-agent/src/registry.rs",
    "transport/session/src",
    "rpc-core/src/balance",
    "rpc-core/src/balance.rs",
    "rpc-core/wire/src",
];

/// What a pure module may not do, as tokens, with the reason.
const IMPURE: [(&[&str], &str); 16] = [
    (&["Instant", "::", "now"], "reads the clock"),
    (&["SystemTime", "::", "now"], "reads the clock"),
    (&[".", "elapsed", "("], "reads the clock"),
    (&[".", "await"], "awaits"),
    (&["async", "fn"], "awaits"),
    (&["async", "move"], "awaits"),
    (&["async", "{"], "awaits"),
    (&["tokio"], "needs a runtime"),
    (&["thread", "::", "spawn"], "spawns"),
    (&["thread", "::", "sleep"], "sleeps"),
    (&["spawn", "("], "spawns"),
    (&["std", "::", "net"], "names a socket"),
    (&["RandomState"], "draws randomness"),
    (&["getrandom"], "draws randomness"),
    (&["rand", "::"], "draws randomness"),
    (&["fastrand"], "draws randomness"),
];

/// In these, even a std hash map is forbidden: its iteration order is random, and a seeded run must
/// replay.
const ORDERED: [&str; 9] = [
    "mesh-agent/src/health/hints.rs",
    "mesh-agent/src/health/plan.rs",
    "mesh-agent/src/health/subject.rs",
    "mesh-agent/src/health/verdict.rs",
    "mesh-agent/src/registry",
    "mesh-agent/src/registry.rs",
    "transport/session/src",
    "rpc-core/src/balance",
    "rpc-core/src/balance.rs",
];

/// Words that name a medium; an identifier in the core may not have one of them as a part.
const MEDIA: [&str; 14] = [
    "tcp", "udp", "quic", "quinn", "tls", "rustls", "socket", "socket2", "tokio", "hyper", "h2",
    "http", "uds", "listener",
];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pure in PURE {
        for (path, code) in repository.codes_below(pure) {
            for (pattern, why) in IMPURE {
                for line in code.lines_with(pattern) {
                    findings.push(Finding::new(
                        path,
                        line,
                        format!("`{}` {why}, in a pure module", pattern.concat()),
                    ));
                }
            }
        }
    }
    for ordered in ORDERED {
        for (path, code) in repository.codes_below(ordered) {
            for name in ["HashMap", "HashSet"] {
                for line in code.lines_with(&[name]) {
                    findings.push(Finding::new(
                        path,
                        line,
                        format!("the order of a {name} is random; use a BTree"),
                    ));
                }
            }
        }
    }
    findings
}

pub(super) fn core_names_no_medium(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, code) in repository
        .codes_below("rpc-core/src")
        .filter(|(path, _)| !is_generated(path))
    {
        for token in code.tokens.iter().filter(|token| !token.test) {
            if token.text.starts_with(|c: char| c.is_alphabetic())
                && let Some(medium) = parts(&token.text)
                    .into_iter()
                    .find(|part| MEDIA.contains(&part.as_str()))
            {
                let what = format!(
                    "`{}` names a medium ({medium}), and the core knows none",
                    token.text
                );
                findings.push(Finding::new(path, token.line, what));
            }
        }
    }
    findings
}

/// The words of an identifier, in lower case: `TcpStream` and `tcp_stream` are both `tcp`,
/// `stream`.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut last_was_lower = false;
    for letter in identifier.chars() {
        if letter == '_' || (letter.is_uppercase() && last_was_lower) {
            parts.push(String::new());
        }
        last_was_lower = letter.is_lowercase() || letter.is_numeric();
        if letter != '_' {
            let part = parts
                .last_mut()
                .expect("the list began with one part and only grows");
            part.extend(letter.to_lowercase());
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, body: &str) -> usize {
        let text =
            format!("fn f() {{ {body} }}\n#[cfg(test)]\nmod tests {{ fn g() {{ {body} }} }}");
        check(&Repository::sample(&[(path, &text)])).len()
    }

    #[test]
    fn each_impurity_is_found_once_and_only_outside_of_tests() {
        for body in [
            "Instant::now();",
            "std::time::SystemTime::now();",
            "begun.elapsed();",
            "x.await;",
            "let y = async move { 1 };",
            "tokio::select!();",
            "std::thread::sleep(d);",
            "pool.spawn(task);",
            "use std::net::TcpStream;",
            "let s = RandomState::new();",
            "rand::random::<u8>();",
            "HashMap::new();",
        ] {
            assert_eq!(findings("transport/session/src/flow.rs", body), 1, "{body}");
            assert_eq!(findings("rpc-core/src/balance/ring.rs", body), 1, "{body}");
            assert_eq!(findings("transport/src/driver.rs", body), 0, "{body}");
        }
        assert_eq!(
            findings("transport/session/src/flow.rs", "later(now, 5);"),
            0
        );
    }

    #[test]
    fn the_core_may_not_name_a_medium() {
        let named = |body: &str| {
            let text = format!("fn f() {{ {body} }} #[cfg(test)] mod tests {{ use tokio::net; }}");
            core_names_no_medium(&Repository::sample(&[("rpc-core/src/channel.rs", &text)])).len()
        };
        for body in [
            "let a: TcpStream;",
            "use tokio;",
            "open_quic();",
            "let b = QUIC_PORT;",
            "h2()",
            "UnixSocket::new()",
        ] {
            assert_eq!(named(body), 1, "{body}");
        }
        assert_eq!(named("let a = UNIX_EPOCH; let b = Matcher; settle();"), 0);
    }
}
