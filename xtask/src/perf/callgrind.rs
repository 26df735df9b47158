//! Running callgrind, and fetching it where there is none.

use std::path::{Path, PathBuf};

use crate::console::say;
use crate::shell::Tool;

/// Valgrind, and where it keeps its tools if that is not where it was built to look.
#[derive(Debug)]
pub(crate) struct Callgrind {
    program: PathBuf,
    tools: Option<PathBuf>,
    /// Where its reports go, which is also where it runs.
    home: PathBuf,
}

/// The function of the counting program whose instructions count.
const MEASURED: &str = "*measured*";

impl Callgrind {
    /// Finds valgrind; Debian's package is unpacked below `target/` if none is installed.
    ///
    /// # Errors
    /// When there is none and none can be had.
    pub(crate) fn find(root: &Path) -> Result<Self, String> {
        let home = root.join("target/perf");
        std::fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let installed = Self {
            program: "valgrind".into(),
            tools: None,
            home: home.clone(),
        };
        if installed.version().is_ok() {
            return Ok(installed);
        }
        let unpacked = Self {
            program: home.join("debian/usr/bin/valgrind"),
            tools: Some(home.join("debian/usr/libexec/valgrind")),
            home,
        };
        if !unpacked.program.is_file() {
            unpacked.fetch()?;
        }
        unpacked.version()?;
        Ok(unpacked)
    }

    /// Unpacks Debian's package instead of installing it, which needs no rights.
    fn fetch(&self) -> Result<(), String> {
        say("fetching Debian's valgrind (unpacked below target/, not installed)");
        let download = || {
            Tool::new("apt-get", &self.home)
                .args(["download", "valgrind"])
                .run()
        };
        if download().is_err() {
            // A new machine has no package lists yet.
            Tool::new("apt-get", &self.home)
                .args(["update", "-q"])
                .run()?;
            download().map_err(|problem| format!("valgrind is needed to count: {problem}"))?;
        }
        let entries = std::fs::read_dir(&self.home).map_err(|error| error.to_string())?;
        let archive = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or("apt-get download left no package")?;
        Tool::new("dpkg-deb", &self.home)
            .args(["-x"])
            .args([&archive])
            .args(["debian"])
            .run()
    }

    /// What valgrind says it is.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) fn version(&self) -> Result<String, String> {
        self.tool().args(["--version"]).read()
    }

    /// The instructions of so many runs of a part.
    ///
    /// # Errors
    /// When the part does not run, or nothing was counted.
    pub(crate) fn count(&self, program: &Path, part: &str, runs: u64) -> Result<u64, String> {
        let report = self.home.join("callgrind.out");
        let _ = std::fs::remove_file(&report);
        self.tool()
            .args(["--tool=callgrind", "--quiet"])
            .args([format!("--callgrind-out-file={}", report.display())])
            .args([format!("--toggle-collect={MEASURED}")])
            .args([program])
            .args([part, &runs.to_string()])
            .read()?;
        let text = std::fs::read_to_string(&report)
            .map_err(|error| format!("{}: {error}", report.display()))?;
        match total(&text) {
            Some(count) if count > 0 => Ok(count),
            _ => Err(format!("callgrind counted nothing in `{part}`")),
        }
    }

    /// The environment lies on the program's stack, so the program is given next to none.
    fn tool(&self) -> Tool {
        let tool = Tool::new(&self.program, &self.home).only_env("PATH");
        match &self.tools {
            Some(tools) => tool.env("VALGRIND_LIB", tools),
            None => tool,
        }
    }
}

/// The instructions that a report says were counted.
fn total(report: &str) -> Option<u64> {
    let mut lines = report.lines();
    lines.find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_report_is_found() {
        let report = "# callgrind format\nversion: 1\nevents: Ir\nsummary: 350024\n\nfn=(1) x\n";
        assert_eq!(total(report), Some(350_024));
        assert_eq!(total("events: Ir\n"), None);
    }
}
