//! JSON as it comes in and goes out: several values in one text, and white space for people.

use dreammesh_core::wire::{Layout, Limits, Segment, WireError, json};
use serde_json::Deserializer;

/// Reads every message of a text as an archive.
///
/// The failure says which message it is, and where in the text.
pub(crate) fn archives(
    text: &str,
    layout: &'static Layout,
    options: &json::Options<'_>,
    limits: &Limits,
) -> Result<Vec<Segment>, String> {
    let mut archives = Vec::new();
    let mut start = 0;
    let mut values = Deserializer::from_str(text).into_iter::<serde_json::Value>();
    while let Some(value) = values.next() {
        if let Err(error) = value {
            return Err(format!("the data is no JSON: {error}"));
        }
        let end = values.byte_offset();
        let message = &text[start..end];
        let archive = json::to_archive(layout, message, options, limits).map_err(|error| {
            let number = archives.len() + 1;
            format!(
                "message {number} is no `{}`: {}",
                layout.name,
                placed(text, start, error)
            )
        })?;
        archives.push(Segment::from_vec(archive));
        start = end;
    }
    Ok(archives)
}

fn placed(text: &str, start: usize, error: WireError) -> String {
    let WireError::Decode { reason, position } = error else {
        return error.to_string();
    };
    let at = text.floor_char_boundary(start + position);
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before
        .chars()
        .rev()
        .take_while(|char| *char != '\n')
        .count()
        + 1;
    format!("{reason} at line {line} column {column}")
}

/// Puts each member and element on a line of its own.
///
/// It changes white space alone, so numbers stay as the mapping wrote them.
pub(crate) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut quoted = false;
    let mut chars = json.chars().peekable();
    while let Some(char) = chars.next() {
        if quoted {
            out.push(char);
            match char {
                '\\' => out.extend(chars.next()),
                '"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match char {
            '{' | '[' => {
                out.push(char);
                let close = if char == '{' { '}' } else { ']' };
                if chars.next_if_eq(&close).is_some() {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(char);
            }
            ',' => {
                out.push(char);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            '"' => {
                quoted = true;
                out.push(char);
            }
            other => out.push(other),
        }
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn white_space_is_added_outside_of_strings_alone() {
        let text = r#"{"a":[1,{}],"b":"{,:\"]","c":[]}"#;
        let shown = "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"{,:\\\"]\",\n  \"c\": []\n}";
        assert_eq!(indented(text), shown);
        assert_eq!(indented("\"a:b\""), "\"a:b\"");
    }
}
