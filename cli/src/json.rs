//! JSON as it comes in and goes out: several values in one text, and white space for people.

mod messages;

use crate::terminal::Paint;

pub(crate) use messages::{Messages, Text};

/// Puts each member and element on a line of its own.
///
/// It changes white space and colours alone, so numbers stay as the mapping wrote them.
pub(crate) fn indented(json: &str, paint: Paint) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut chars = json.chars().peekable();
    while let Some(char) = chars.next() {
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
                let text = quoted(&mut chars);
                out.push_str(&match chars.peek() {
                    Some(':') => paint.word(&text),
                    _ => paint.good(&text),
                });
            }
            other => out.push(other),
        }
    }
    out
}

/// A string to its end, of which the first quote was taken.
fn quoted(chars: &mut impl Iterator<Item = char>) -> String {
    let mut text = String::from('"');
    while let Some(char) = chars.next() {
        text.push(char);
        match char {
            '\\' => text.extend(chars.next()),
            '"' => break,
            _ => {}
        }
    }
    text
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::indented;
    use crate::terminal::Paint;

    #[test]
    fn white_space_is_added_outside_of_strings_alone() {
        let text = r#"{"a":[1,{}],"b":"{,:\"]","c":[]}"#;
        let shown = "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"{,:\\\"]\",\n  \"c\": []\n}";
        assert_eq!(indented(text, Paint::NONE), shown);
        assert_eq!(indented("\"a:b\"", Paint::NONE), "\"a:b\"");
        let shown = "{\n  \x1b[36m\"a\"\x1b[0m: \x1b[32m\"b\"\x1b[0m\n}";
        assert_eq!(indented("{\"a\":\"b\"}", Paint::ALL), shown);
    }
}
