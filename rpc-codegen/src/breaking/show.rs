//! The report as people and programs read it.

use std::fmt::{self, Write as _};

use super::{Agreement, BreakingReport, Breaks, Change, DirectionAgreement, MethodAgreement};
use crate::format::{Finding, ReportFormat, comma, github, json_place, plain, quoted};

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
                    title: Some(change.rule),
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
                        title: Some("ARCHIVE_LOST"),
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

fn lost(method: &MethodAgreement, direction: &str, reason: &str) -> String {
    format!(
        "{} of {} are protobuf now: {reason}",
        direction, method.path
    )
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
