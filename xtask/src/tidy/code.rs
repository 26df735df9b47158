//! A Rust file as tokens: no comments and no strings to be fooled by, and each token knows what
//! surrounds it.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// One token and what is known about its place.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// The token's text; `::` is one token, a group's brackets are tokens of their own.
    pub(crate) text: String,
    /// The line it stands on, from 1.
    pub(crate) line: usize,
    /// Whether it is compiled only for tests.
    pub(crate) test: bool,
    /// Whether a `cfg` that names an operating system encloses it.
    pub(crate) platform: bool,
}

/// An attribute, without the brackets.
#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A parsed file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Code {
    pub(crate) tokens: Vec<Token>,
    pub(crate) attributes: Vec<Attribute>,
    /// Lines inside of items that are compiled only for tests.
    pub(crate) test_lines: usize,
}

/// What the attributes before an item say about everything in it.
#[derive(Debug, Clone, Copy, Default)]
struct Scope {
    test: bool,
    platform: bool,
}

impl Code {
    /// Reads a file's text; `test` and `platform` say what is known of the file as a whole.
    ///
    /// # Errors
    /// When the text is not Rust.
    pub(crate) fn parse(text: &str, test: bool, platform: bool) -> Result<Self, String> {
        // A `#!` line is for the shell, and a byte order mark for nobody.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let stream: TokenStream = text.parse().map_err(|error| format!("not Rust: {error}"))?;
        let mut code = Self::default();
        code.walk(stream, Scope { test, platform });
        Ok(code)
    }

    /// The lines on which `pattern` stands, as consecutive tokens outside of tests.
    pub(crate) fn lines_with(&self, pattern: &[&str]) -> Vec<usize> {
        self.matches(pattern)
            .filter(|token| !token.test)
            .map(|token| token.line)
            .collect()
    }

    /// The first token of each place where `pattern` stands.
    pub(crate) fn matches<'a>(&'a self, pattern: &'a [&str]) -> impl Iterator<Item = &'a Token> {
        self.tokens
            .windows(pattern.len())
            .filter(move |window| {
                window
                    .iter()
                    .zip(pattern)
                    .all(|(token, want)| token.text == *want)
            })
            .map(|window| &window[0])
    }

    fn walk(&mut self, stream: TokenStream, outer: Scope) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut enclosing = outer;
        let mut scope = outer;
        let mut index = 0;
        // Angle brackets are plain tokens, so a comma between them must not be taken for the end of
        // an item.
        let mut angles = 0_i32;
        while index < trees.len() {
            if let Some((attribute, inner, length)) = attribute_at(&trees[index..]) {
                let said = scope_of(&attribute.text);
                scope = Scope {
                    test: scope.test | said.test,
                    platform: scope.platform | said.platform,
                };
                if inner {
                    enclosing = scope;
                }
                self.attributes.push(attribute);
                index += length;
                continue;
            }
            let ends = match &trees[index] {
                TokenTree::Group(group) => {
                    self.group(group, scope, enclosing);
                    group.delimiter() == Delimiter::Brace
                }
                TokenTree::Punct(punct) => {
                    let sign = punct.as_char();
                    let arrow = index > 0 && is_punct(&trees[index - 1], "-=");
                    match sign {
                        '<' => angles += 1,
                        '>' if !arrow => angles -= 1,
                        _ => {}
                    }
                    let double = sign == ':'
                        && punct.spacing() == Spacing::Joint
                        && trees.get(index + 1).is_some_and(|next| is_punct(next, ":"));
                    let text = if double {
                        "::".to_owned()
                    } else {
                        sign.to_string()
                    };
                    self.push(text, &trees[index], scope);
                    index += usize::from(double);
                    sign == ';' || (sign == ',' && angles <= 0)
                }
                other => {
                    self.push(other.to_string(), other, scope);
                    false
                }
            };
            if ends {
                scope = enclosing;
                angles = 0;
            }
            index += 1;
        }
    }

    fn group(&mut self, group: &Group, scope: Scope, enclosing: Scope) {
        let (first, last) = (
            group.span_open().start().line,
            group.span_close().end().line,
        );
        if scope.test && !enclosing.test && group.delimiter() == Delimiter::Brace {
            self.test_lines += last - first + 1;
        }
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => ("", ""),
        };
        let token = |text: &str, line| Token {
            text: text.to_owned(),
            line,
            test: scope.test,
            platform: scope.platform,
        };
        self.tokens.push(token(open, first));
        self.walk(group.stream(), scope);
        self.tokens.push(token(close, last));
    }

    fn push(&mut self, text: String, tree: &TokenTree, scope: Scope) {
        let line = tree.span().start().line;
        self.tokens.push(Token {
            text,
            line,
            test: scope.test,
            platform: scope.platform,
        });
    }
}

/// The attribute that begins here, whether it is an inner one (`#!`), and how many trees it takes.
fn attribute_at(trees: &[TokenTree]) -> Option<(Attribute, bool, usize)> {
    if !is_punct(trees.first()?, "#") {
        return None;
    }
    let inner = is_punct(trees.get(1)?, "!");
    let TokenTree::Group(group) = trees.get(1 + usize::from(inner))? else {
        return None;
    };
    if group.delimiter() != Delimiter::Bracket {
        return None;
    }
    let attribute = Attribute {
        text: group.stream().to_string(),
        line: group.span_open().start().line,
    };
    Some((attribute, inner, 2 + usize::from(inner)))
}

fn is_punct(tree: &TokenTree, signs: &str) -> bool {
    matches!(tree, TokenTree::Punct(punct) if signs.contains(punct.as_char()))
}

fn scope_of(attribute: &str) -> Scope {
    let is_cfg = attribute.starts_with("cfg") && !attribute.starts_with("cfg_attr");
    let words = || attribute.split(|c: char| !c.is_alphanumeric() && c != '_');
    Scope {
        test: attribute == "test"
            || attribute.ends_with(":: test")
            || attribute.starts_with("tokio :: test")
            || (is_cfg
                && words().any(|word| word == "test")
                && !attribute.replace(' ', "").contains("not(test")),
        platform: is_cfg
            && words()
                .any(|word| word == "unix" || word == "windows" || word.starts_with("target_")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        Code::parse(text, false, false).unwrap()
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        let code = code("// Instant::now()\n/// Instant::now()\nfn f() { g(\"Instant::now()\") }");
        assert!(code.lines_with(&["Instant", "::", "now"]).is_empty());
        assert_eq!(code.lines_with(&["g"]), [3]);
    }

    #[test]
    fn test_items_are_known_and_end_where_they_end() {
        let code = code(
            "#[cfg(test)]\nmod tests {\n fn a() {}\n}\nfn b<A, B>() {}\n#[test]\nfn c() { d() }\nfn e() {}",
        );
        assert!(code.lines_with(&["a"]).is_empty());
        assert!(code.lines_with(&["d"]).is_empty());
        assert_eq!(code.lines_with(&["b"]), [5]);
        assert_eq!(code.lines_with(&["e"]), [8]);
        assert_eq!(code.test_lines, 4);
    }

    #[test]
    fn not_test_is_not_test() {
        assert_eq!(
            code("#[cfg(not(test))]\nfn a() { b() }").lines_with(&["b"]),
            [2]
        );
    }

    #[test]
    fn a_platform_cfg_covers_its_item_alone() {
        let code = code(
            "#[cfg(unix)]\nuse a::{b, c};\n#[cfg(target_os = \"linux\")] fn d() { e }\nuse f;",
        );
        let guarded = |name| code.matches(&[name]).next().unwrap().platform;
        assert!(guarded("c") && guarded("e"));
        assert!(!guarded("f"));
    }

    #[test]
    fn an_inner_attribute_covers_the_rest() {
        let code = code("#![cfg(unix)]\nuse a;\nfn b() {}\nfn c() {}");
        assert!(code.tokens.iter().all(|token| token.platform));
    }

    #[test]
    fn a_generic_list_does_not_end_an_attribute() {
        let code = code("#[cfg(unix)]\nfn a<B, C>(d: D) -> E<F, G> { h }\nfn i() {}");
        assert!(code.matches(&["h"]).next().unwrap().platform);
        assert!(!code.matches(&["i"]).next().unwrap().platform);
    }
}
