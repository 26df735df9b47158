//! Cuts JSON text into strings, numbers, literals and punctuation, strictly by RFC 8259.

use std::borrow::Cow;

use crate::WireError;

/// What the next value starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// A cursor over JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    /// The next byte to read, always at a character boundary; `position <= text.len()`.
    position: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The kind of the next value, without consuming it.
    pub(crate) fn peek(&mut self) -> Result<Next, WireError> {
        match self.peek_byte() {
            Some(b'{') => Ok(Next::Object),
            Some(b'[') => Ok(Next::Array),
            Some(b'"') => Ok(Next::String),
            Some(b'-' | b'0'..=b'9') => Ok(Next::Number),
            Some(b't') => Ok(Next::True),
            Some(b'f') => Ok(Next::False),
            Some(b'n') => Ok(Next::Null),
            Some(_) => Err(self.error("expected a value")),
            None => Err(self.error("the text ends where a value is expected")),
        }
    }

    /// The next byte that is not white space, without consuming it.
    pub(crate) fn peek_byte(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.position) {
            self.position += 1;
        }
        bytes.get(self.position).copied()
    }

    /// Consumes `byte`, which must be the next one after white space.
    pub(crate) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), WireError> {
        if self.accept(byte) {
            Ok(())
        } else {
            Err(self.error(what))
        }
    }

    /// Consumes `byte` if it is the next one after white space.
    pub(crate) fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek_byte() == Some(byte);
        self.position += usize::from(found);
        found
    }

    /// After an element: consumes a comma (true) or the closing byte (false).
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, WireError> {
        if self.accept(b',') {
            Ok(true)
        } else if self.accept(close) {
            Ok(false)
        } else {
            Err(self.error("expected a comma or the end of the list"))
        }
    }

    /// Consumes a member's name and the colon behind it.
    pub(crate) fn name(&mut self) -> Result<Cow<'a, str>, WireError> {
        if self.peek_byte() != Some(b'"') {
            return Err(self.error("expected a member's name in quotes"));
        }
        let name = self.string()?;
        self.expect(b':', "expected a colon after a member's name")?;
        Ok(name)
    }

    pub(crate) fn literal(&mut self, literal: &'static str) -> Result<(), WireError> {
        if self.text[self.position..].starts_with(literal) {
            self.position += literal.len();
            Ok(())
        } else {
            Err(self.error("expected true, false or null"))
        }
    }

    /// Consumes a number and returns its text, which follows the grammar of JSON.
    pub(crate) fn number(&mut self) -> Result<&'a str, WireError> {
        let rest = &self.text[self.position..];
        match number_len(rest.as_bytes()) {
            Some(length) => {
                self.position += length;
                Ok(&rest[..length])
            }
            None => Err(self.error("a number is malformed")),
        }
    }

    /// Consumes a string, borrowing it from the text when it has no escapes.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, WireError> {
        self.position += 1;
        let start = self.position;
        let plain = self.plain_run()?;
        if self.text.as_bytes()[self.position] == b'"' {
            self.position += 1;
            return Ok(Cow::Borrowed(plain));
        }
        self.position = start;
        self.escaped_string().map(Cow::Owned)
    }

    fn escaped_string(&mut self) -> Result<String, WireError> {
        let mut string = String::new();
        loop {
            string.push_str(self.plain_run()?);
            let closing = self.text.as_bytes()[self.position] == b'"';
            self.position += 1;
            if closing {
                return Ok(string);
            }
            string.push(self.escape()?);
        }
    }

    /// Consumes up to the next quote or backslash, which is known to exist afterwards.
    fn plain_run(&mut self) -> Result<&'a str, WireError> {
        let rest = &self.text[self.position..];
        let stop = rest
            .bytes()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        match stop.map(|stop| (stop, rest.as_bytes()[stop])) {
            Some((stop, b'"' | b'\\')) => {
                self.position += stop;
                Ok(&rest[..stop])
            }
            Some((stop, _)) => {
                self.position += stop;
                Err(self.error("a control character in a string must be escaped"))
            }
            None => Err(self.error("a string has no end")),
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<char, WireError> {
        let byte = self.text.as_bytes().get(self.position).copied();
        let character = match byte {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.position += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.error("unknown escape in a string")),
        };
        self.position += 1;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Result<char, WireError> {
        const LONE: &str = "a surrogate in a string has no partner";
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.text[self.position..].starts_with("\\u") {
                    return Err(self.error(LONE));
                }
                self.position += 2;
                let second = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.error(LONE));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.error(LONE))
    }

    fn hex4(&mut self) -> Result<u32, WireError> {
        let digits = self.text.as_bytes()[self.position..].first_chunk::<4>();
        let value = digits.and_then(|digits| {
            digits.iter().try_fold(0, |value, &digit| {
                Some(value * 16 + char::from(digit).to_digit(16)?)
            })
        });
        match value {
            Some(value) => {
                self.position += 4;
                Ok(value)
            }
            None => Err(self.error("a \\u escape needs four hexadecimal digits")),
        }
    }

    /// Steps over a whole value, checking its grammar and that it nests within `max_depth`.
    ///
    /// `depth` is how many objects and arrays the value is in.
    pub(crate) fn skip_value(&mut self, depth: u32, max_depth: u32) -> Result<(), WireError> {
        match self.peek()? {
            Next::String => self.string().map(drop),
            Next::Number => self.number().map(drop),
            Next::True => self.literal("true"),
            Next::False => self.literal("false"),
            Next::Null => self.literal("null"),
            container => {
                if depth >= max_depth {
                    return Err(WireError::TooDeep { max_depth });
                }
                let object = container == Next::Object;
                let close = if object { b'}' } else { b']' };
                self.position += 1;
                let mut more = !self.accept(close);
                while more {
                    if object {
                        self.name()?;
                    }
                    self.skip_value(depth + 1, max_depth)?;
                    more = self.more(close)?;
                }
                Ok(())
            }
        }
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), WireError> {
        match self.peek_byte() {
            None => Ok(()),
            Some(_) => Err(self.error("there is text after the end of the message")),
        }
    }

    #[cold]
    pub(crate) fn error(&self, reason: &'static str) -> WireError {
        Self::error_at(self.position, reason)
    }

    #[cold]
    pub(crate) fn error_at(position: usize, reason: &'static str) -> WireError {
        WireError::Decode { reason, position }
    }
}

/// How many bytes at the start of `text` form a JSON number.
pub(crate) fn number_len(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        text[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut length = usize::from(text.first() == Some(&b'-'));
    let integer = digits(length);
    if integer == 0 || (integer > 1 && text[length] == b'0') {
        return None;
    }
    length += integer;
    if text.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        if fraction == 0 {
            return None;
        }
        length += 1 + fraction;
    }
    if let Some(b'e' | b'E') = text.get(length) {
        let sign = usize::from(matches!(text.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent == 0 {
            return None;
        }
        length += 1 + sign + exponent;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Result<String, WireError> {
        let mut lexer = Lexer::new(text);
        lexer.peek()?;
        let string = lexer.string()?.into_owned();
        lexer.end()?;
        Ok(string)
    }

    #[test]
    fn strings_and_escapes() {
        assert_eq!(string(r#" "plain" "#).unwrap(), "plain");
        assert_eq!(string(r#""""#).unwrap(), "");
        assert_eq!(
            string(r#""a\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00z""#).unwrap(),
            "a\"\\/\u{8}\u{c}\n\r\té😀z"
        );
        for bad in [
            r#"""#,
            r#""a"#,
            r#""\"#,
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            r#""\ud800""#,
            r#""\ud800\u0041""#,
            r#""\ud800x""#,
            r#""\udc00""#,
            "\"a\nb\"",
            "\"\u{0}\"",
            r#""a" b"#,
            r#""\u+123""#,
            r#""\ué12""#,
        ] {
            assert!(string(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_by_the_grammar() {
        for good in ["0", "-0", "12", "-12.5", "1e5", "1E+05", "0.10e-2"] {
            assert_eq!(number_len(good.as_bytes()), Some(good.len()), "{good}");
        }
        for bad in [
            "", "-", "01", "-01", ".5", "1.", "1.e5", "1e", "1e+", "+1", "x",
        ] {
            assert_eq!(number_len(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(number_len(b"1,"), Some(1));
    }

    #[test]
    fn skipping_checks_grammar_and_depth() {
        let skip = |text: &str, max_depth| {
            let mut lexer = Lexer::new(text);
            lexer.skip_value(0, max_depth)?;
            lexer.end()
        };
        skip(
            r#" {"a": [1, 2, {"b": null}], "c": true, "d": "x", "e": false} "#,
            3,
        )
        .unwrap();
        skip("[[]]", 2).unwrap();
        assert!(matches!(
            skip("[[]]", 1),
            Err(WireError::TooDeep { max_depth: 1 })
        ));
        for bad in [
            "",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[",
            "tru",
            "nul",
            "[1}",
            "]",
        ] {
            assert!(skip(bad, 9).is_err(), "{bad}");
        }
    }
}
