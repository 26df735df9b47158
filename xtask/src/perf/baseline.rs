//! The counts that are held to, as a file and as a comparison.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::Table;

/// What is held to be the same, for people.
pub(crate) const TOLERANCE: &str = "1 % or 2 instructions";

/// More than this share is a move. The counts repeat to well below it; a compiler that lays out
/// other code anew moves a function by less.
const TOLERANCE_SHARE: f64 = 0.01;

/// In a part of thirty instructions, one that is laid out otherwise is no finding.
const TOLERANCE_INSTRUCTIONS: f64 = 2.0;

/// Names and versions of what decides how many instructions the same code has.
pub(crate) type Tools = BTreeMap<String, String>;

/// How many instructions each part takes.
#[derive(Debug, PartialEq)]
pub(crate) struct Baseline {
    pub(crate) by: Tools,
    /// In the order in which the parts are listed.
    pub(crate) instructions: Vec<(String, f64)>,
}

/// What became of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Better,
    Worse,
    New,
    Gone,
}

/// One part, in the baseline and as counted now.
#[derive(Debug)]
pub(crate) struct Difference {
    name: String,
    held: Option<f64>,
    counted: Option<f64>,
    pub(crate) verdict: Verdict,
}

impl Baseline {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not what [`to_text`](Self::to_text) writes.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error| format!("{error}"))?;
        let tools = table.get("counted-by").and_then(|value| value.as_table());
        let by = (tools.ok_or("there is no table `counted-by`")?.iter())
            .map(|(name, version)| Some((name.clone(), version.as_str()?.to_owned())))
            .collect::<Option<_>>()
            .ok_or("a version is text")?;
        let counts = table.get("instructions").and_then(|value| value.as_table());
        let instructions = (counts.ok_or("there is no table `instructions`")?.iter())
            .map(|(name, count)| Some((name.clone(), count.as_float()?)))
            .collect::<Option<_>>()
            .ok_or("a count is a number with a point")?;
        Ok(Self { by, instructions })
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = String::from(
            "# Instructions that each part takes, once; `cargo xtask perf --bless` writes this file.\n\n\
             [counted-by]\n",
        );
        // Writing to a String cannot fail.
        for (name, version) in &self.by {
            let _ = writeln!(text, "{name} = {version:?}");
        }
        text.push_str("\n[instructions]\n");
        for (name, count) in &self.instructions {
            let _ = writeln!(text, "{name:?} = {count:.1}");
        }
        text
    }

    /// Every part of either, in the order of `counted`; those that are gone come last.
    pub(crate) fn compare(&self, counted: &Self) -> Vec<Difference> {
        let find = |counts: &[(String, f64)], name: &str| {
            let found = counts.iter().find(|(other, _)| other == name);
            found.map(|(_, count)| *count)
        };
        let gone = (self.instructions.iter())
            .filter(|(name, _)| find(&counted.instructions, name).is_none());
        (counted.instructions.iter().chain(gone))
            .map(|(name, _)| {
                let held = find(&self.instructions, name);
                let counted = find(&counted.instructions, name);
                Difference {
                    name: name.clone(),
                    held,
                    counted,
                    verdict: verdict(held, counted),
                }
            })
            .collect()
    }
}

fn verdict(held: Option<f64>, counted: Option<f64>) -> Verdict {
    match (held, counted) {
        (None, _) => Verdict::New,
        (_, None) => Verdict::Gone,
        (Some(held), Some(counted)) => {
            let allowed = (held * TOLERANCE_SHARE).max(TOLERANCE_INSTRUCTIONS);
            // The file holds one digit behind the point.
            let moved = counted - held;
            if moved > allowed + 0.1 {
                Verdict::Worse
            } else if moved < -allowed - 0.1 {
                Verdict::Better
            } else {
                Verdict::Same
            }
        }
    }
}

impl Difference {
    /// A line of the table.
    pub(crate) fn line(&self) -> String {
        let number = |count: Option<f64>| {
            count.map_or_else(|| "-".to_owned(), |count| format!("{count:.1}"))
        };
        let change = match (self.held, self.counted) {
            (Some(held), Some(counted)) => format!("{:+.2} %", (counted / held - 1.0) * 100.0),
            _ => String::new(),
        };
        let word = match self.verdict {
            Verdict::Same => "",
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
            Verdict::New => "NEW",
            Verdict::Gone => "GONE",
        };
        let line = format!(
            "{:<44} {:>12} {:>12} {change:>10} {word}",
            self.name,
            number(self.held),
            number(self.counted)
        );
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let baseline = Baseline {
            by: [("compiler".to_owned(), "rustc 1.0 (\"x\")".to_owned())].into(),
            instructions: vec![("b: 64B".to_owned(), 297.5), ("a".to_owned(), 12.0)],
        };
        let read = Baseline::parse(&baseline.to_text()).unwrap();
        assert_eq!(read.by, baseline.by);
        let mut sorted = baseline.instructions;
        sorted.sort_by(|left, right| left.0.cmp(&right.0));
        let mut found = read.instructions;
        found.sort_by(|left, right| left.0.cmp(&right.0));
        assert_eq!(found, sorted);
        for bad in [
            "",
            "[counted-by]\n",
            "[instructions]\na = 1.0\n",
            "[counted-by]\n[instructions]\na = \"1\"\n",
        ] {
            assert!(Baseline::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_move_counts_from_just_beyond_the_tolerance() {
        let of = |held: f64, counted: f64| verdict(Some(held), Some(counted));
        assert_eq!(of(1000.0, 1010.0), Verdict::Same);
        assert_eq!(of(1000.0, 1010.2), Verdict::Worse);
        assert_eq!(of(1000.0, 990.0), Verdict::Same);
        assert_eq!(of(1000.0, 989.8), Verdict::Better);
        assert_eq!(of(30.0, 32.0), Verdict::Same);
        assert_eq!(of(30.0, 32.2), Verdict::Worse);
        assert_eq!(verdict(None, Some(1.0)), Verdict::New);
        assert_eq!(verdict(Some(1.0), None), Verdict::Gone);
    }
}
