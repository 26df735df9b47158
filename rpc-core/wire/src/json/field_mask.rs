//! The paths of a `google.protobuf.FieldMask`, whose names change their case in JSON.

/// Appends a path in `lowerCamelCase`; false if reading that would not give the path back.
pub(crate) fn push_camel(out: &mut String, path: &str) -> bool {
    let mut after_underscore = false;
    for character in path.chars() {
        match character {
            'A'..='Z' => return false,
            'a'..='z' if after_underscore => out.push(character.to_ascii_uppercase()),
            _ if after_underscore => return false,
            '_' => {}
            other => out.push(other),
        }
        after_underscore = character == '_';
    }
    !after_underscore
}

/// The path in `snake_case`; nothing if it has underscores already.
pub(crate) fn to_snake(path: &str) -> Option<String> {
    let mut snake = String::with_capacity(path.len() + 4);
    for character in path.chars() {
        match character {
            '_' => return None,
            'A'..='Z' => {
                snake.push('_');
                snake.push(character.to_ascii_lowercase());
            }
            other => snake.push(other),
        }
    }
    Some(snake)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camel(path: &str) -> Option<String> {
        let mut out = String::new();
        push_camel(&mut out, path).then_some(out)
    }

    #[test]
    fn paths_change_case_both_ways() {
        for (snake, json) in [
            ("foo", "foo"),
            ("foo_bar.baz_q", "fooBar.bazQ"),
            ("_x", "X"),
            ("a1", "a1"),
            ("", ""),
        ] {
            assert_eq!(camel(snake).as_deref(), Some(json));
            assert_eq!(to_snake(json).as_deref(), Some(snake));
        }
        for bad in ["fooBar", "foo_1", "foo__bar", "foo_", "foo_.bar", "_"] {
            assert_eq!(camel(bad), None, "{bad}");
        }
        assert_eq!(to_snake("foo_bar"), None);
    }
}
