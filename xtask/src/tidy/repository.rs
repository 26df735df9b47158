//! Everything that the rules look at, read once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::code::Code;
use crate::workspace::{self, Text};

/// The texts of the repository, its Rust files as tokens, and what cargo says about its packages.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) texts: Vec<Text>,
    /// The Rust files by path.
    pub(crate) codes: BTreeMap<String, Code>,
    /// Rust files that could not be read as Rust, with the reason.
    pub(crate) unreadable: Vec<(String, String)>,
    /// `cargo metadata` of the whole workspace, dependencies included.
    pub(crate) metadata: Value,
    /// Whether a link to a path outside of `texts` may be looked up; samples have no directory.
    pub(crate) root: Option<std::path::PathBuf>,
}

impl Repository {
    /// Reads the repository at `root`.
    ///
    /// # Errors
    /// When git or cargo fail.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let metadata = workspace::metadata(root, &["--locked"])?;
        let mut repository = Self::of(workspace::texts(root)?);
        repository.metadata = metadata;
        repository.root = Some(root.to_path_buf());
        Ok(repository)
    }

    /// A repository of texts alone, without metadata.
    pub(crate) fn of(texts: Vec<Text>) -> Self {
        let mut repository = Self {
            texts,
            ..Self::default()
        };
        let (tests, guarded) = repository.module_scopes();
        for file in repository.texts.iter().filter(|file| file.is_rust()) {
            let test = is_test_path(&file.path) || tests.contains(&file.path);
            match Code::parse(&file.text, test, guarded.contains(&file.path)) {
                Ok(code) => drop(repository.codes.insert(file.path.clone(), code)),
                Err(reason) => repository.unreadable.push((file.path.clone(), reason)),
            }
        }
        repository
    }

    #[cfg(test)]
    pub(crate) fn sample(files: &[(&str, &str)]) -> Self {
        Self::of(
            files
                .iter()
                .map(|(path, text)| Text::new(path, text))
                .collect(),
        )
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    }

    /// Rust files below a directory (or the one file of that path).
    pub(crate) fn codes_below<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Code)> {
        self.codes
            .iter()
            .filter(move |(file, _)| {
                *file == path
                    || file
                        .strip_prefix(path)
                        .is_some_and(|rest| rest.starts_with('/'))
            })
            .map(|(file, code)| (file.as_str(), code))
    }

    /// Files that a `#[cfg(..)] mod name;` elsewhere makes test-only, and files that it ties to a
    /// system.
    ///
    /// A module below such a file is covered too, because its path begins with the file's.
    fn module_scopes(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut tests = BTreeSet::new();
        let mut guarded = BTreeSet::new();
        for file in self.texts.iter().filter(|file| file.is_rust()) {
            let Ok(code) = Code::parse(&file.text, false, false) else {
                continue;
            };
            for window in code.tokens.windows(3) {
                let [keyword, name, end] = window else {
                    continue;
                };
                if keyword.text != "mod" || end.text != ";" || !(keyword.test || keyword.platform) {
                    continue;
                }
                for below in self.module_files(&file.path, &name.text) {
                    if keyword.test {
                        tests.insert(below.clone());
                    }
                    if keyword.platform {
                        guarded.insert(below);
                    }
                }
            }
        }
        (tests, guarded)
    }

    /// The file of the module `name` declared in `parent`, and the files of the modules below it.
    fn module_files(&self, parent: &str, name: &str) -> Vec<String> {
        let (directory, file) = parent.rsplit_once('/').unwrap_or(("", parent));
        let stem = file.trim_end_matches(".rs");
        let base = if matches!(stem, "lib" | "main" | "mod") {
            format!("{directory}/{name}")
        } else {
            format!("{directory}/{stem}/{name}")
        };
        let (own, below) = (format!("{base}.rs"), format!("{base}/"));
        let paths = self.texts.iter().map(|file| &file.path);
        paths
            .filter(|path| **path == own || path.starts_with(&below))
            .cloned()
            .collect()
    }
}

/// Whether everything in the file is test code because of where it lies.
pub(crate) fn is_test_path(path: &str) -> bool {
    path.split('/')
        .any(|part| matches!(part, "tests" | "benches" | "fuzz" | "tests.rs"))
}

/// Whether the file was written by the compiler of this repository.
pub(crate) fn is_generated(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "gen" || part == "golden")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_what_its_declaration_says() {
        let repository = Repository::sample(&[
            ("a/src/lib.rs", "#[cfg(unix)]\nmod unix;\nmod plain;"),
            ("a/src/plain.rs", "#[cfg(test)]\nmod checks;\nfn f() {}"),
            ("a/src/plain/checks.rs", "fn g() {}"),
            ("a/src/unix.rs", "fn h() {}"),
            ("a/src/unix/deep.rs", "fn i() {}"),
        ]);
        let first = |path: &str| repository.codes[path].tokens[0].clone();
        assert!(first("a/src/plain/checks.rs").test);
        assert!(!first("a/src/plain.rs").test || first("a/src/plain.rs").text == "mod");
        assert!(first("a/src/unix.rs").platform && first("a/src/unix/deep.rs").platform);
        assert!(!first("a/src/unix.rs").test);
    }
}
