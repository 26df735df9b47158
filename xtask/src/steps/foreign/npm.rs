//! Packages of npm's, each file by the hash in a lock of ours.

use std::path::{Path, PathBuf};

use crate::console::say;
use crate::shell::Tool;

/// The manifest and the lock, of which the second decides what is installed.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// The directory of the modules that the lock in `from` names, for `NODE_PATH`; they are installed
/// below `home` when they are not there yet, and none of them runs a script.
///
/// # Errors
/// When there is no npm, or its registry cannot be reached.
pub(crate) fn modules(root: &Path, from: &str, home: &Path) -> Result<PathBuf, String> {
    let modules = home.join("node_modules");
    let mut wanted = Vec::new();
    for name in FILES {
        let path = root.join(from).join(name);
        wanted.push((name, super::read(&path)?));
    }
    // The marker is written last, so that one that is there says that all is.
    let installed = home.join("installed.json");
    let [_, (_, lock)] = &wanted[..] else {
        return Err(format!("{from} is not whole"));
    };
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == *lock) {
        return Ok(modules);
    }
    say(format!(
        "installing what {from} pins into {}",
        home.display()
    ));
    std::fs::create_dir_all(home).map_err(|error| format!("{}: {error}", home.display()))?;
    for (name, text) in &wanted {
        write(&home.join(name), text)?;
    }
    Tool::new("npm", home)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .run()?;
    write(&installed, lock)?;
    Ok(modules)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
