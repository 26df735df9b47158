//! Every member inherits its versions, lints and stated compiler from the workspace.

use toml::{Table, Value};

use super::{Finding, Repository};

/// Tables of a manifest that list dependencies.
const LISTS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// What each member takes over from `[workspace.package]`.
const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in repository
        .texts
        .iter()
        .filter(|file| file.name() == "Cargo.toml" && file.path != "Cargo.toml")
    {
        let manifest: Table = match file.text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::new(&file.path, 0, format!("not TOML: {error}")));
                continue;
            }
        };
        // A package with a workspace table stands alone: fuzz targets, and the example a newcomer
        // copies.
        if !manifest.contains_key("workspace") {
            findings.extend(
                member(&manifest)
                    .into_iter()
                    .map(|what| Finding::new(&file.path, 0, what)),
            );
        }
    }
    findings
}

fn member(manifest: &Table) -> Vec<String> {
    let mut findings = Vec::new();
    let inherits = |value: Option<&Value>| {
        value.and_then(|value| value.get("workspace")) == Some(&Value::Boolean(true))
    };
    if !inherits(manifest.get("lints")) {
        findings.push("a member says `[lints] workspace = true`".to_owned());
    }
    let package = manifest.get("package").and_then(Value::as_table);
    for key in INHERITED {
        if !inherits(package.and_then(|package| package.get(key))) {
            findings.push(format!("`{key}` is set once, in [workspace.package]"));
        }
    }
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables = std::iter::once(manifest).chain(
        targets
            .into_iter()
            .flatten()
            .filter_map(|(_, value)| value.as_table()),
    );
    for table in tables {
        for list in LISTS {
            for (name, value) in table
                .get(list)
                .and_then(Value::as_table)
                .into_iter()
                .flatten()
            {
                if !inherits(Some(value)) {
                    findings.push(format!(
                        "the version of {name} ({list}) belongs in [workspace.dependencies]"
                    ));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\n[lints]\nworkspace = true\n\
        [dependencies]\nbytes.workspace = true\n";

    fn findings(text: &str) -> usize {
        check(&Repository::sample(&[("a/Cargo.toml", text)])).len()
    }

    #[test]
    fn a_member_inherits() {
        assert_eq!(findings(GOOD), 0);
        assert_eq!(findings(&GOOD.replace("[lints]\nworkspace = true", "")), 1);
        assert_eq!(
            findings(&GOOD.replace("rust-version.workspace = true", "rust-version = \"1.90\"")),
            1
        );
        assert_eq!(
            findings(&GOOD.replace("bytes.workspace = true", "bytes = \"1\"")),
            1
        );
        assert_eq!(
            findings(&format!(
                "{GOOD}[target.'cfg(unix)'.dev-dependencies]\nlibc = \"1\"\n"
            )),
            1
        );
        assert_eq!(findings("[package\n"), 1);
    }

    #[test]
    fn a_package_that_stands_alone_has_its_own_versions() {
        assert_eq!(
            findings("[workspace]\n[package]\nname = \"a\"\n[dependencies]\nlibc = \"1\"\n"),
            0
        );
    }
}
