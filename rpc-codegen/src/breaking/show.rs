//! The report as people and programs read it.

use std::fmt::{self, Write as _};

use super::{Agreement, BreakingReport, Breaks, Change, DirectionAgreement, MethodAgreement};
use crate::diagnostic::Place;

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

impl BreakingReport {
    /// Writes the report in a format.
    #[must_use]
    pub fn to_format(&self, format: ReportFormat) -> String {
        match format {
            ReportFormat::Text => self.to_string(),
            ReportFormat::Json => self.to_json(),
            ReportFormat::Github => self.lines(github),
            ReportFormat::Lines => self.lines(plain),
        }
    }

    /// One line a change, and one a direction that is protobuf now.
    fn lines(&self, line: fn(&mut String, &Finding<'_>)) -> String {
        let mut out = String::new();
        for change in &self.changes {
            line(
                &mut out,
                &Finding {
                    level: "error",
                    title: change.rule,
                    message: &change.diagnostic.message,
                    place: change.diagnostic.place.as_ref(),
                },
            );
        }
        for method in &self.methods {
            for (name, direction) in method.directions() {
                let Some(reason) = &direction.reason else {
                    continue;
                };
                line(
                    &mut out,
                    &Finding {
                        level: "warning",
                        title: "ARCHIVE_LOST",
                        message: &lost(method, name, reason),
                        place: direction.place.as_ref(),
                    },
                );
            }
        }
        out
    }

    fn to_json(&self) -> String {
        let mut out = String::from("{\"changes\":[");
        for (index, change) in self.changes.iter().enumerate() {
            comma(&mut out, index);
            change.json(&mut out);
        }
        out.push_str("],\"methods\":[");
        for (index, method) in self.methods.iter().enumerate() {
            comma(&mut out, index);
            method.json(&mut out);
        }
        out.push_str("]}\n");
        out
    }
}

/// A line of a report.
struct Finding<'a> {
    level: &'static str,
    title: &'a str,
    message: &'a str,
    place: Option<&'a Place>,
}

fn lost(method: &MethodAgreement, direction: &str, reason: &str) -> String {
    format!(
        "{} of {} are protobuf now: {reason}",
        direction, method.path
    )
}

fn github(out: &mut String, finding: &Finding<'_>) {
    let _ = write!(out, "::{} ", finding.level);
    if let Some(place) = finding.place {
        let _ = write!(
            out,
            "file={},line={},col={},",
            property(&place.file),
            place.line,
            place.column
        );
    }
    let (title, message) = (property(finding.title), data(finding.message));
    let _ = writeln!(out, "title={title}::{message}");
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

fn plain(out: &mut String, finding: &Finding<'_>) {
    if let Some(place) = finding.place {
        let _ = write!(out, "{}:{}:{}: ", place.file, place.line, place.column);
    }
    let (level, title, message) = (finding.level, finding.title, finding.message);
    let _ = writeln!(out, "{level}: {} [{title}]", message.replace('\n', " "));
}

impl Change {
    fn json(&self, out: &mut String) {
        let _ = write!(
            out,
            "{{\"rule\":\"{}\",\"breaks\":\"{}\",\"message\":{}",
            self.rule,
            self.breaks.name(),
            quoted(&self.diagnostic.message)
        );
        json_place(out, "place", self.diagnostic.place.as_ref());
        json_place(out, "was", self.was.as_ref());
        out.push('}');
    }
}

impl MethodAgreement {
    fn directions(&self) -> [(&'static str, &DirectionAgreement); 2] {
        [("requests", &self.request), ("responses", &self.response)]
    }

    fn json(&self, out: &mut String) {
        let path = quoted(&self.path);
        let _ = write!(
            out,
            "{{\"method\":{path},\"agreement\":\"{}\"",
            self.agreement().name()
        );
        for (name, direction) in self.directions() {
            let agreement = direction.agreement.name();
            let _ = write!(out, ",\"{name}\":{{\"agreement\":\"{agreement}\"");
            if let Some(reason) = &direction.reason {
                let _ = write!(out, ",\"reason\":{}", quoted(reason));
            }
            json_place(out, "place", direction.place.as_ref());
            out.push('}');
        }
        out.push('}');
    }
}

fn json_place(out: &mut String, name: &str, place: Option<&Place>) {
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

fn comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

/// A JSON string: paths may hold anything.
fn quoted(text: &str) -> String {
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

impl fmt::Display for BreakingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            let mut shown = change.diagnostic.clone();
            shown.message = format!("{} [{}]", shown.message, change.rule);
            if let Some(was) = &change.was {
                shown = shown.note(format!(
                    "it was at {}:{}:{}",
                    was.file, was.line, was.column
                ));
            }
            if change.breaks == Breaks::Json {
                shown = shown.note("this breaks JSON, not protobuf");
            }
            writeln!(f, "{shown}\n")?;
        }
        for method in &self.methods {
            let (request, response) = (method.request.agreement, method.response.agreement);
            let (path, request, response) = (&method.path, request.name(), response.name());
            writeln!(f, "{path}  requests {request}, responses {response}")?;
            for (name, direction) in method.directions() {
                if let Some(reason) = &direction.reason {
                    let at = direction.place.as_ref().map_or_else(String::new, |place| {
                        format!("{}:{}:{}: ", place.file, place.line, place.column)
                    });
                    writeln!(f, "  {name}: {at}{reason}")?;
                }
            }
        }
        if self.changes.is_empty() {
            let lost = self.lost_archives().count();
            let of = self.methods.len();
            return writeln!(
                f,
                "nothing breaks; {lost} of {of} methods fall back to protobuf"
            );
        }
        let (wire, json) = (self.count(Breaks::Wire), self.count(Breaks::Json));
        writeln!(
            f,
            "changes that break protobuf: {wire}; that break JSON alone: {json}"
        )
    }
}

impl BreakingReport {
    /// The methods that no longer exchange archives in both directions.
    pub fn lost_archives(&self) -> impl Iterator<Item = &MethodAgreement> {
        let methods = self.methods.iter();
        methods.filter(|method| method.agreement() == Agreement::Protobuf)
    }

    fn count(&self, breaks: Breaks) -> usize {
        let changes = self.changes.iter();
        changes.filter(|change| change.breaks == breaks).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            title: "RULE",
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
