//! Comments of a schema, made safe for rustdoc.
//!
//! A comment is prose that was never meant as Markdown, still less as a doc test: an indented block
//! would be compiled, brackets looked up as links and angle brackets read as HTML.

use std::collections::HashMap;

use prost_reflect::FileDescriptor;

/// The comments of one file by descriptor path.
#[derive(Debug, Default)]
pub(super) struct Comments {
    by_path: HashMap<Vec<i32>, String>,
}

impl Comments {
    pub(super) fn of(file: &FileDescriptor) -> Self {
        let info = file.file_descriptor_proto().source_code_info.as_ref();
        let mut by_path = HashMap::new();
        for location in info.into_iter().flat_map(|info| &info.location) {
            let parts = [location.leading_comments(), location.trailing_comments()];
            let text: Vec<&str> = parts
                .into_iter()
                .filter(|part| !part.trim().is_empty())
                .collect();
            if !text.is_empty() {
                by_path.insert(location.path.clone(), to_rustdoc(&text.join("\n\n")));
            }
        }
        Self { by_path }
    }

    /// Returns the rustdoc text of the element, empty if it has no comment.
    pub(super) fn at(&self, path: &[i32]) -> String {
        self.by_path.get(path).cloned().unwrap_or_default()
    }
}

/// Rewrites a comment as Markdown that reads the same and means nothing to a compiler.
pub(super) fn to_rustdoc(comment: &str) -> String {
    let lines = unindent(comment);
    let mut out = Writer::default();
    let mut fenced = false;
    for line in &lines {
        let text = line.trim();
        if text.starts_with("```") || text.starts_with("~~~") {
            out.fence(!fenced);
            fenced = !fenced;
        } else if fenced {
            out.push(line);
        } else if text.is_empty() {
            out.blank();
        } else if out.starts_code(line) {
            out.code(line);
        } else {
            out.prose(text);
        }
    }
    if fenced {
        out.fence(false);
    }
    out.finish()
}

/// Splits into lines without control characters, and removes the indentation common to all.
fn unindent(comment: &str) -> Vec<String> {
    let lines: Vec<String> = comment
        .lines()
        .map(|line| {
            let line = line.replace('\t', "    ");
            line.chars()
                .filter(|c| !is_unwanted(*c))
                .collect::<String>()
                .trim_end()
                .to_owned()
        })
        .collect();
    let indent = |line: &String| line.len() - line.trim_start_matches(' ').len();
    let common = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(indent)
        .min()
        .unwrap_or(0);
    lines
        .into_iter()
        .map(|line| line.get(common..).unwrap_or_default().to_owned())
        .collect()
}

/// Control characters, and those that reorder text, which the Rust compiler refuses in comments.
fn is_unwanted(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[derive(Default)]
struct Writer {
    lines: Vec<String>,
    /// The lines of the paragraph being read; escaped together, as code spans may wrap.
    paragraph: Vec<String>,
    /// Whether an indented block is open.
    in_code: bool,
}

impl Writer {
    fn starts_code(&self, line: &str) -> bool {
        let fresh = self.paragraph.is_empty();
        line.starts_with("    ") && (self.in_code || fresh) && marker(line.trim()).is_none()
    }

    fn code(&mut self, line: &str) {
        if !self.in_code {
            self.push("```text");
            self.in_code = true;
        }
        self.push(line.get(4..).unwrap_or_default());
    }

    fn prose(&mut self, text: &str) {
        self.end_code();
        self.paragraph.push(text.to_owned());
    }

    fn blank(&mut self) {
        self.end_paragraph();
        self.push("");
    }

    fn fence(&mut self, opens: bool) {
        self.end_paragraph();
        self.end_code();
        self.push(if opens { "```text" } else { "```" });
    }

    fn push(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    fn end_code(&mut self) {
        if std::mem::take(&mut self.in_code) {
            let blank = self
                .lines
                .iter()
                .rev()
                .take_while(|line| line.is_empty())
                .count();
            let at = self.lines.len() - blank;
            self.lines.insert(at, "```".to_owned());
        }
    }

    fn end_paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        if paragraph.is_empty() {
            return;
        }
        let escaped = escape(&paragraph.join("\n"));
        let mut hang = 0;
        for line in escaped.lines() {
            // A continued list item is indented under its text, or clippy calls it lazy.
            if let Some(width) = marker(line) {
                hang = width;
                self.push(line);
            } else {
                self.lines.push(format!("{:hang$}{line}", ""));
            }
        }
    }

    fn finish(mut self) -> String {
        self.end_paragraph();
        self.end_code();
        let text = self.lines.join("\n");
        let mut out = String::new();
        let mut blank = true;
        for line in text.lines() {
            if !(line.is_empty() && blank) {
                out.push_str(line);
                out.push('\n');
            }
            blank = line.is_empty();
        }
        out.trim_end().to_owned()
    }
}

/// Returns the width of a list marker that opens the line.
fn marker(line: &str) -> Option<usize> {
    if line.starts_with("- ") || line.starts_with("* ") || line.starts_with("+ ") {
        return Some(2);
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &line[digits..];
    let ordered = (1..=4).contains(&digits) && (rest.starts_with(". ") || rest.starts_with(") "));
    ordered.then_some(digits + 2)
}

/// Escapes what Markdown and rustdoc would act on outside code spans, and makes links of URLs.
fn escape(text: &str) -> String {
    let spans = text.matches('`').count().is_multiple_of(2) && !text.contains("``");
    let mut out = String::with_capacity(text.len());
    let mut in_span = false;
    let mut line_start = true;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(url) = (!in_span).then(|| url(rest)).flatten() {
            out.push('<');
            out.push_str(url);
            out.push('>');
            rest = &rest[url.len()..];
            line_start = false;
            continue;
        }
        match c {
            '`' if spans => in_span = !in_span,
            '[' | ']' | '<' | '\\' | '`' if !in_span => out.push('\\'),
            '>' | '#' | '=' | '|' if !in_span && line_start => out.push('\\'),
            _ => {}
        }
        out.push(c);
        line_start = c == '\n';
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Returns the URL that `text` begins with.
fn url(text: &str) -> Option<&str> {
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| text.starts_with(scheme))?;
    let stops = |c: char| c.is_whitespace() || "<>\"'`()[]{}|\\^".contains(c);
    let end = text.find(stops).unwrap_or(text.len());
    let url = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_']);
    (url.len() > scheme.len()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::to_rustdoc;

    #[test]
    fn an_indented_block_is_no_doc_test() {
        let doc = to_rustdoc(" Use it so:\n\n     let x = 1;\n     foo();\n\n And no more.\n");
        assert_eq!(
            doc,
            "Use it so:\n\n```text\nlet x = 1;\nfoo();\n```\n\nAnd no more."
        );
    }

    #[test]
    fn fences_are_text_and_always_closed() {
        assert_eq!(to_rustdoc("```rust\nx();\n```"), "```text\nx();\n```");
        assert_eq!(to_rustdoc("a\n```\nx();"), "a\n```text\nx();\n```");
    }

    #[test]
    fn brackets_and_html_are_escaped_outside_code() {
        let doc = to_rustdoc("a [b] <c> `[d] <e>` \\");
        assert_eq!(doc, r"a \[b\] \<c> `[d] <e>` \\");
        assert_eq!(to_rustdoc("a ` [b]"), r"a \` \[b\]");
    }

    #[test]
    fn urls_become_links() {
        let doc = to_rustdoc("see https://example.com/a_b. (http://x.org)");
        assert_eq!(doc, "see <https://example.com/a_b>. (<http://x.org>)");
    }

    #[test]
    fn list_items_hang() {
        let doc = to_rustdoc("- one\ncontinued\n- two\n\n1. first\nmore");
        assert_eq!(doc, "- one\n  continued\n- two\n\n1. first\n   more");
    }

    #[test]
    fn controls_and_reordering_marks_are_dropped() {
        assert_eq!(to_rustdoc("a\u{202e}b\u{7}c\r\nd"), "abc\nd");
    }
}
