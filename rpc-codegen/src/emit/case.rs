//! Protobuf names as Rust writes them.

/// Turns a message, enum, oneof or field name into the name of a type or variant.
///
/// A name that is a Rust type name already stays as it is, acronyms included.
pub(super) fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for part in name.split('_').filter(|part| !part.is_empty()) {
        let mut chars = part.chars();
        if let Some(first) = chars.next() {
            out.push(first.to_ascii_uppercase());
            out.push_str(chars.as_str());
        }
    }
    if !out.starts_with(|c: char| c.is_ascii_alphabetic()) {
        // The name was underscores, perhaps with digits.
        out.insert(0, 'X');
    }
    if is_keyword(&out) {
        format!("{out}_")
    } else {
        out
    }
}

/// Turns a name into that of a module, field or method, without regard to keywords.
pub(super) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (index, &c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| chars[index]);
        let after = chars.get(index + 1).copied();
        if c == '_' {
            // Two underscores in a row are no snake case to the compiler.
            if !out.ends_with('_') {
                out.push('_');
            }
            continue;
        }
        let starts_word = c.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase()
                        && after.is_some_and(|after| after.is_ascii_lowercase()))
            });
        if starts_word && !out.ends_with('_') {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    if out.chars().all(|c| c == '_') {
        "x".to_owned()
    } else {
        out
    }
}

/// Turns an enum value's name into that of a constant.
pub(super) fn upper(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// Makes an identifier of a snake-case name, raw or with an underscore where it is a keyword.
pub(super) fn escape(name: &str) -> String {
    match name {
        // These cannot be raw.
        "self" | "super" | "crate" => format!("{name}_"),
        _ if is_keyword(name) => format!("r#{name}"),
        _ => name.to_owned(),
    }
}

fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// Strict, reserved and edition 2024 keywords.
const KEYWORDS: [&str; 52] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_keep_their_case() {
        assert_eq!(camel("HTTPRule"), "HTTPRule");
        assert_eq!(camel("http_rule"), "HttpRule");
        assert_eq!(camel("self"), "Self_");
        assert_eq!(camel("__1"), "X1");
    }

    #[test]
    fn methods_and_modules_are_snake_case() {
        for (from, to) in [
            ("GetItem", "get_item"),
            ("HTTPRule", "http_rule"),
            ("UInt32Value", "u_int32_value"),
            ("fooBar", "foo_bar"),
            ("foo__bar", "foo_bar"),
            ("V1Beta", "v1_beta"),
            ("_x", "_x"),
            ("___", "x"),
        ] {
            assert_eq!(snake(from), to);
        }
    }

    #[test]
    fn keywords_are_raw_where_they_can_be() {
        assert_eq!(escape("type"), "r#type");
        assert_eq!(escape("gen"), "r#gen");
        assert_eq!(escape("self"), "self_");
        assert_eq!(escape("item"), "item");
    }
}
