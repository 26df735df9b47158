//! What the workspace is made of, as cargo and the file system tell it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::shell::Tool;

/// The directory that holds the workspace's `Cargo.toml`.
///
/// Asked at run time first: a target directory may be shared by checkouts in several places.
pub(crate) fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest)
        .parent()
        .expect("xtask is a member and so lies one level below the workspace's root")
        .to_path_buf()
}

/// `cargo metadata` of the manifest in `directory`.
///
/// # Errors
/// When cargo fails or prints something that is not JSON.
pub(crate) fn metadata(directory: &Path, flags: &[&str]) -> Result<Value, String> {
    let text = Tool::cargo(directory)
        .args(["metadata", "--format-version", "1"])
        .args(flags)
        .read()?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata is not JSON: {error}"))
}

/// A text file of the repository.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// The path from the root, with `/` between its parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Text {
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The file's name without its directories.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Every file that git tracks, or would track, and that is UTF-8 text.
///
/// # Errors
/// When git cannot list the files.
pub(crate) fn texts(root: &Path) -> Result<Vec<Text>, String> {
    let list = Tool::new("git", root)
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .read()?;
    let mut texts: Vec<Text> = list
        .split('\0')
        .filter(|path| !path.is_empty())
        .filter_map(|path| {
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            Some(Text {
                path: path.to_owned(),
                text,
            })
        })
        .collect();
    texts.sort_by(|a, b| a.path.cmp(&b.path));
    texts.dedup_by(|a, b| a.path == b.path);
    Ok(texts)
}
