//! The messages whose JSON form is not an object of their fields.

use super::Decoder;
use crate::WireError;
use crate::dynamic::DynTable;
use crate::json::field_mask::to_snake;
use crate::json::lexer::{Lexer, Next};
use crate::json::time::{Parts, parse_duration, parse_timestamp};
use crate::json::well_known::{TYPE_KEY, VALUE_KEY, WellKnown, well_known};
use crate::layout::{Kind, Layout};
use crate::limits::Limits;

impl Decoder<'_> {
    pub(super) fn well_known(
        &mut self,
        form: WellKnown,
        layout: &'static Layout,
        depth: u32,
    ) -> Result<(), WireError> {
        match form {
            WellKnown::Any => self.any(depth),
            WellKnown::Duration => self.time(parse_duration, "expected a duration such as 1.5s"),
            WellKnown::Timestamp => self.time(parse_timestamp, "expected an RFC 3339 timestamp"),
            WellKnown::FieldMask => self.field_mask(),
            WellKnown::Value => self.dynamic_value(layout, depth),
            // Each has one field, whose value is the whole.
            WellKnown::Struct | WellKnown::ListValue | WellKnown::Wrapper => {
                match layout.field(1).map(|field| (field, field.shape)) {
                    Some((field, crate::Shape::Map(key))) => self.map(field, key, depth),
                    Some((field, crate::Shape::List)) => self.list(field, depth),
                    Some((field, _)) => self.single(1, &field.kind, depth).map(drop),
                    None => Err(self.lexer.error(MISSHAPEN)),
                }
            }
        }
    }

    fn time(
        &mut self,
        parse: impl FnOnce(&str) -> Option<Parts>,
        expected: &'static str,
    ) -> Result<(), WireError> {
        let text = self.text(expected)?;
        let (seconds, nanos) = parse(&text).ok_or_else(|| self.lexer.error(expected))?;
        self.out
            .tagged_scalar(1, &Kind::Int64, seconds.cast_unsigned());
        self.out
            .tagged_scalar(2, &Kind::Int32, i64::from(nanos).cast_unsigned());
        Ok(())
    }

    fn field_mask(&mut self) -> Result<(), WireError> {
        let mask = self.text("expected a field mask as a string")?;
        if mask.is_empty() {
            return Ok(());
        }
        for path in mask.split(',') {
            match to_snake(path) {
                Some(path) => self.out.delimited(1, path.as_bytes()),
                None => return Err(self.lexer.error("a field mask's path has an underscore")),
            }
        }
        Ok(())
    }

    /// Reads any JSON value into a `google.protobuf.Value`.
    fn dynamic_value(&mut self, layout: &'static Layout, depth: u32) -> Result<(), WireError> {
        let number = match self.lexer.peek()? {
            Next::Null => 1,
            Next::Number => 2,
            Next::String => 3,
            Next::True | Next::False => 4,
            Next::Object => 5,
            Next::Array => 6,
        };
        match layout.field(number) {
            Some(field) => self.single(number, &field.kind, depth).map(drop),
            None => Err(self.lexer.error(MISSHAPEN)),
        }
    }

    /// Reads an `Any`: the members of what it holds, and its type among them.
    fn any(&mut self, depth: u32) -> Result<(), WireError> {
        let mut ahead = self.lexer.clone();
        let Some(type_url) = self.find_type(&mut ahead, depth)? else {
            // Nothing but an object without members gets here.
            self.lexer = ahead;
            return Ok(());
        };
        let Some(layout) = self.options.resolve(&type_url) else {
            return Err(self.lexer.error("the type in an Any is not known here"));
        };
        self.out.delimited(1, type_url.as_bytes());
        let mark = self.out.open(2);
        let depth = depth + 1;
        if well_known(layout).is_some() {
            self.boxed_value(layout, depth)?;
        } else if depth > self.limits.depth() {
            return Err(WireError::TooDeep {
                max_depth: self.limits.depth(),
            });
        } else {
            self.object(layout, depth, true)?;
        }
        // What was written is meant for our transcoder; what is kept is for anyone.
        let limits = Limits::default().with_max_bytes(self.limits.bytes());
        let archive = crate::protobuf::to_archive(layout, self.out.contents(mark), &limits)?;
        let table = DynTable::from_archive(layout, &archive, &limits)?;
        self.out
            .replace(mark, |out| crate::protobuf::append(table, out));
        self.out.close(mark);
        Ok(())
    }

    /// Reads the form of an `Any` that holds a well-known message: its type and its value.
    fn boxed_value(&mut self, layout: &'static Layout, depth: u32) -> Result<(), WireError> {
        self.lexer.expect(b'{', "expected an object")?;
        let (mut found, mut type_expected) = (false, true);
        let mut more = !self.lexer.accept(b'}');
        while more {
            let at = self.lexer.position();
            let name = self.lexer.name()?;
            if type_expected && name == TYPE_KEY {
                type_expected = false;
                self.lexer.skip_value(depth, self.limits.depth())?;
            } else if name == VALUE_KEY && !found {
                found = true;
                self.message(layout, depth)?;
            } else if self.options.ignore_unknown && name != VALUE_KEY && name != TYPE_KEY {
                self.lexer.skip_value(depth, self.limits.depth())?;
            } else {
                return Err(Lexer::error_at(at, "expected a type and one value"));
            }
            more = self.lexer.more(b'}')?;
        }
        if found {
            Ok(())
        } else {
            Err(self.lexer.error("the value in an Any is missing"))
        }
    }

    /// Finds the type URL among the members of an object; nothing if it has none at all.
    fn find_type(
        &mut self,
        ahead: &mut Lexer<'_>,
        depth: u32,
    ) -> Result<Option<String>, WireError> {
        let start = ahead.position();
        ahead.expect(b'{', "expected an object")?;
        if ahead.accept(b'}') {
            return Ok(None);
        }
        let mut found = None;
        let mut more = true;
        while more {
            if ahead.name()? == TYPE_KEY {
                if found.is_some() || ahead.peek()? != Next::String {
                    return Err(ahead.error("the type in an Any is one string"));
                }
                found = Some(ahead.string()?.into_owned());
            } else {
                // A type that comes first, as all writers put it, costs no second reading; that
                // it does not come again is found out when its members are read.
                if found.is_some() {
                    break;
                }
                ahead.skip_value(depth, self.limits.depth())?;
            }
            more = ahead.more(b'}')?;
        }
        let read = ahead.position() - start;
        self.lookahead_left = self
            .lookahead_left
            .checked_sub(read)
            .ok_or_else(|| ahead.error("nested Any messages must name their types first"))?;
        found
            .map(Some)
            .ok_or_else(|| ahead.error("the type in an Any is missing"))
    }
}

const MISSHAPEN: &str = "a message with a well-known name has other fields";
