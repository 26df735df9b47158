//! JSON as it comes in and goes out: several values in one text, and white space for people.

mod messages;

pub(crate) use messages::{Messages, Text};

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
