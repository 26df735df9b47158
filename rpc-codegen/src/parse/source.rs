//! Where the text of a schema comes from, and where in it something stands.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::files::Files;
use crate::diagnostic::Place;
use crate::error::Error;

/// The text of one file and the name a person knows it by.
#[derive(Debug)]
pub(crate) struct Source {
    /// What diagnostics call the file.
    pub(crate) shown: String,
    /// The text.
    pub(crate) text: String,
    /// The file on disk; `None` when the text ships with the compiler.
    pub(crate) path: Option<PathBuf>,
}

/// The texts by import name.
pub(crate) type Sources = BTreeMap<String, Source>;

impl Source {
    /// Resolves a byte span to a line, a column and the text of the line.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let text = self.text.as_str();
        let start = floor(text, span.start);
        let end = floor(text, span.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |n| n + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |n| start + n);
        Place {
            file: self.shown.clone(),
            line: text[..line_start].bytes().filter(|b| *b == b'\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..line_end].trim_end_matches('\r').to_owned(),
            width: text[start..end.min(line_end).max(start)]
                .chars()
                .count()
                .max(1),
        }
    }

    /// Resolves a span of a descriptor's source info: lines and columns counted from 0.
    ///
    /// The parser counts columns in characters.
    pub(crate) fn place_of_info(&self, span: &[i32]) -> Option<Place> {
        let (line, column, end) = match *span {
            [line, column, end] => (line, column, Some(end)),
            [line, column, end_line, end] => (line, column, (line == end_line).then_some(end)),
            _ => return None,
        };
        let (line, column) = (usize::try_from(line).ok()?, usize::try_from(column).ok()?);
        let text = self.text.lines().nth(line)?;
        let rest = text.chars().count().saturating_sub(column).max(1);
        let width = end
            .and_then(|end| usize::try_from(end).ok())
            .map_or(rest, |end| end.saturating_sub(column).clamp(1, rest));
        Some(Place {
            file: self.shown.clone(),
            line: line + 1,
            column: column + 1,
            text: text.to_owned(),
            width,
        })
    }
}

/// Finds imports below the include directories, then among the files shipped with the compiler.
#[derive(Debug)]
pub(crate) struct Finder<'a> {
    includes: &'a [PathBuf],
    files: &'a Files,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(includes: &'a [PathBuf], files: &'a Files) -> Self {
        Self { includes, files }
    }

    pub(crate) const fn includes(&self) -> &'a [PathBuf] {
        self.includes
    }

    /// Returns the import name of a file the user named.
    ///
    /// The longest include that contains the file wins only by coming first, as for imports.
    pub(crate) fn name_of(&self, path: &Path) -> Option<String> {
        let under = |include: &PathBuf| {
            if include.as_os_str() == "." && path.is_relative() {
                return path
                    .strip_prefix(".")
                    .ok()
                    .or(Some(path))
                    .and_then(import_name);
            }
            path.strip_prefix(include).ok().and_then(import_name)
        };
        self.includes.iter().find_map(under).or_else(|| {
            let found = |include: &&PathBuf| self.files.is_file(&include.join(path));
            path.is_relative()
                .then(|| self.includes.iter().find(found))?;
            self.includes
                .iter()
                .any(|i| found(&i))
                .then(|| import_name(path))?
        })
    }

    /// Reads the file an import names; `Ok(None)` when there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Source>, Error> {
        for include in self.includes {
            let path = include.join(name);
            match self.files.read(&path) {
                Ok(None) => {}
                Ok(Some(text)) => return Ok(Some(self.source(path, &text))),
                Err(source) => return Err(Error::Read { path, source }),
            }
        }
        Ok(embedded(name).map(|text| Source {
            shown: name.to_owned(),
            text: text.to_owned(),
            path: None,
        }))
    }

    fn source(&self, path: PathBuf, text: &str) -> Source {
        Source {
            shown: self.files.shown(&path),
            // A byte order mark is no part of the language, and editors leave one behind.
            text: text.trim_start_matches('\u{feff}').to_owned(),
            path: Some(path),
        }
    }
}

/// Returns the text of a file that ships with the compiler.
fn embedded(name: &str) -> Option<&'static str> {
    (name == OPTIONS_PROTO).then_some(include_str!("../../proto/dreammesh/options.proto"))
}

/// Says whether an import can be read without a file of its own.
pub(crate) fn is_shipped(name: &str) -> bool {
    name == OPTIONS_PROTO || name.starts_with("google/protobuf/")
}

/// Turns a path below an include into the name an import uses.
fn import_name(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            std::path::Component::Normal(part) => parts.push(part.to_str()?),
            std::path::Component::CurDir => {}
            _ => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The import name of the options that ship with the compiler.
pub(crate) const OPTIONS_PROTO: &str = "dreammesh/options.proto";

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            shown: "a.proto".into(),
            text: text.into(),
            path: None,
        }
    }

    #[test]
    fn columns_count_characters() {
        let place = source("x\nmähre = é;\n").place(11..13);
        assert_eq!((place.line, place.column, place.width), (2, 9, 1));
        assert_eq!(place.text, "mähre = é;");
    }

    #[test]
    fn a_span_past_the_end_or_inside_a_character_is_still_a_place() {
        assert_eq!(source("é").place(1..500).column, 1);
        assert_eq!(source("").place(7..9).line, 1);
        assert_eq!(source("a").place_of_info(&[9, 0, 1]), None);
        assert_eq!(source("a").place_of_info(&[-1, 0, 1]), None);
    }

    #[test]
    fn names_are_relative_to_the_first_include_that_fits() {
        let includes = [PathBuf::from("proto"), PathBuf::from(".")];
        let finder = Finder::new(&includes, &Files::Disk);
        assert_eq!(
            finder.name_of(Path::new("proto/a/b.proto")).as_deref(),
            Some("a/b.proto")
        );
        assert_eq!(
            finder.name_of(Path::new("./other/c.proto")).as_deref(),
            Some("other/c.proto")
        );
        assert_eq!(finder.name_of(Path::new("../c.proto")), None);
    }
}
