//! The front door must build with every feature on its own, with none and with all.

use std::path::Path;

use crate::console::say;
use crate::plan::Notes;
use crate::shell::Tool;
use crate::workspace;

/// The packages whose features users choose from.
const WITH_FEATURES: [&str; 4] = [
    "dreammesh",
    "dreammesh-transport",
    "dreammesh-core",
    "dreammesh-wire",
];

pub(crate) fn run(root: &Path) -> Result<Notes, String> {
    let metadata = workspace::metadata(root, &["--no-deps"])?;
    for package in WITH_FEATURES {
        let features = features_of(&metadata, package)?;
        say(format!("{package}: {}", features.join(", ")));
        for set in sets(&features) {
            let joined = set.join(",");
            Tool::cargo(root)
                .args([
                    "clippy",
                    "--quiet",
                    "--locked",
                    "--package",
                    package,
                    "--no-default-features",
                ])
                .args(["--features", &joined, "--", "-D", "warnings"])
                .run()?;
        }
    }
    Ok(Notes::new())
}

fn features_of(metadata: &serde_json::Value, package: &str) -> Result<Vec<String>, String> {
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata names no packages")?;
    let found = packages
        .iter()
        .find(|candidate| candidate["name"] == package);
    let found = found.ok_or_else(|| format!("the workspace has no package {package}"))?;
    let features = found["features"]
        .as_object()
        .ok_or("cargo metadata names no features")?;
    Ok(features
        .keys()
        .filter(|name| *name != "default")
        .cloned()
        .collect())
}

/// None, each one alone, each one left out, and all: what additive features can break shows in
/// these.
fn sets(features: &[String]) -> Vec<Vec<String>> {
    let mut sets = vec![Vec::new(), features.to_vec()];
    for feature in features {
        sets.push(vec![feature.clone()]);
        sets.push(
            features
                .iter()
                .filter(|other| *other != feature)
                .cloned()
                .collect(),
        );
    }
    sets.sort();
    sets.dedup();
    sets
}

#[cfg(test)]
mod tests {
    use super::sets;

    #[test]
    fn three_features_make_eight_sets() {
        let features = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(sets(&features).len(), 8);
        assert_eq!(sets(&features[..1]), [vec![], vec!["a".to_owned()]]);
        assert_eq!(sets(&[]), [Vec::<String>::new()]);
    }
}
