//! Turns what the parser libraries report into our diagnostics.

use std::ops::Range;

use super::source::Source;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Adds one finding of a parser library.
pub(super) fn push(found: &mut Diagnostics, source: &Source, error: &dyn miette::Diagnostic) {
    let mut labels: Vec<(Range<usize>, String)> = error
        .labels()
        .into_iter()
        .flatten()
        .map(|label| {
            let span = label.offset()..label.offset() + label.len();
            (span, label.label().unwrap_or_default().to_owned())
        })
        .collect();
    let mut diagnostic = Diagnostic::error(sentence(&error.to_string()));
    if labels.is_empty() {
        // "Reached end of file" has no span of its own.
        let end = source.text.trim_end().len();
        diagnostic = diagnostic.at(Some(source.place(end..end)));
    } else {
        let (span, label) = labels.remove(primary(&labels));
        diagnostic = diagnostic.at(Some(source.place(span))).label(label);
        for (span, label) in labels {
            let place = source.place(span);
            let label = label.trim_matches(['.', '…', ' ']).to_owned();
            diagnostic = diagnostic.note(format!(
                "{label}: {}:{}:{}",
                place.file, place.line, place.column
            ));
        }
    }
    if let Some(help) = error.help() {
        diagnostic = diagnostic.help(help.to_string());
    }
    if let Some(cause) = error.diagnostic_source() {
        diagnostic = diagnostic.note(cause.to_string());
    }
    found.push(diagnostic);
}

/// Chooses the label the caret goes to: the second definition where the first is named too.
fn primary(labels: &[(Range<usize>, String)]) -> usize {
    let first = labels[0].1.as_str();
    usize::from(labels.len() > 1 && (first.contains("first") || first.ends_with('…')))
}

fn sentence(message: &str) -> String {
    message.replace('\'', "`").trim_end_matches('.').to_owned()
}
