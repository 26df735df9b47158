//! The steps that are one or two cargo commands each.

use std::path::Path;

use crate::console::say;
use crate::plan::Notes;
use crate::shell::Tool;

mod nextest;

pub(crate) fn fmt(root: &Path) -> Result<Notes, String> {
    Tool::cargo(root).args(["fmt", "--all", "--check"]).run()?;
    Ok(Notes::new())
}

pub(crate) fn clippy(root: &Path) -> Result<Notes, String> {
    Tool::cargo(root)
        .args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ])
        .run()?;
    Ok(Notes::new())
}

/// Unit and integration tests; the doc tests are a step of their own.
///
/// nextest is used where somebody has installed it, because it runs the binaries side by side;
/// nothing needs it.
pub(crate) fn tests(root: &Path) -> Result<Notes, String> {
    if Tool::cargo(root).args(["nextest", "--version"]).works() {
        return nextest::run(root);
    }
    let flags = [
        "test",
        "--workspace",
        "--locked",
        "--no-fail-fast",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
    ];
    Tool::cargo(root).args(flags).run()?;
    Ok(Notes::new())
}

/// The tests of servers that take turns, optimised: the load is more than other builds can bear.
pub(crate) fn restart(root: &Path) -> Result<Notes, String> {
    let flags = [
        "test",
        "--release",
        "--locked",
        "--package",
        "dreammesh-transport",
        "--test",
        "restart",
        "--",
        "--nocapture",
        "--test-threads=1",
    ];
    Tool::cargo(root).args(flags).run()?;
    Ok(Notes::new())
}

pub(crate) fn doc_tests(root: &Path) -> Result<Notes, String> {
    Tool::cargo(root)
        .args(["test", "--workspace", "--locked", "--no-fail-fast", "--doc"])
        .run()?;
    Ok(Notes::new())
}

pub(crate) fn rustdoc(root: &Path) -> Result<Notes, String> {
    let flags = [
        "doc",
        "--workspace",
        "--locked",
        "--no-deps",
        "--document-private-items",
    ];
    Tool::cargo(root)
        .args(flags)
        .env(
            "RUSTDOCFLAGS",
            "-D warnings -A rustdoc::private_intra_doc_links",
        )
        .run()?;
    Ok(Notes::new())
}

/// The `rust-version` that the manifests state must be the compiler that the other steps ran with.
pub(crate) fn rust_version(root: &Path) -> Result<Notes, String> {
    let manifest =
        std::fs::read_to_string(root.join("Cargo.toml")).map_err(|error| error.to_string())?;
    let manifest: toml::Table = manifest
        .parse()
        .map_err(|error| format!("Cargo.toml: {error}"))?;
    let stated = manifest["workspace"]["package"]["rust-version"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let used = Tool::new("rustc", root).args(["--version"]).read()?;
    say(format!("stated: {stated}; used: {}", used.trim()));
    if same_minor(&stated, &used) {
        Ok(Notes::new())
    } else {
        Err(format!(
            "rust-version is {stated}, but the tests ran with {}",
            used.trim()
        ))
    }
}

/// Whether `rustc --version` is a patch release of the stated `major.minor`.
fn same_minor(stated: &str, used: &str) -> bool {
    let Some(number) = used
        .strip_prefix("rustc ")
        .and_then(|rest| rest.split([' ', '-']).next())
    else {
        return false;
    };
    let minor = |version: &str| {
        version
            .split('.')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    minor(stated).len() == 2 && minor(stated) == minor(number)
}

#[cfg(test)]
mod tests {
    use super::same_minor;

    #[test]
    fn a_patch_release_is_the_same_and_another_minor_is_not() {
        assert!(same_minor("1.95", "rustc 1.95.3 (abc 2026-04-14)"));
        assert!(same_minor("1.95.0", "rustc 1.95.0-beta.1 (abc)"));
        assert!(!same_minor("1.95", "rustc 1.96.0 (abc)"));
        assert!(!same_minor("1.9", "rustc 1.95.0 (abc)"));
        assert!(!same_minor("", "rustc 1.95.0 (abc)"));
        assert!(!same_minor("1.95", "gcc 1.95.0"));
    }
}
