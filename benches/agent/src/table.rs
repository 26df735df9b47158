//! Figures, the bars that some of them are held to, and how they are printed.

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::time::Duration;

/// What was measured of one thing.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    figure: Figure,
    /// What it may be at most.
    bar: Option<Figure>,
}

/// A figure and its unit.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Figure {
    /// Memory.
    Bytes(u64),
    /// CPU time in time: 1 is all of a core.
    Core(f64),
    /// Time by the clock.
    Time(Duration),
    /// CPU time of a call, in seconds; a difference may be negative.
    Call(f64),
    Count(u64),
}

impl Table {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a figure that is held to nothing.
    pub(crate) fn show(&mut self, what: impl Into<String>, figure: Figure) {
        self.add(what.into(), figure, None);
    }

    /// Adds a figure and what it may be at most.
    pub(crate) fn hold(&mut self, what: impl Into<String>, figure: Figure, most: Figure) {
        self.add(what.into(), figure, Some(most));
    }

    fn add(&mut self, what: String, figure: Figure, bar: Option<Figure>) {
        self.rows.push(Row { what, figure, bar });
    }

    /// Whether no bar was missed; times say nothing on a busy machine.
    pub(crate) fn is_met(&self, busy: bool) -> bool {
        let judged = (self.rows.iter()).filter(|row| !busy || !row.figure.depends_on_others());
        judged.into_iter().all(Row::is_met)
    }
}

impl Row {
    fn is_met(&self) -> bool {
        self.bar.is_none_or(|bar| self.figure <= bar)
    }
}

impl Figure {
    const fn depends_on_others(self) -> bool {
        matches!(self, Self::Time(_) | Self::Call(_))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}\n", self.title)?;
        writeln!(f, "| | | at most | |\n|---|--:|--:|---|")?;
        for row in &self.rows {
            let Row { what, figure, .. } = row;
            match row.bar {
                None => writeln!(f, "| {what} | {figure} | | |")?,
                Some(bar) if row.is_met() => writeln!(f, "| {what} | {figure} | {bar} | met |")?,
                Some(bar) => writeln!(f, "| {what} | {figure} | {bar} | **missed** |")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{:.1} MiB", *bytes as f64 / f64::from(1 << 20)),
            Self::Core(share) => write!(f, "{:.2} %", share * 100.0),
            Self::Time(time) => write!(f, "{:.1} ms", time.as_secs_f64() * 1e3),
            Self::Call(seconds) => write!(f, "{:.3} µs", seconds * 1e6),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

/// Writes to standard output.
///
/// # Errors
/// When nobody can be written to.
pub(crate) fn print(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// The middle of some figures, the upper one of two; 0 of none.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(figure: Figure, most: Figure) -> Table {
        let mut table = Table::new("a sample");
        table.show("shown", figure);
        table.hold("held", figure, most);
        table
    }

    #[test]
    fn what_is_at_its_bar_meets_it_and_what_is_beyond_misses_it() {
        let most = Figure::Bytes(10 << 20);
        assert!(held(most, most).is_met(false));
        let missed = held(Figure::Bytes((10 << 20) + 1), most);
        assert!(!missed.is_met(false) && !missed.is_met(true));
        assert!(missed.to_string().contains("| **missed** |"), "{missed}");
    }

    #[test]
    fn times_are_not_judged_while_others_are_at_work() {
        let time = |ms| Figure::Time(Duration::from_millis(ms));
        let late = held(time(1001), time(1000));
        assert!(!late.is_met(false));
        assert!(late.is_met(true));
    }

    #[test]
    fn a_figure_has_its_unit() {
        let text = |figure: Figure| figure.to_string();
        assert_eq!(text(Figure::Bytes(3 << 19)), "1.5 MiB");
        assert_eq!(text(Figure::Core(0.0123)), "1.23 %");
        assert_eq!(text(Figure::Time(Duration::from_micros(1_250))), "1.2 ms");
        assert_eq!(text(Figure::Call(-3e-8)), "-0.030 µs");
        assert_eq!(text(Figure::Count(7)), "7");
    }

    #[test]
    fn the_median_of_any_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[]), 0.0);
    }
}
