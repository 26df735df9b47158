//! A look at the raw text before the parser sees it.
//!
//! The parser recurses on nesting, so the nesting is bounded here; and it knows nothing of editions,
//! so those are told apart here.

use std::ops::Range;

/// What the text says about itself before it is parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Where nesting first exceeds [`NESTING_MAX`].
    pub(super) too_deep: Option<Range<usize>>,
    /// The `edition` statement, if the file opens with one.
    pub(super) edition: Option<Range<usize>>,
}

/// Scans `source` in one pass without recursion.
pub(super) fn scan(source: &str) -> Scan {
    let mut found = Scan::default();
    let mut depth = 0_usize;
    let mut first_word = true;
    let mut cursor = Cursor {
        bytes: source.as_bytes(),
        at: 0,
    };
    while let Some((token, span)) = cursor.next() {
        match token {
            Token::Open => {
                depth += 1;
                if depth > NESTING_MAX && found.too_deep.is_none() {
                    found.too_deep = Some(span);
                }
            }
            Token::Close => depth = depth.saturating_sub(1),
            Token::Word if first_word && &source[span.clone()] == "edition" => {
                let end = source[span.start..]
                    .find(';')
                    .map_or(span.end, |n| span.start + n);
                found.edition = Some(span.start..end.min(span.start + 80).max(span.end));
            }
            Token::Word | Token::Other => {}
        }
        first_word = false;
    }
    found
}

/// The deepest nesting of brackets accepted: messages nest 32 deep at most, option values a little.
pub(super) const NESTING_MAX: usize = 64;

#[derive(Clone, Copy)]
enum Token {
    Open,
    Close,
    Word,
    Other,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<(Token, Range<usize>)> {
        loop {
            let start = self.at;
            let byte = *self.bytes.get(start)?;
            self.at += 1;
            let token = match byte {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => continue,
                b'/' if self.peek() == Some(b'/') => {
                    self.skip_to(b"\n");
                    continue;
                }
                b'/' if self.peek() == Some(b'*') => {
                    self.at += 1;
                    self.skip_to(b"*/");
                    continue;
                }
                b'"' | b'\'' => {
                    self.skip_string(byte);
                    Token::Other
                }
                b'{' | b'[' | b'<' | b'(' => Token::Open,
                b'}' | b']' | b'>' | b')' => Token::Close,
                _ if is_word(byte) => {
                    while self.peek().is_some_and(is_word) {
                        self.at += 1;
                    }
                    Token::Word
                }
                _ => Token::Other,
            };
            return Some((token, start..self.at));
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_to(&mut self, end: &[u8]) {
        let rest = &self.bytes[self.at..];
        let found = rest.windows(end.len()).position(|window| window == end);
        self.at = found.map_or(self.bytes.len(), |n| self.at + n + end.len());
    }

    fn skip_string(&mut self, quote: u8) {
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at = (self.at + 1).min(self.bytes.len()),
                // A string ends at its line's end at the latest; the parser reports it.
                b'\n' => return,
                _ if byte == quote => return,
                _ => {}
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_bounded_at_the_limit_and_one_past_it() {
        assert_eq!(scan(&"{".repeat(NESTING_MAX)).too_deep, None);
        let deep = scan(&"{".repeat(NESTING_MAX + 1));
        assert_eq!(deep.too_deep, Some(NESTING_MAX..NESTING_MAX + 1));
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let text = format!("/* {0} */ // {0}\n \"{0}\" '\\'{0}'", "{".repeat(200));
        assert_eq!(scan(&text), Scan::default());
    }

    #[test]
    fn an_edition_is_seen_behind_comments_and_only_as_the_first_word() {
        let text = "// new\nedition = \"2023\";";
        assert_eq!(scan(text).edition, Some(7..23));
        assert_eq!(scan("syntax = \"proto3\"; edition = 1;").edition, None);
    }

    #[test]
    fn unfinished_text_ends_the_scan() {
        for text in ["\"abc", "/* abc", "// abc", "'\\", "/"] {
            assert_eq!(scan(text), Scan::default());
        }
    }
}
