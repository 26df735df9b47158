//! What comes in from outside: licences, sources, banned packages and second versions, as
//! `deny.toml` states them.
//!
//! This stands in for cargo-deny, whose several hundred dependencies would take longer to build
//! than everything here; the file is in its format, so that both agree on the rules. Advisories are
//! cargo-deny's alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Finding, Repository};

const RULES: &str = "deny.toml";

/// What is read of `deny.toml`.
#[derive(Debug, Default)]
struct Rules {
    licences: BTreeSet<String>,
    registries: BTreeSet<String>,
    banned: BTreeSet<String>,
    /// Packages that may be there in more than one version.
    skipped: BTreeSet<String>,
}

/// A package from outside.
#[derive(Debug)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    source: &'a str,
    licence: &'a str,
}

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let found = match repository.text(RULES).map(rules) {
        Some(Ok(rules)) => judge(&rules, &packages(&repository.metadata)),
        Some(Err(problem)) => vec![problem],
        None => vec!["the file is not there".to_owned()],
    };
    found
        .into_iter()
        .map(|what| Finding::new(RULES, 0, what))
        .collect()
}

fn judge(rules: &Rules, packages: &[Package<'_>]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Package {
        name,
        version,
        source,
        licence,
    } in packages
    {
        versions.entry(name).or_default().insert(version);
        if rules.banned.contains(*name) {
            findings.push(format!("{name} is banned"));
        }
        if !source
            .strip_prefix("registry+")
            .is_some_and(|registry| rules.registries.contains(registry))
        {
            findings.push(format!(
                "{name} {version} comes from {source}, which is not an allowed source"
            ));
        }
        if !licence_allowed(licence, &rules.licences) {
            findings.push(format!(
                "{name} {version} is licensed `{licence}`, which is not allowed"
            ));
        }
    }
    for (name, found) in &versions {
        if found.len() > 1 && !rules.skipped.contains(*name) {
            let list: Vec<&str> = found.iter().copied().collect();
            findings.push(format!(
                "{name} is there in more than one version: {}",
                list.join(", ")
            ));
        }
    }
    for name in &rules.skipped {
        if versions
            .get(name.as_str())
            .is_none_or(|found| found.len() < 2)
        {
            findings.push(format!("the skip of {name} is needed no longer"));
        }
    }
    findings
}

fn packages(metadata: &Json) -> Vec<Package<'_>> {
    let list = metadata["packages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    list.iter()
        .filter(|package| !package["source"].is_null())
        .map(|package| Package {
            name: package["name"].as_str().unwrap_or_default(),
            version: package["version"].as_str().unwrap_or_default(),
            source: package["source"].as_str().unwrap_or_default(),
            licence: package["license"].as_str().unwrap_or_default(),
        })
        .collect()
}

/// Reads the parts of `deny.toml` that are checked here.
fn rules(text: &str) -> Result<Rules, String> {
    let table: Table = text.parse().map_err(|error| format!("not TOML: {error}"))?;
    let list = |section: &str, key: &str| -> Vec<Value> {
        let found = table
            .get(section)
            .and_then(|section| section.get(key))
            .and_then(Value::as_array);
        found.cloned().unwrap_or_default()
    };
    let strings = |section: &str, key: &str| -> BTreeSet<String> {
        list(section, key)
            .iter()
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect()
    };
    let crates = |key: &str| -> BTreeSet<String> {
        let names = list("bans", key)
            .into_iter()
            .filter_map(|value| value.get("crate")?.as_str().map(str::to_owned));
        // A version may follow the name, `syn@2`; the rule here is by name.
        names
            .map(|name| name.split('@').next().unwrap_or_default().to_owned())
            .collect()
    };
    if let Some(skip) = list("bans", "skip")
        .iter()
        .find(|skip| skip.get("reason").is_none())
    {
        return Err(format!("a skip says why, in `reason`: {skip:?}"));
    }
    Ok(Rules {
        licences: strings("licenses", "allow"),
        registries: strings("sources", "allow-registry"),
        banned: crates("deny"),
        skipped: crates("skip"),
    })
}

/// Whether the SPDX expression can be met with allowed licences alone.
///
/// `OR` binds weaker than `AND`; the old `/` means `OR`. Parentheses are taken apart from the
/// inside.
fn licence_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let mut expression = expression.replace('/', " OR ");
    while let Some(close) = expression.find(')') {
        let Some(open) = expression[..close].rfind('(') else {
            return false;
        };
        let inner = licence_allowed(&expression[open + 1..close], allowed);
        expression.replace_range(open..=close, if inner { "@yes" } else { "@no" });
    }
    let met = |name: &str| name == "@yes" || allowed.contains(name);
    expression
        .split(" OR ")
        .any(|side| side.split(" AND ").all(|name| met(name.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[licenses]\nallow = [\"MIT\", \"ISC\"]\n[sources]\nallow-registry = [\"https://r\"]\n\
        [bans]\ndeny = [{ crate = \"openssl\" }]\nskip = [{ crate = \"syn@2\", reason = \"old macros\" }]\n";

    fn package(name: &'static str, version: &'static str) -> Package<'static> {
        Package {
            name,
            version,
            source: "registry+https://r",
            licence: "MIT",
        }
    }

    fn findings(package_list: Vec<Package<'static>>) -> usize {
        let mut list = vec![package("syn", "2.0.0"), package("syn", "3.0.0")];
        list.extend(package_list);
        judge(&rules(TEXT).unwrap(), &list).len()
    }

    #[test]
    fn each_rule_can_fail() {
        assert_eq!(findings(vec![package("bytes", "1.0.0")]), 0);
        assert_eq!(findings(vec![package("openssl", "1.0.0")]), 1);
        assert_eq!(
            findings(vec![Package {
                source: "git+https://g",
                ..package("bytes", "1.0.0")
            }]),
            1
        );
        assert_eq!(
            findings(vec![Package {
                licence: "GPL-3.0",
                ..package("bytes", "1.0.0")
            }]),
            1
        );
        assert_eq!(
            findings(vec![Package {
                licence: "",
                ..package("bytes", "1.0.0")
            }]),
            1
        );
        assert_eq!(
            findings(vec![package("bytes", "1.0.0"), package("bytes", "2.0.0")]),
            1
        );
        assert_eq!(
            judge(&rules(TEXT).unwrap(), &[package("syn", "3.0.0")]).len(),
            1,
            "a skip outlived its need"
        );
    }

    #[test]
    fn a_skip_says_why() {
        assert!(rules("[bans]\nskip = [{ crate = \"syn\" }]").is_err());
        assert_eq!(
            check(&Repository::sample(&[])).len(),
            1,
            "no deny.toml at all"
        );
    }

    #[test]
    fn licence_expressions() {
        let allowed = BTreeSet::from(["MIT".to_owned(), "ISC".to_owned()]);
        for yes in [
            "MIT",
            "GPL OR MIT",
            "MIT/Apache-2.0",
            "MIT AND ISC",
            "(GPL OR MIT) AND ISC",
        ] {
            assert!(licence_allowed(yes, &allowed), "{yes}");
        }
        for no in [
            "GPL",
            "MIT AND GPL",
            "(GPL OR X) AND MIT",
            "",
            "MIT)",
            "GPL OR (MIT AND GPL)",
        ] {
            assert!(!licence_allowed(no, &allowed), "{no}");
        }
    }
}
