//! What the compiler says about a schema, with its place.

use std::fmt;

/// How much a [`Diagnostic`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Severity {
    /// The schema cannot be compiled.
    Error,
    /// The schema compiles, and something in it does not do what it seems to promise.
    Warning,
}

/// A span of one source file, resolved to what a person reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The file as the user named it, or its import name when it is embedded.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The text of the line, without its end.
    pub text: String,
    /// How many characters the caret underlines; at least 1.
    pub width: usize,
}

/// One finding: what is wrong, where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Whether it stops the compilation.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where; `None` for a finding about no file in particular.
    pub place: Option<Place>,
    /// What the caret points at.
    pub label: String,
    /// Further places, such as a first definition.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Makes an error that has no place yet.
    #[must_use]
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            label: String::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Makes a warning that has no place yet.
    #[must_use]
    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns the finding on one line, as `file:line:column: message`.
    #[must_use]
    pub fn one_line(&self) -> String {
        let message = self.message.replace('\n', " ");
        match &self.place {
            Some(place) => format!("{}:{}:{}: {message}", place.file, place.line, place.column),
            None => message,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{word}: {}", self.message)?;
        let gutter = self
            .place
            .as_ref()
            .map_or(1, |place| place.line.to_string().len());
        if let Some(place) = &self.place {
            place.show(f, gutter, &self.label)?;
        }
        for note in &self.notes {
            write!(f, "\n{:gutter$} = note: {note}", "")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:gutter$} = help: {help}", "")?;
        }
        Ok(())
    }
}

impl Place {
    /// Writes the source line with a caret under the span.
    fn show(&self, f: &mut fmt::Formatter<'_>, gutter: usize, label: &str) -> fmt::Result {
        // A line of a hostile file may be megabytes long; a window around the column is enough.
        let skip = self.column.saturating_sub(1 + SHOWN_BEFORE);
        let shown: String = self.text.chars().skip(skip).take(SHOWN_CHARS).collect();
        let shown: String = shown
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let before = self.column - 1 - skip;
        let room = shown.chars().count().saturating_sub(before).max(1);
        let carets = "^".repeat(self.width.clamp(1, room));
        write!(
            f,
            "\n{:gutter$}--> {}:{}:{}",
            "", self.file, self.line, self.column
        )?;
        write!(f, "\n{:gutter$} |", "")?;
        write!(f, "\n{:>gutter$} | {}", self.line, shown.trim_end())?;
        write!(f, "\n{:gutter$} | {:before$}{carets}", "", "")?;
        if !label.is_empty() {
            write!(f, " {label}")?;
        }
        Ok(())
    }
}

/// All findings of one compilation, in the order of their places.
///
/// It holds at least one error when it comes out of a failed compilation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Iterates over the findings.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Says how many findings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Says whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Says whether any finding stops the compilation.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        // One broken import can repeat a finding for each file that needs it.
        if !self.list.contains(&diagnostic) && self.list.len() < REPORTED_MAX {
            self.list.push(diagnostic);
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

/// The findings kept of one compilation: nobody reads more, and garbage can yield millions.
const REPORTED_MAX: usize = 100;

/// The characters shown of one source line.
const SHOWN_CHARS: usize = 160;

/// The characters shown before the caret on a long line.
const SHOWN_BEFORE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, column: usize, width: usize) -> Option<Place> {
        Some(Place {
            file: "a.proto".into(),
            line: 12,
            column,
            text: text.into(),
            width,
        })
    }

    #[test]
    fn the_caret_stands_under_the_span() {
        let shown = Diagnostic::error("field number 1 is used twice")
            .at(place("  string b = 1;", 14, 1))
            .label("used again here")
            .help("choose 2")
            .to_string();
        let expected = "error: field number 1 is used twice
  --> a.proto:12:14
   |
12 |   string b = 1;
   |              ^ used again here
   = help: choose 2";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_long_line_is_cut_around_the_column() {
        let shown = Diagnostic::error("x")
            .at(place(&"a".repeat(100_000), 90_000, 500))
            .to_string();
        assert!(shown.len() < 600, "{} bytes", shown.len());
    }

    #[test]
    fn findings_are_bounded_and_not_repeated() {
        let mut all = Diagnostics::default();
        for n in 0..REPORTED_MAX + 1 {
            all.push(Diagnostic::error(n.to_string()));
            all.push(Diagnostic::error("0"));
        }
        assert_eq!(all.len(), REPORTED_MAX);
    }
}
