//! Messages one after another in a text that is read as it comes.

use std::io::{BufRead, BufReader, ErrorKind, Read};

use dreammesh_core::wire::{Layout, Limits, Segment, WireError, json};

/// Finds where each message of a text begins and ends.
///
/// It gives a message as soon as its last byte has come, which lets a person hold a conversation.
/// Whether it is JSON at all shows when it is made an archive.
pub(crate) struct Messages<R> {
    reader: BufReader<R>,
    bytes_max: usize,
    /// How many were given.
    given: usize,
    line: usize,
    column: usize,
}

/// The text of one message, and where it begins.
pub(crate) struct Text {
    number: usize,
    line: usize,
    column: usize,
    json: String,
}

/// What decides where a value ends.
enum Ending {
    /// An object or array that is this deep, in a string or not.
    Closing {
        depth: usize,
        quoted: bool,
    },
    Quote,
    /// A number or a word lasts until something else begins.
    Gap,
}

impl<R: Read> Messages<R> {
    /// Reads messages whose text is not longer than `bytes_max`.
    pub(crate) fn new(reader: R, bytes_max: usize) -> Self {
        Self {
            reader: BufReader::new(reader),
            bytes_max,
            given: 0,
            line: 1,
            column: 1,
        }
    }

    /// The next message, or none at the end of the text.
    pub(crate) fn next(&mut self) -> Result<Option<Text>, String> {
        while self.peek()?.is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.advance();
        }
        let Some(first) = self.peek()? else {
            return Ok(None);
        };
        self.given += 1;
        let (number, line, column) = (self.given, self.line, self.column);
        let bytes = self.value(first).map_err(|problem| {
            format!("{problem} message {number}, which begins at line {line} column {column}")
        })?;
        let json = String::from_utf8(bytes)
            .map_err(|_| format!("the data are no UTF-8 in message {number} at line {line}"))?;
        Ok(Some(Text {
            number,
            line,
            column,
            json,
        }))
    }

    fn value(&mut self, first: u8) -> Result<Vec<u8>, String> {
        let mut ending = match first {
            b'{' | b'[' => Ending::Closing {
                depth: 0,
                quoted: false,
            },
            b'"' => Ending::Quote,
            _ => Ending::Gap,
        };
        let (mut bytes, mut escaped) = (Vec::new(), false);
        while let Some(byte) = self.peek()? {
            if matches!(ending, Ending::Gap) && !bytes.is_empty() && ends_word(byte) {
                return Ok(bytes);
            }
            if bytes.len() == self.bytes_max {
                return Err(format!("more than {} bytes are in", self.bytes_max));
            }
            self.advance();
            bytes.push(byte);
            if escaped {
                escaped = false;
                continue;
            }
            match &mut ending {
                Ending::Quote | Ending::Closing { quoted: true, .. } if byte == b'\\' => {
                    escaped = true;
                }
                Ending::Quote if byte == b'"' && bytes.len() > 1 => return Ok(bytes),
                Ending::Closing { quoted, .. } if byte == b'"' => *quoted = !*quoted,
                Ending::Closing {
                    depth,
                    quoted: false,
                } => match byte {
                    b'{' | b'[' => *depth += 1,
                    b'}' | b']' => {
                        *depth -= 1;
                        if *depth == 0 {
                            return Ok(bytes);
                        }
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        match ending {
            Ending::Gap => Ok(bytes),
            _ => Err("the data end within".to_owned()),
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, String> {
        loop {
            match self.reader.fill_buf() {
                Ok(buffered) => return Ok(buffered.first().copied()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("cannot read the data: {error}")),
            }
        }
    }

    /// Goes past the byte that was peeked at.
    fn advance(&mut self) {
        match self.reader.buffer().first() {
            Some(b'\n') => (self.line, self.column) = (self.line + 1, 1),
            // The further bytes of a character are no column.
            Some(0x80..=0xbf) | None => {}
            Some(_) => self.column += 1,
        }
        self.reader.consume(1);
    }
}

/// Whether a byte cannot continue a number or a word.
const fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'{' | b'[' | b'"')
}

impl Text {
    /// Makes the message an archive.
    ///
    /// The failure says which message it is, and where in the whole text.
    pub(crate) fn archive(
        &self,
        layout: &'static Layout,
        options: &json::Options<'_>,
        limits: &Limits,
    ) -> Result<Segment, String> {
        let archive = json::to_archive(layout, &self.json, options, limits);
        let archive = archive.map_err(|error| {
            let (number, name) = (self.number, layout.name);
            format!("message {number} is no `{name}`: {}", self.placed(error))
        })?;
        Ok(Segment::from_vec(archive))
    }

    fn placed(&self, error: WireError) -> String {
        let WireError::Decode { reason, position } = error else {
            return error.to_string();
        };
        let before = &self.json[..self.json.floor_char_boundary(position)];
        let line = self.line + before.matches('\n').count();
        let column = match before.rsplit_once('\n') {
            Some((_, last)) => last.chars().count() + 1,
            None => self.column + before.chars().count(),
        };
        format!("{reason} at line {line} column {column}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: impl Read, bytes_max: usize) -> (Vec<String>, Option<String>) {
        let mut messages = Messages::new(text, bytes_max);
        let mut found = Vec::new();
        loop {
            match messages.next() {
                Ok(Some(text)) => {
                    found.push(format!("{}:{} {}", text.line, text.column, text.json))
                }
                Ok(None) => return (found, None),
                Err(problem) => return (found, Some(problem)),
            }
        }
    }

    #[test]
    fn each_value_ends_where_it_does_whatever_follows() {
        let text = "{\"a\":[{}, \"}\\\"]\"]}{}\n [1]\"é \\\" \" 12 true\"x\"-1.5{\n}\n";
        let expected = [
            "1:1 {\"a\":[{}, \"}\\\"]\"]}",
            "1:19 {}",
            "2:2 [1]",
            "2:5 \"é \\\" \"",
            "2:13 12",
            "2:16 true",
            "2:20 \"x\"",
            "2:23 -1.5",
            "2:27 {\n}",
        ];
        let (found, problem) = read(text.as_bytes(), 100);
        assert_eq!((found, problem), (expected.map(str::to_owned).into(), None));
        assert_eq!(read(&b" \n\t"[..], 100), (Vec::new(), None));
    }

    #[test]
    fn what_ends_too_soon_is_too_long_or_no_text_is_said_with_its_place() {
        let problem = |text: &[u8], max: usize| read(text, max).1.unwrap_or_default();
        for text in ["{} {\"a\":", "{} [", "{} \"a\\\"", "{} {\"}"] {
            let expected = "the data end within message 2, which begins at line 1 column 4";
            assert_eq!(problem(text.as_bytes(), 100), expected, "{text}");
        }
        for text in ["{\"a\":1}", "\"abcde\"", "1234567"] {
            assert_eq!(problem(text.as_bytes(), 7), "", "{text}");
            let expected = "more than 6 bytes are in message 1, which begins at line 1 column 1";
            assert_eq!(problem(text.as_bytes(), 6), expected, "{text}");
        }
        let expected = "the data are no UTF-8 in message 1 at line 1";
        assert_eq!(problem(b"\"\xff\"", 100), expected);
    }
}
