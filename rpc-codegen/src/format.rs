//! What is found in a schema, in the forms that programs read.

use std::fmt::Write as _;

use crate::diagnostic::{Diagnostic, Diagnostics, Place, Severity};

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportFormat {
    /// For people: each change with its line of source, then what became of each method.
    #[default]
    Text,
    /// For scripts: one JSON object.
    Json,
    /// For the annotations of GitHub's workflows: one command a line.
    Github,
    /// For editors and other systems: `file:line:column: error: …`, one a line.
    Lines,
}

impl ReportFormat {
    /// The format of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "text" => Self::Text,
            "json" => Self::Json,
            "github" => Self::Github,
            "lines" => Self::Lines,
            _ => return None,
        })
    }
}

impl Diagnostics {
    /// Writes the findings in a format.
    #[must_use]
    pub fn to_format(&self, format: ReportFormat) -> String {
        let line = match format {
            ReportFormat::Text if self.is_empty() => return String::new(),
            ReportFormat::Text => return format!("{self}\n"),
            ReportFormat::Json => return self.to_json(),
            ReportFormat::Github => github,
            ReportFormat::Lines => plain,
        };
        let mut out = String::new();
        for diagnostic in self.iter() {
            diagnostic.line(&mut out, line);
        }
        out
    }

    fn to_json(&self) -> String {
        let mut out = String::from("{\"findings\":[");
        for (index, diagnostic) in self.iter().enumerate() {
            comma(&mut out, index);
            diagnostic.json(&mut out);
        }
        out.push_str("]}\n");
        out
    }
}

impl Diagnostic {
    fn line(&self, out: &mut String, line: fn(&mut String, &Finding<'_>)) {
        let mut message = self.message.clone();
        if let Some(help) = &self.help {
            let _ = write!(message, "\nhelp: {help}");
        }
        let finding = Finding {
            level: self.severity.name(),
            title: None,
            message: &message,
            place: self.place.as_ref(),
        };
        line(out, &finding);
    }

    fn json(&self, out: &mut String) {
        let (severity, message) = (self.severity.name(), quoted(&self.message));
        let _ = write!(out, "{{\"severity\":\"{severity}\",\"message\":{message}");
        json_place(out, "place", self.place.as_ref());
        if !self.label.is_empty() {
            let _ = write!(out, ",\"label\":{}", quoted(&self.label));
        }
        if !self.notes.is_empty() {
            let notes: Vec<String> = self.notes.iter().map(|note| quoted(note)).collect();
            let _ = write!(out, ",\"notes\":[{}]", notes.join(","));
        }
        if let Some(help) = &self.help {
            let _ = write!(out, ",\"help\":{}", quoted(help));
        }
        out.push('}');
    }
}

impl Severity {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A line of a report.
pub(crate) struct Finding<'a> {
    pub(crate) level: &'static str,
    /// The rule, if there is one.
    pub(crate) title: Option<&'a str>,
    pub(crate) message: &'a str,
    pub(crate) place: Option<&'a Place>,
}

/// One command of GitHub's workflows.
pub(crate) fn github(out: &mut String, finding: &Finding<'_>) {
    let mut properties = Vec::new();
    if let Some(place) = finding.place {
        let (file, line, column) = (property(&place.file), place.line, place.column);
        properties.push(format!("file={file},line={line},col={column}"));
    }
    if let Some(title) = finding.title {
        properties.push(format!("title={}", property(title)));
    }
    let space = if properties.is_empty() { "" } else { " " };
    let (level, properties) = (finding.level, properties.join(","));
    let _ = writeln!(
        out,
        "::{level}{space}{properties}::{}",
        data(finding.message)
    );
}

/// What the workflow commands want escaped in a message.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// What they want escaped in a property as well.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// One line for editors.
pub(crate) fn plain(out: &mut String, finding: &Finding<'_>) {
    if let Some(place) = finding.place {
        let _ = write!(out, "{}:{}:{}: ", place.file, place.line, place.column);
    }
    let (level, message) = (finding.level, finding.message.replace('\n', " "));
    let _ = match finding.title {
        Some(title) => writeln!(out, "{level}: {message} [{title}]"),
        None => writeln!(out, "{level}: {message}"),
    };
}

/// A member of an object, if there is a place, with the comma before it.
pub(crate) fn json_place(out: &mut String, name: &str, place: Option<&Place>) {
    if let Some(place) = place {
        let _ = write!(
            out,
            ",\"{name}\":{{\"file\":{},\"line\":{},\"column\":{}}}",
            quoted(&place.file),
            place.line,
            place.column
        );
    }
}

pub(crate) fn comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

/// A JSON string: paths may hold anything.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_escaped_as_each_format_wants() {
        let place = Place {
            file: "a,b\".proto".into(),
            line: 3,
            column: 7,
            text: String::new(),
            width: 1,
        };
        let mut found = Diagnostics::default();
        found.push(
            Diagnostic::error("100 %\nsure")
                .at(Some(place))
                .help("think"),
        );
        found.push(Diagnostic::warning("well").label("here").note("n"));
        let github = "::error file=a%2Cb\".proto,line=3,col=7::100 %25%0Asure%0Ahelp: think\n\
            ::warning::well\n";
        assert_eq!(found.to_format(ReportFormat::Github), github);
        let lines = "a,b\".proto:3:7: error: 100 % sure help: think\nwarning: well\n";
        assert_eq!(found.to_format(ReportFormat::Lines), lines);
        let json = "{\"findings\":[{\"severity\":\"error\",\"message\":\"100 %\\u000asure\",\
            \"place\":{\"file\":\"a,b\\\".proto\",\"line\":3,\"column\":7},\"help\":\"think\"},\
            {\"severity\":\"warning\",\"message\":\"well\",\"label\":\"here\",\"notes\":[\"n\"]}]}\n";
        assert_eq!(found.to_format(ReportFormat::Json), json);
        let nothing = Diagnostics::default();
        let written = |format| nothing.to_format(format);
        assert_eq!(written(ReportFormat::Json), "{\"findings\":[]}\n");
        assert_eq!(written(ReportFormat::Text), "");
        assert_eq!(written(ReportFormat::Github), "");
    }

    #[test]
    fn what_ends_a_workflow_command_is_escaped() {
        let mut out = String::new();
        let place = Place {
            file: "a,b:c.proto".into(),
            line: 3,
            column: 1,
            text: String::new(),
            width: 1,
        };
        let finding = Finding {
            level: "error",
            title: Some("RULE"),
            message: "50%\nof: it",
            place: Some(&place),
        };
        github(&mut out, &finding);
        let escaped = "::error file=a%2Cb%3Ac.proto,line=3,col=1,title=RULE::50%25%0Aof: it\n";
        assert_eq!(out, escaped);
    }

    #[test]
    fn json_strings_hold_anything() {
        assert_eq!(quoted("a\"\\\n\u{1}é"), "\"a\\\"\\\\\\u000a\\u0001é\"");
    }
}
