//! Tables whose fields come in any order, again and again, or in several pieces.

use crate::layout::{Field, Kind, Shape};

use super::body::Span;
use super::{Decoder, Fault, Form, Frame, next_field, scalar};

/// Occurrences of one field that directly follow each other.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// Index of the field in the layout.
    index: u32,
    /// From the first tag to the end of the last value.
    span: Span,
}

impl Decoder<'_> {
    /// Reads the fields of a message given in pieces: scalars at once, the others slot by slot.
    pub(super) fn careful_fields(
        &mut self,
        frame: &mut Frame,
        pieces: &[Span],
    ) -> Result<(), Fault> {
        let from = self.runs.len();
        for piece in pieces {
            self.list_runs(frame, *piece, from)?;
        }
        let layout = frame.layout;
        let slot = |run: &Run| layout.fields[run.index as usize].offset;
        // Pieces and the runs in them ascend in the input, so positions tell which came first.
        self.runs[from..].sort_unstable_by_key(|run| (slot(run), run.span.start()));
        let mut at = from;
        while at < self.runs.len() {
            let offset = slot(&self.runs[at]);
            let end = at
                + self.runs[at..]
                    .iter()
                    .take_while(|run| slot(run) == offset)
                    .count();
            self.read_slot(frame, at..end)?;
            at = end;
        }
        self.runs.truncate(from);
        Ok(())
    }

    /// Takes in the scalars of one piece and lists where the fields with children are.
    fn list_runs(&mut self, frame: &mut Frame, piece: Span, from: usize) -> Result<(), Fault> {
        let mut reader = self.reader(piece);
        let mut cursor = 0;
        while !reader.is_empty() {
            let start = reader.position();
            let (number, wire_type) = reader.tag()?;
            let Some(field) = next_field(frame.layout, number, &mut cursor) else {
                self.skip_unknown(frame, &mut reader, start, number, wire_type)?;
                continue;
            };
            match Form::of(field, wire_type) {
                Form::Scalar => self.scalar_field(frame, field, &mut reader)?,
                Form::Foreign => self.skip_unknown(frame, &mut reader, start, number, wire_type)?,
                _ => {
                    reader.skip(number, wire_type, frame.depth, self.max_depth)?;
                    let index = cursor as u32;
                    let end = reader.position();
                    match self.runs[from..].last_mut() {
                        Some(run) if run.index == index && run.span.end() == start => {
                            run.span = Span::new(run.span.start(), end);
                        }
                        _ => self.runs.push(Run {
                            index,
                            span: Span::new(start, end),
                        }),
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads all occurrences of what shares one slot.
    fn read_slot(&mut self, frame: &mut Frame, runs: core::ops::Range<usize>) -> Result<(), Fault> {
        let layout = frame.layout;
        let field = &layout.fields[self.runs[runs.start].index as usize];
        let in_turn = self.turn_to(frame, field)?;
        assert!(in_turn, "slots are read in ascending order");
        if !matches!(field.shape, Shape::List | Shape::Map(_)) {
            return self.read_single(frame, runs);
        }
        for index in runs {
            let mut reader = self.reader(self.runs[index].span);
            while !reader.is_empty() {
                let (_, wire_type) = reader.tag()?;
                self.child(frame, field, Form::of(field, wire_type), &mut reader)?;
            }
        }
        Ok(())
    }

    /// Reads a field of one value, or a oneof: messages merge, of anything else the last wins.
    fn read_single(
        &mut self,
        frame: &mut Frame,
        runs: core::ops::Range<usize>,
    ) -> Result<(), Fault> {
        let layout = frame.layout;
        let mut current = &layout.fields[self.runs[runs.start].index as usize];
        let mut pieces = Vec::new();
        let mut bits = 0;
        for index in runs {
            let run = self.runs[index];
            let field = &layout.fields[run.index as usize];
            if field.number != current.number {
                self.drop_arm(current, &pieces, frame.depth)?;
                pieces.clear();
                current = field;
            }
            let mut reader = self.reader(run.span);
            while !reader.is_empty() {
                reader.tag()?;
                if field.kind.is_scalar() {
                    bits = scalar::read(&mut reader, &field.kind)?;
                    continue;
                }
                let span = self.delimited(&mut reader)?;
                self.check_text(&field.kind, span)?;
                if !matches!(field.kind, Kind::Message(_)) {
                    pieces.clear();
                }
                pieces.push(span);
            }
        }
        if current.kind.is_scalar() {
            self.put_scalar_arm(frame, current, bits)
        } else {
            self.put_single(frame, current, &pieces)
        }
    }

    /// Reads a oneof arm that a later one replaces, only to find out whether it is well-formed.
    fn drop_arm(&mut self, field: &Field, pieces: &[Span], depth: u32) -> Result<(), Fault> {
        if let Kind::Message(layout) = field.kind {
            let out = self.out.len();
            let body = self.merged_table(layout, pieces, depth + 1)?;
            self.bodies.truncate(body.start);
            self.links.truncate(body.links);
            self.out.truncate(out);
        }
        Ok(())
    }
}
