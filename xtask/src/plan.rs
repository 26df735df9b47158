//! Running the steps one after the other, timing them, and saying how each ended.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::arguments::TestOptions;
use crate::console::{heading, say};

/// One thing that `cargo xtask test` checks.
pub(crate) struct Step {
    /// A short name, for `--only` and the summary.
    pub(crate) name: &'static str,
    /// What the step shows when it passes, one line.
    pub(crate) shows: &'static str,
    /// Whether the step needs no network and little time, so that `--quick` runs it too.
    pub(crate) quick: bool,
    /// The check itself.
    pub(crate) check: Check,
}

/// A check: an error says in one line what failed; notes are what the summary must repeat of one
/// that passed.
pub(crate) type Check = Box<dyn Fn(&Path) -> Result<Notes, String>>;

/// What there is to be known of a step that passed.
pub(crate) type Notes = Vec<Note>;

/// One line each.
#[derive(Clone)]
pub(crate) enum Note {
    /// It could not be checked on this machine.
    NotChecked(String),
    /// It failed, and passed when it was repeated.
    Flaky(String),
}

struct Outcome {
    name: &'static str,
    took: Duration,
    result: Result<Notes, String>,
}

/// Runs the chosen steps; `true` when every one of them passed.
///
/// A failed step does not stop the run: one run is to show everything that is wrong.
pub(crate) fn run(steps: &[Step], root: &Path, options: &TestOptions) -> bool {
    let chosen: Vec<&Step> = steps.iter().filter(|step| chosen(step, options)).collect();
    if options.list {
        for step in &chosen {
            say(format!("{:<14} {}", step.name, step.shows));
        }
        return true;
    }
    let mut outcomes = Vec::with_capacity(chosen.len());
    for (index, step) in chosen.iter().enumerate() {
        heading(&format!(
            "[{}/{}] {}: {}",
            index + 1,
            chosen.len(),
            step.name,
            step.shows
        ));
        let begun = now();
        let result = (step.check)(root);
        let took = begun.elapsed();
        match &result {
            Ok(_) => say(format!("---- {} passed in {}", step.name, seconds(took))),
            Err(problem) => say(format!(
                "---- {} FAILED after {}: {problem}",
                step.name,
                seconds(took)
            )),
        }
        outcomes.push(Outcome {
            name: step.name,
            took,
            result,
        });
    }
    heading("summary");
    say(summary(&outcomes));
    !outcomes.is_empty() && outcomes.iter().all(|outcome| outcome.result.is_ok())
}

fn chosen(step: &Step, options: &TestOptions) -> bool {
    (step.quick || !options.quick)
        && (options.only.is_empty()
            || options
                .only
                .iter()
                .any(|word| step.name.contains(word.as_str())))
}

/// The table at the end; its last line counts the steps in the form that test runners use.
fn summary(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let mut notes = String::new();
    for outcome in outcomes {
        let verdict = if outcome.result.is_ok() {
            "passed"
        } else {
            "FAILED"
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<14} {verdict} {:>9}",
            outcome.name,
            seconds(outcome.took)
        );
        match &outcome.result {
            Ok(of_it) => {
                for note in of_it {
                    let (word, note) = match note {
                        Note::NotChecked(note) => ("NOT CHECKED", note),
                        Note::Flaky(note) => ("FLAKY", note),
                    };
                    let _ = writeln!(notes, "{word} ({}): {note}", outcome.name);
                }
            }
            Err(problem) => {
                let _ = writeln!(notes, "FAILED ({}): {problem}", outcome.name);
            }
        }
    }
    let whole: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .count();
    let _ = write!(
        text,
        "{:<14}        {:>9}\n{notes}\n{} passed, {failed} failed",
        "all",
        seconds(whole),
        outcomes.len() - failed
    );
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "steps are timed for the person who waits; nothing is decided by it"
)]
fn now() -> Instant {
    Instant::now()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &'static str, quick: bool, result: Result<Notes, String>) -> Step {
        Step {
            name,
            shows: "a sample",
            quick,
            check: Box::new(move |_| result.clone()),
        }
    }

    fn options(quick: bool, only: &[&str]) -> TestOptions {
        let only = only.iter().map(|&word| word.to_owned()).collect();
        TestOptions {
            quick,
            list: false,
            only,
            fuzz_seconds: 1,
        }
    }

    #[test]
    fn one_failure_fails_the_run_and_the_rest_still_runs() {
        let steps = [
            step("a", true, Err("broke".to_owned())),
            step("b", true, Ok(Vec::new())),
        ];
        assert!(!run(&steps, Path::new("."), &options(false, &[])));
        assert!(run(&steps[1..], Path::new("."), &options(false, &[])));
    }

    #[test]
    fn a_run_of_nothing_fails() {
        let steps = [step("slow", false, Ok(Vec::new()))];
        assert!(!run(&steps, Path::new("."), &options(true, &[])));
        assert!(!run(&steps, Path::new("."), &options(false, &["fast"])));
    }

    #[test]
    fn the_summary_counts_and_repeats_the_notes() {
        let took = Duration::from_millis(1500);
        let text = summary(&[
            Outcome {
                name: "a",
                took,
                result: Ok(vec![
                    Note::NotChecked("no such target".to_owned()),
                    Note::Flaky("it once failed".to_owned()),
                ]),
            },
            Outcome {
                name: "b",
                took,
                result: Err("it broke".to_owned()),
            },
        ]);
        assert!(text.contains("NOT CHECKED (a): no such target"), "{text}");
        assert!(text.contains("FLAKY (a): it once failed"), "{text}");
        assert!(text.contains("FAILED (b): it broke"), "{text}");
        assert!(text.contains("3.0 s"), "{text}");
        assert!(text.ends_with("\n1 passed, 1 failed"), "{text}");
    }
}
