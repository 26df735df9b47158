//! Layouts as a person or a script reads them.

use std::fmt::{self, Write as _};

use crate::diagnostic::Place;
use crate::format::{Finding, ReportFormat, github, plain};
use crate::layout::{LayoutHash, closure_hash};
use crate::model::{Message, Schema, Shape};
use crate::parse::{Parsed, place_under};

/// Where each value of each message lies, and the hashes that revisions are told apart by.
///
/// `Display` prints it for a person, [`to_json`](Self::to_json) for a script, and
/// [`to_format`](Self::to_format) for whoever shows it at the messages themselves.
#[derive(Clone, Debug)]
pub struct LayoutReport {
    messages: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    /// Where it is declared; a descriptor set does not tell.
    place: Option<Place>,
    size: u32,
    slots: Vec<SlotEntry>,
    /// The hash of the empty prefix: of the name alone.
    first: LayoutHash,
    closure: LayoutHash,
    reaches: Vec<String>,
}

#[derive(Clone, Debug)]
struct SlotEntry {
    number: u32,
    /// The field's name; empty for a retired slot.
    name: String,
    ty: String,
    form: &'static str,
    offset: u32,
    bit: Option<u32>,
    chain: LayoutHash,
}

impl LayoutReport {
    /// Reports the messages of the files that code is generated for.
    pub(crate) fn of(parsed: &Parsed, schema: &Schema) -> Self {
        let mut names = Vec::new();
        for file in schema.files.values().filter(|file| file.generate) {
            names.extend(file.messages.iter().cloned());
        }
        let mut next = 0;
        while let Some(message) = names.get(next).and_then(|name| schema.messages.get(name)) {
            names.extend(message.messages.iter().cloned());
            next += 1;
        }
        names.sort();
        let messages = names.iter().filter_map(|name| schema.messages.get(name));
        Self {
            messages: messages
                .map(|message| Entry::of(parsed, schema, message))
                .collect(),
        }
    }

    /// The report in one of the formats; for annotations and editors, one line a message with its
    /// size and its hashes, at the place where it is declared.
    #[must_use]
    pub fn to_format(&self, format: ReportFormat) -> String {
        let line = match format {
            ReportFormat::Text => return self.to_string(),
            ReportFormat::Json => return self.to_json(),
            ReportFormat::Github => github,
            ReportFormat::Lines => plain,
        };
        let mut out = String::new();
        for message in &self.messages {
            message.line(&mut out, line);
        }
        out
    }

    /// Prints the report as one JSON array of messages.
    #[must_use]
    pub fn to_json(&self) -> String {
        let messages: Vec<String> = self.messages.iter().map(Entry::to_json).collect();
        format!("[{}]\n", messages.join(","))
    }
}

impl Entry {
    fn of(parsed: &Parsed, schema: &Schema, message: &Message) -> Self {
        let closure = schema.closure(&message.full_name);
        let chain = &message.layout.chain;
        let slots = message
            .layout
            .slots
            .iter()
            .zip(&chain[1..])
            .map(|(slot, chain)| {
                let mut ty = slot
                    .ty
                    .name()
                    .unwrap_or_else(|| slot.ty.kind_name())
                    .to_owned();
                match slot.shape {
                    Shape::List { .. } => ty = format!("repeated {ty}"),
                    Shape::Map { key } => ty = format!("map<{}, {ty}>", key.proto_name()),
                    Shape::Optional => ty = format!("optional {ty}"),
                    Shape::Plain | Shape::Arm => {}
                }
                SlotEntry {
                    number: slot.number,
                    name: slot
                        .field
                        .map(|f| message.fields[f].name.clone())
                        .unwrap_or_default(),
                    ty,
                    form: slot.form(),
                    offset: slot.offset,
                    bit: slot.bit,
                    chain: *chain,
                }
            });
        Self {
            name: message.full_name.clone(),
            place: declared(parsed, &message.full_name),
            size: message.layout.size,
            slots: slots.collect(),
            first: chain[0],
            closure: closure_hash(&closure),
            reaches: closure
                .iter()
                .map(|message| message.full_name.clone())
                .collect(),
        }
    }

    /// What has changed of a message is to be seen in the last hash of its chain and in the closure.
    fn line(&self, out: &mut String, line: fn(&mut String, &Finding<'_>)) {
        let chain = self.slots.last().map_or(self.first, |slot| slot.chain);
        let Self {
            name,
            size,
            closure,
            ..
        } = self;
        let message = format!("message {name}: size {size}, chain {chain}, closure {closure}");
        let finding = Finding {
            level: "notice",
            title: Some("LAYOUT"),
            message: &message,
            place: self.place.as_ref(),
        };
        line(out, &finding);
    }

    fn to_json(&self) -> String {
        let slots: Vec<String> = self.slots.iter().map(SlotEntry::to_json).collect();
        let reaches: Vec<String> = self
            .reaches
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        format!(
            "{{\"message\":\"{}\",\"size\":{},\"first\":\"{}\",\"closure\":\"{}\",\
             \"reaches\":[{}],\"slots\":[{}]}}",
            self.name,
            self.size,
            self.first,
            self.closure,
            reaches.join(","),
            slots.join(",")
        )
    }
}

/// Where a message is declared.
fn declared(parsed: &Parsed, name: &str) -> Option<Place> {
    let message = parsed.pool.get_message_by_name(name)?;
    let file = message.parent_file();
    place_under(&parsed.sources, &file, message.path(), &[])
}

impl SlotEntry {
    /// Names and types are protobuf identifiers, which need no escaping.
    fn to_json(&self) -> String {
        let mut out = format!("{{\"number\":{},", self.number);
        if self.name.is_empty() {
            out.push_str("\"retired\":true,");
        } else {
            let _ = write!(out, "\"name\":\"{}\",", self.name);
        }
        let _ = write!(
            out,
            "\"type\":\"{}\",\"form\":\"{}\",\"offset\":{},",
            self.ty, self.form, self.offset
        );
        if let Some(bit) = self.bit {
            let _ = write!(out, "\"bit\":{bit},");
        }
        let _ = write!(out, "\"chain\":\"{}\"}}", self.chain);
        out
    }
}

impl fmt::Display for LayoutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, message) in self.messages.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{message}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "message {}  size {}  closure {}",
            self.name, self.size, self.closure
        )?;
        writeln!(
            f,
            "  {:>6}  {:>5}  {:<8}  chain {}",
            "offset", "bit", "form", self.first
        )?;
        for slot in &self.slots {
            let bit = slot
                .bit
                .map_or_else(|| "-".to_owned(), |bit| bit.to_string());
            let name = if slot.name.is_empty() {
                "(retired)"
            } else {
                &slot.name
            };
            writeln!(
                f,
                "  {:>6}  {:>5}  {:<8}  chain {}  {} {name} = {}",
                slot.offset, bit, slot.form, slot.chain, slot.ty, slot.number
            )?;
        }
        Ok(())
    }
}
