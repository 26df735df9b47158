//! Counting the instructions of the hot paths, and holding them against a baseline.
//!
//! A count does not change with what else the machine does, so a regression of one per cent shows
//! in one run. What it does not show is waiting: for memory, for stores, for a mispredicted jump.

mod baseline;
mod callgrind;

use std::path::{Path, PathBuf};

use baseline::{Baseline, Verdict};
use callgrind::Callgrind;

use crate::console::say;
use crate::shell::Tool;
use crate::workspace;

/// The counts that are held to, beside the parts that they are counts of.
const BASELINE: &str = "benches/parts/baseline.toml";

/// How often the things that are counted happen, at least: what is done once must not weigh.
const TIMES: u64 = 1000;

/// A body of many things, or a long one, still runs this often.
const RUNS_MIN: u64 = 10;

/// Counts every part; `Ok(false)` when one needs more instructions than the baseline allows.
///
/// # Errors
/// When something cannot be built, counted, read or written.
pub(crate) fn run(root: &Path, bless: bool) -> Result<bool, String> {
    let callgrind = Callgrind::find(root)?;
    let counts = count(root, &callgrind)?;
    let counted = Baseline {
        by: counted_by(root, &callgrind)?,
        instructions: counts,
    };
    let path = root.join(BASELINE);
    if bless {
        std::fs::write(&path, counted.to_text()).map_err(|error| format!("{BASELINE}: {error}"))?;
        say(format!(
            "{BASELINE} now holds {} counts",
            counted.instructions.len()
        ));
        return Ok(true);
    }
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{BASELINE}: {error}"))?;
    let held = Baseline::parse(&text).map_err(|error| format!("{BASELINE}: {error}"))?;
    Ok(judge(&held, &counted))
}

/// Says what moved; whether nothing got worse that can be compared.
fn judge(held: &Baseline, counted: &Baseline) -> bool {
    let differences = held.compare(counted);
    for difference in &differences {
        say(difference.line());
    }
    let count = |wanted: Verdict| {
        let same = differences.iter().filter(|found| found.verdict == wanted);
        same.count()
    };
    let (worse, better) = (count(Verdict::Worse), count(Verdict::Better));
    let unknown = count(Verdict::New) + count(Verdict::Gone);
    say(format!(
        "{} parts: {worse} worse, {better} better, {unknown} new or gone; what moves by up to {} is held to be the same",
        differences.len(),
        baseline::TOLERANCE
    ));
    if held.by != counted.by {
        say("NOTICE: the baseline was counted by other tools, so nothing is judged by it:");
        for (name, other) in &held.by {
            let own = counted.by.get(name).map_or("nothing", String::as_str);
            if own != other {
                say(format!("  {name}: {other} then, {own} now"));
            }
        }
        return true;
    }
    if better + unknown > 0 {
        say("`cargo xtask perf --bless` makes these counts the baseline");
    }
    worse + unknown == 0
}

/// Builds the program that runs the parts, and counts each of them.
fn count(root: &Path, callgrind: &Callgrind) -> Result<Vec<(String, f64)>, String> {
    let arguments = "build --release --locked --package dreammesh-parts --bin count";
    Tool::cargo(root).args(arguments.split(' ')).run()?;
    let target = target(root)?;
    let program = target.join("release/count");
    let mut counts = Vec::new();
    for line in Tool::new(&program, root).read()?.lines() {
        let (times, name) = line.split_once('\t').ok_or("count prints another list")?;
        let times: u64 = times.parse().map_err(|_| "count prints another list")?;
        let runs = (TIMES / times.max(1)).max(RUNS_MIN);
        let instructions = callgrind.count(&program, name, runs)?;
        counts.push((name.to_owned(), instructions as f64 / (runs * times) as f64));
    }
    Ok(counts)
}

fn target(root: &Path) -> Result<PathBuf, String> {
    let metadata = workspace::metadata(root, &["--no-deps", "--locked"])?;
    let target = metadata["target_directory"].as_str();
    target
        .map(PathBuf::from)
        .ok_or_else(|| "cargo metadata names no target directory".to_owned())
}

/// Everything that decides how many instructions the same code has.
fn counted_by(root: &Path, callgrind: &Callgrind) -> Result<baseline::Tools, String> {
    let verbose = Tool::new("rustc", root).args(["-vV"]).read()?;
    let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
    let libc = Tool::new("getconf", root).args(["GNU_LIBC_VERSION"]).read();
    let tools = [
        (
            "compiler",
            verbose.lines().next().unwrap_or_default().to_owned(),
        ),
        ("target", host.unwrap_or_default().to_owned()),
        ("valgrind", callgrind.version()?),
        // Copying and clearing memory is the C library's.
        ("libc", libc.unwrap_or_else(|_| "unknown".to_owned())),
    ];
    let tools = tools.into_iter();
    Ok(tools
        .map(|(name, version)| (name.to_owned(), version.trim().to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(compiler: &str, archive: f64) -> Baseline {
        Baseline {
            by: [("compiler".to_owned(), compiler.to_owned())].into(),
            instructions: vec![("archive".to_owned(), archive)],
        }
    }

    #[test]
    fn one_regression_fails_the_run_unless_the_tools_are_others() {
        let held = sample("one", 1000.0);
        assert!(judge(&held, &sample("one", 1000.0)));
        assert!(judge(&held, &sample("one", 1010.0)));
        assert!(judge(&held, &sample("one", 900.0)));
        assert!(!judge(&held, &sample("one", 1011.0)));
        assert!(judge(&held, &sample("another", 2000.0)));
    }

    #[test]
    fn a_part_that_has_no_count_yet_fails_the_run() {
        let mut more = sample("one", 1000.0);
        more.instructions.push(("read".to_owned(), 5.0));
        assert!(!judge(&sample("one", 1000.0), &more));
        assert!(!judge(&more, &sample("one", 1000.0)));
    }
}
