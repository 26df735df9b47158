//! The programs that a person meets first, run as that person would.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::console::say;
use crate::plan::Notes;
use crate::shell::Tool;
use crate::workspace;

const HELLO: &str = "examples/hello";

/// What the example's client prints when all is well.
const GREETING: &str = "Good day, Ada";

/// Copies the smallest example out of the workspace, builds it there and lets it greet.
///
/// Inside the workspace it could lean on the workspace's lints, lock file or features unnoticed.
pub(crate) fn hello(root: &Path) -> Result<Notes, String> {
    let copy = std::env::temp_dir().join(format!("dreammesh-hello-{}", std::process::id()));
    let result = copy_out(root, &copy).and_then(|()| greet(root, &copy));
    // A copy that is left behind harms nobody, so a failure to remove it is no finding.
    let _ = std::fs::remove_dir_all(&copy);
    result.map(|()| Notes::new())
}

fn copy_out(root: &Path, copy: &Path) -> Result<(), String> {
    let texts = workspace::texts(root)?;
    for file in texts
        .into_iter()
        .filter(|file| file.path.starts_with(HELLO))
    {
        let text = match file.name() {
            "Cargo.toml" => absolute(&file.text, root),
            _ => file.text,
        };
        let below = file.path.trim_start_matches(HELLO).trim_start_matches('/');
        write(&copy.join(below), &text)?;
    }
    say(format!("{HELLO} copied to {}", copy.display()));
    Ok(())
}

/// The manifest with its `path = "../../x"` dependencies made absolute.
fn absolute(manifest: &str, root: &Path) -> String {
    manifest.replace("\"../../", &format!("\"{}/", root.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let at = |error: std::io::Error| format!("{}: {error}", path.display());
    let parent: PathBuf = path.parent().map(Path::to_path_buf).unwrap_or_default();
    std::fs::create_dir_all(parent).map_err(at)?;
    std::fs::write(path, text).map_err(at)
}

/// Starts the server on a port that the kernel chooses and makes one call to it.
fn greet(root: &Path, copy: &Path) -> Result<(), String> {
    // The newcomer has a target directory of their own; ours is kept, so that only changes build.
    let target = root.join("target/newcomer");
    Tool::cargo(copy)
        .args(["build", "--bins"])
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", "-D warnings")
        .run()?;
    let program = |name: &str| target.join("debug").join(name);
    let mut server = Running(
        Command::new(program("server"))
            .arg("dreammesh+tcp://127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the server does not start: {error}"))?,
    );
    let mut address = String::new();
    let output = server.0.stdout.take().ok_or("the server has no output")?;
    BufReader::new(output)
        .read_line(&mut address)
        .map_err(|error| error.to_string())?;
    let answer = Tool::new(program("client"), copy)
        .args([address.trim()])
        .read()?;
    say(format!("{} answered: {}", address.trim(), answer.trim()));
    if answer.trim() == GREETING {
        Ok(())
    } else {
        Err(format!("expected `{GREETING}`"))
    }
}

/// A program that ends when this is dropped, however the step ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is what was wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program that the README names first; it judges itself and says so by its exit status.
pub(crate) fn quickstart(root: &Path) -> Result<Notes, String> {
    Tool::cargo(root)
        .args(["run", "--release", "--locked", "--bin", "quickstart"])
        .run()?;
    Ok(Notes::new())
}

/// What an agent takes, held to its bars; those on times need a machine on which nothing else runs.
pub(crate) fn agent(root: &Path) -> Result<Notes, String> {
    let arguments = "run --release --locked --package dreammesh-agent-bars";
    Tool::cargo(root)
        .args(arguments.split(' '))
        .args([
            "--", "--busy", "--quiet", "10", "--phase", "5", "many", "calls", "first",
        ])
        .run()?;
    Ok(Notes::new())
}

/// The benchmark for a moment: its figures mean nothing then, but every system in it must answer.
pub(crate) fn compare(root: &Path) -> Result<Notes, String> {
    let arguments = "run --release --locked --package dreammesh-benches --bin compare";
    Tool::cargo(root)
        .args(arguments.split(' '))
        .args(["--", "--quick", "--only", "one-core"])
        .args(["--out", "target/compare-quick"])
        .run()?;
    Ok(Notes::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_manifest_still_finds_the_workspace() {
        let manifest = "dreammesh = { path = \"../../dreammesh\" }\nother = { path = \"deep\" }";
        let copied = absolute(manifest, Path::new("/r"));
        assert_eq!(
            copied,
            "dreammesh = { path = \"/r/dreammesh\" }\nother = { path = \"deep\" }"
        );
    }
}
