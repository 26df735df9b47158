//! What exists on one system only must be behind a `cfg`, so that the crates build on the others.

use super::repository::is_generated;
use super::{Finding, Repository};

/// Names that exist on some systems only. `cfg`-free use of one breaks the build elsewhere.
const PARTICULAR: [&[&str]; 13] = [
    &["os", "::", "unix"],
    &["os", "::", "linux"],
    &["os", "::", "fd"],
    &["os", "::", "windows"],
    &["os", "::", "macos"],
    &["UnixStream"],
    &["UnixListener"],
    &["UnixDatagram"],
    &["tokio", "::", "signal", "::", "unix"],
    &["libc", "::"],
    &["AsRawFd"],
    &["AsFd"],
    &["set_reuse_port"],
];

/// Tools that are run on the developer's Linux machine only.
const LINUX_ONLY: [&str; 2] = ["benches/", "xtask/"];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let files = repository.codes.iter().filter(|(path, _)| {
        !is_generated(path)
            && !path.contains("fuzz/")
            && !LINUX_ONLY
                .iter()
                .any(|directory| path.starts_with(directory))
    });
    for (path, code) in files {
        for pattern in PARTICULAR {
            for token in code.matches(pattern).filter(|token| !token.platform) {
                let what = format!(
                    "`{}` exists on some systems only and stands behind no cfg",
                    pattern.concat()
                );
                findings.push(Finding::new(path, token.line, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        check(&Repository::sample(&[("transport/src/link.rs", text)])).len()
    }

    #[test]
    fn a_unix_name_needs_a_cfg() {
        assert_eq!(findings("use tokio::net::UnixStream;"), 1);
        assert_eq!(findings("fn f() { std::os::unix::process(); }"), 1);
        assert_eq!(findings("fn f() { unsafe { libc::close(1) } }"), 1);
        assert_eq!(findings("#[cfg(unix)]\nuse tokio::net::UnixStream;"), 0);
        assert_eq!(
            findings("#[cfg(target_os = \"linux\")]\nmod m { use std::os::linux::x; }"),
            0
        );
        assert_eq!(
            findings("#[cfg(unix)]\nmod m {}\nuse tokio::net::UnixStream;"),
            1
        );
    }
}
