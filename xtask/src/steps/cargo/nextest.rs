//! The tests by nextest, with what failed named again at the end.

use std::collections::BTreeMap;
use std::path::Path;

use crate::plan::{Note, Notes};
use crate::shell::Tool;

/// Runs all tests of the workspace, those that fail twice.
///
/// Many tests run beside each other on a machine that does other things too, and one that fails
/// once in a thousand runs is to be found and mended, not to stop what has nothing to do with it:
/// it is named in the summary. More of them than [`FLAKY_MAX`] in one run are a failure.
pub(super) fn run(root: &Path) -> Result<Notes, String> {
    let flags = [
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--no-fail-fast",
        "--retries",
        "1",
        "--status-level",
        "slow",
    ];
    let mut report = Report::default();
    let ran = Tool::cargo(root)
        .args(flags)
        .run_looking(|line| report.note(line));
    ran.map_err(|problem| format!("{problem}{}", report.text(false)))?;
    match report.tests.len() {
        0 => Ok(Notes::new()),
        1..=FLAKY_MAX => Ok(vec![Note::Flaky(report.text(true))]),
        _ => Err(format!(
            "more than {FLAKY_MAX} tests passed only when they were repeated{}",
            report.text(true)
        )),
    }
}

/// What nextest has said of the tests that did not pass at first.
#[derive(Default)]
struct Report {
    /// By their names with their binaries.
    tests: BTreeMap<String, Failed>,
    /// The one that what is said now is of.
    current: Option<String>,
}

#[derive(Default)]
struct Failed {
    /// Whether it passed when it was repeated.
    is_flaky: bool,
    /// What it panicked with.
    panic: Vec<String>,
}

impl Report {
    /// Takes in one line of what nextest writes.
    fn note(&mut self, line: &str) {
        if let Some((passed, test)) = verdict(line) {
            let failed = self.tests.entry(test.to_owned()).or_default();
            failed.is_flaky = passed;
            self.current = Some(test.to_owned());
            return;
        }
        let Some(failed) = self.current.as_ref().and_then(|it| self.tests.get_mut(it)) else {
            return;
        };
        let is_more = (1..PANIC_LINES).contains(&failed.panic.len());
        if line.contains("panicked at ") && failed.panic.is_empty() || is_more {
            failed.panic.push(line.trim().to_owned());
        }
    }

    /// The tests that ended so, with what they panicked with; one line.
    fn text(&self, is_flaky: bool) -> String {
        let tests = self.tests.iter();
        let tests = tests.filter(|(_, failed)| failed.is_flaky == is_flaky);
        let texts = tests.map(|(test, failed)| format!("; {test}: {}", failed.panic.join(" ")));
        texts.collect()
    }
}

/// Whether a test that is tried more than once has passed, if that is what nextest says here, and
/// which it is.
fn verdict(line: &str) -> Option<(bool, &str)> {
    let (number, rest) = line.trim_start().strip_prefix("TRY ")?.split_once(' ')?;
    let (verdict, rest) = rest.split_once(" [")?;
    let (_, test) = rest.split_once("] ")?;
    // Which of how many it was stands before its name.
    let test = match test.trim_start().strip_prefix('(') {
        Some(numbered) => numbered.split_once(") ")?.1,
        None => test,
    };
    let said = number.parse::<u32>().is_ok() && verdict.trim() != "SLOW";
    said.then(|| (verdict.trim() == "PASS", test.trim()))
}

/// How many tests may pass only when they are repeated.
const FLAKY_MAX: usize = 2;
/// How many lines of what a test panicked with are repeated: where it was, and two more.
const PANIC_LINES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// Of nextest 0.9.143, of three tests, two of which fail always.
    const WRITTEN: &str = "\
    Starting 4 tests across 1 binary
  TRY 1 ABRT [   0.004s] (───) made::up aborts
  stdout ───
    (test aborted with signal 6: SIGABRT)
  TRY 1 FAIL [   0.067s] (───) made::up fails_once
  stderr ───
    thread 'fails_once' (15217) panicked at src/lib.rs:1:112:
    assertion `left == right` failed
      left: 1
     right: 2
  TRY 2 ABRT [   0.004s] (1/4) made::up aborts
  TRY 2 PASS [   0.004s] (2/4) made::up fails_once
  TRY 1 SLOW [> 60.00s] (───) made::up is_slow
        SLOW [> 60.00s] (───) made::up is_slow_too
     Summary [   0.130s] 3 tests run: 2 passed (1 flaky), 1 failed, 0 skipped
   FLAKY 2/2 [   0.004s] (2/4) made::up fails_once
  TRY 2 ABRT [   0.004s] (1/4) made::up aborts
error: test run failed";

    #[test]
    fn those_that_failed_are_told_from_those_that_passed_when_repeated() {
        let mut report = Report::default();
        WRITTEN.lines().for_each(|line| report.note(line));
        assert_eq!(report.text(false), "; made::up aborts: ");
        assert_eq!(
            report.text(true),
            "; made::up fails_once: thread 'fails_once' (15217) panicked at src/lib.rs:1:112: \
             assertion `left == right` failed left: 1"
        );
    }
}
