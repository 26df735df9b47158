//! What the printer leaves to be done: tables that read as tables, and air between items.

/// Brings printed items into their final form.
pub(super) fn finish(printed: &str) -> String {
    space(&rows(printed))
}

/// Puts what is one row of a table on one line: a field of a layout, a function of one expression,
/// two hashes.
fn rows(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let rest = &lines[at..];
        let (row, used) = field(rest)
            .or_else(|| function(rest))
            .or_else(|| hashes(rest))
            .unwrap_or_else(|| ((*line).to_owned(), 1));
        out.push_str(&row);
        out.push('\n');
        at += used;
    }
    out
}

/// `Field::new(` with an argument a line.
fn field(lines: &[&str]) -> Option<(String, usize)> {
    let first = lines.first()?;
    if !first.ends_with("::Field::new(") {
        return None;
    }
    let end = lines
        .iter()
        .position(|line| line.trim_start() == ")," && indent(line) == indent(first))?;
    let arguments: Vec<&str> = lines[1..end].iter().map(|line| line.trim_start()).collect();
    // An argument that is broken itself has lines without a comma at their ends.
    let mut arguments = arguments.join(" ");
    for (broken, whole) in [("( ", "("), (", )", ")"), ("< ", "<"), (", >", ">")] {
        arguments = arguments.replace(broken, whole);
    }
    let row = format!("{first}{}),", arguments.trim_end_matches(','));
    Some((row, end + 1))
}

/// A function that is one expression, with the attribute that inlines it.
fn function(lines: &[&str]) -> Option<(String, usize)> {
    let inline = lines.first()?.trim_start() == "#[inline]";
    let at = usize::from(inline);
    let [head, body, end] = lines.get(at..at + 3)? else {
        return None;
    };
    let start = head.trim_start();
    let is_function = start.starts_with("fn ") || start.starts_with("pub fn ");
    if !is_function || !head.ends_with('{') || end.trim_start() != "}" || body.ends_with('{') {
        return None;
    }
    let attribute = if inline { "#[inline] " } else { "" };
    let margin = " ".repeat(indent(head));
    let row = format!("{margin}{attribute}{start} {} }}", body.trim_start());
    (row.len() <= WIDTH).then_some((row, at + 3))
}

/// Two elements of a chain.
fn hashes(lines: &[&str]) -> Option<(String, usize)> {
    let [first, second, ..] = lines else {
        return None;
    };
    let second = second.trim_start();
    let is_hash = |text: &str| text.starts_with("0x") && text.ends_with(',');
    (is_hash(first.trim_start()) && is_hash(second)).then(|| (format!("{first} {second}"), 2))
}

/// Sets items apart by an empty line, which the printer does not.
fn space(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let start = line.trim_start();
        let ends_item = matches!(start, "}" | ");" | "};") || is_statement(line);
        let next = lines.peek().map_or("", |next| next.trim_start());
        let goes_on = !next.is_empty() && !next.starts_with(['}', ')']);
        if ends_item
            && goes_on
            && lines
                .peek()
                .is_some_and(|next| indent(next) == indent(line))
        {
            out.push('\n');
        }
    }
    out
}

/// Says whether a line is an item that ends with a semicolon.
fn is_statement(line: &str) -> bool {
    let start = line.trim_start();
    let outside = line.starts_with("const ") || line.starts_with("pub const ");
    let item = outside || start.starts_with("use ") || start.starts_with("__rt::");
    let tuple = start.starts_with("pub struct ");
    (line.ends_with(';') && (item || tuple)) || line.ends_with(" {}") && start.starts_with("impl ")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// No row made of several lines is longer than this, except a field of a layout.
const WIDTH: usize = 100;
