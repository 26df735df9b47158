//! Which room may depend on which.

use serde_json::Value;

use super::{Finding, Repository};

/// What each package of ours may depend on.
///
/// A package that is not named here has yet to be given its place.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("dreammesh-wire", &[]),
    ("dreammesh-core", &["dreammesh-wire"]),
    ("dreammesh-services", &["dreammesh-core"]),
    ("dreammesh-codegen", &[]),
    ("dreammesh-session", &["dreammesh-core"]),
    (
        "dreammesh-transport",
        &["dreammesh-core", "dreammesh-services", "dreammesh-session"],
    ),
    ("dreammesh-agent-api", &["dreammesh-core"]),
    (
        "dreammesh-agent",
        &[
            "dreammesh-core",
            "dreammesh-services",
            "dreammesh-session",
            "dreammesh-transport",
            "dreammesh-agent-api",
        ],
    ),
    (
        "dreammesh",
        &[
            "dreammesh-core",
            "dreammesh-services",
            "dreammesh-session",
            "dreammesh-transport",
            "dreammesh-agent-api",
        ],
    ),
    ("dreammesh-cli", &["*"]),
];

/// Directories whose packages measure, show or check, and so may depend on anything but the daemon.
const FREE: [&str; 4] = ["benches/", "examples/", "xtask/", "/tests/"];

/// The daemon, on which nothing but the command line program may depend.
const DAEMON: &str = "dreammesh-agent";

/// One package of ours and the packages of ours that it depends on.
#[derive(Debug)]
struct Member {
    name: String,
    manifest: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    kind: Option<String>,
}

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    members(&repository.metadata)
        .iter()
        .flat_map(judge)
        .collect()
}

fn judge(member: &Member) -> Vec<Finding> {
    let rule = ALLOWED
        .iter()
        .find(|(name, _)| *name == member.name)
        .map(|(_, allowed)| *allowed);
    let free = FREE
        .iter()
        .any(|directory| member.manifest.contains(directory));
    if rule.is_none() && !free {
        return vec![Finding::new(
            &member.manifest,
            0,
            format!("{} has no place in the table of rooms", member.name),
        )];
    }
    let allowed = |dependency: &Dependency| match (rule, dependency.kind.as_deref()) {
        (Some(&["*"]), _) => true,
        _ if dependency.name == DAEMON => false,
        (None, _) => true,
        // Tests may reach across the house, except for the compiler's, which is proven on its own.
        (_, Some("dev")) => true,
        (_, Some("build")) => dependency.name == "dreammesh-codegen",
        (Some(names), _) => names.contains(&dependency.name.as_str()),
    };
    let broken = member
        .dependencies
        .iter()
        .filter(|dependency| !allowed(dependency));
    broken
        .map(|dependency| {
            let kind = dependency
                .kind
                .as_deref()
                .map_or(String::new(), |kind| format!("{kind}-"));
            Finding::new(
                &member.manifest,
                0,
                format!(
                    "{} may not {kind}depend on {}",
                    member.name, dependency.name
                ),
            )
        })
        .collect()
}

fn members(metadata: &Value) -> Vec<Member> {
    let empty = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    // Only packages of this workspace come from a path, and so have no source.
    let ours = || {
        packages
            .iter()
            .filter(|package| package["source"].is_null())
    };
    let names: Vec<&str> = ours()
        .filter_map(|package| package["name"].as_str())
        .collect();
    ours()
        .map(|package| {
            let list = package["dependencies"].as_array().unwrap_or(&empty);
            Member {
                name: package["name"].as_str().unwrap_or_default().to_owned(),
                manifest: relative(package["manifest_path"].as_str().unwrap_or_default(), root),
                dependencies: list
                    .iter()
                    .filter(|dependency| names.iter().any(|name| dependency["name"] == **name))
                    .map(|dependency| Dependency {
                        name: dependency["name"].as_str().unwrap_or_default().to_owned(),
                        kind: dependency["kind"].as_str().map(str::to_owned),
                    })
                    .collect(),
            }
        })
        .collect()
}

fn relative(path: &str, root: &str) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .trim_start_matches('/')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The findings for one package that depends on another.
    fn findings(name: &str, manifest: &str, on: &str, kind: Option<&str>) -> usize {
        let metadata = json!({
            "workspace_root": "/r",
            "packages": [
                {
                    "name": name, "source": null, "manifest_path": format!("/r/{manifest}/Cargo.toml"),
                    "dependencies": [{"name": on, "kind": kind}, {"name": "bytes", "kind": null}],
                },
                {"name": on, "source": null, "manifest_path": "/r/examples/x/Cargo.toml", "dependencies": []},
            ],
        });
        judge(&members(&metadata)[0]).len()
    }

    #[test]
    fn the_table_holds() {
        assert_eq!(
            findings("dreammesh-core", "rpc-core", "dreammesh-wire", None),
            0
        );
        assert_eq!(
            findings("dreammesh-wire", "rpc-core/wire", "dreammesh-core", None),
            1
        );
        assert_eq!(
            findings("dreammesh-core", "rpc-core", "dreammesh-transport", None),
            1
        );
        assert_eq!(
            findings(
                "dreammesh-core",
                "rpc-core",
                "dreammesh-transport",
                Some("dev")
            ),
            0
        );
        assert_eq!(
            findings(
                "dreammesh-agent-api",
                "mesh-agent/api",
                "dreammesh-codegen",
                Some("build")
            ),
            0
        );
        assert_eq!(
            findings(
                "dreammesh-core",
                "rpc-core",
                "dreammesh-transport",
                Some("build")
            ),
            1
        );
    }

    #[test]
    fn nothing_but_the_command_line_depends_on_the_daemon() {
        assert_eq!(
            findings("dreammesh", "dreammesh", "dreammesh-agent", None),
            1
        );
        assert_eq!(
            findings("dreammesh", "dreammesh", "dreammesh-agent", Some("dev")),
            1
        );
        assert_eq!(
            findings("shop", "examples/shop", "dreammesh-agent", None),
            1
        );
        assert_eq!(findings("dreammesh-cli", "cli", "dreammesh-agent", None), 0);
    }

    #[test]
    fn a_package_without_a_place_is_a_finding() {
        assert_eq!(
            findings("dreammesh-extra", "extra", "dreammesh-wire", None),
            1
        );
        assert_eq!(findings("load", "benches/load", "dreammesh-wire", None), 0);
        assert_eq!(
            findings("golden", "rpc-codegen/tests/golden", "dreammesh-core", None),
            0
        );
    }
}
