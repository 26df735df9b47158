//! OPEN: a call begins (PROTOCOL.md §4.3).

use dreammesh_core::call::{Metadata, Priority, TraceContext};

use super::section::{self, Sections};
use super::{
    Frame, HEADER_LEN, Header, Violation, fixed, flag, header, kind, metadata, mode_flags, u32_at,
};
use dreammesh_core::port::WireMode;

/// The longest idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;

/// The head of the frame as it arrived.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Open<'a> {
    /// Index of the method.
    pub method: u32,
    /// Time remaining, in microseconds.
    pub remaining_us: Option<u64>,
    /// Priority among the calls of the connection.
    pub priority: Priority,
    /// Which attempt of its call this is, from 0.
    pub attempt: u32,
    /// What most calls do not have.
    pub rare: Option<Rare<'a>>,
}

/// The sections that most calls do not have.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Rare<'a> {
    /// The value of the metadata section.
    pub metadata: Option<&'a [u8]>,
    /// The trace; one that is malformed is dropped, as W3C Trace Context asks.
    pub trace: Option<TraceContext>,
    /// The caller's key for telling repetitions.
    pub idempotency_key: Option<&'a str>,
}

impl<'a> Open<'a> {
    /// Reads the head of the frame.
    ///
    /// # Errors
    /// When it is malformed or holds an unknown critical section.
    #[inline]
    pub fn parse(frame: &Frame<'a>) -> Result<Self, Violation> {
        let (fields, rest) = fixed::<8>(frame.head, "OPEN without its method")?;
        let mut open = Self {
            method: u32_at(fields, 0),
            remaining_us: None,
            priority: Priority::NORMAL,
            attempt: 0,
            rare: None,
        };
        if !rest.is_empty() {
            open.sections(rest)?;
        }
        Ok(open)
    }

    fn sections(&mut self, rest: &'a [u8]) -> Result<(), Violation> {
        let mut sections = Sections::new(rest);
        while let Some((number, value)) = sections.take()? {
            match number {
                section::METADATA => self.rare().metadata = Some(value),
                section::TIME_REMAINING => self.remaining_us = Some(section::integer(value)?),
                section::TRACE => self.rare().trace = read_trace(value)?,
                section::PRIORITY => {
                    let number = section::integer(value)?.min(u64::from(u8::MAX));
                    self.priority = Priority::from_number(number as u8);
                }
                section::ATTEMPT => {
                    self.attempt = section::integer(value)?.min(u64::from(u32::MAX)) as u32;
                }
                section::IDEMPOTENCY_KEY => self.rare().idempotency_key = Some(read_key(value)?),
                other => section::unknown(other)?,
            }
        }
        Ok(())
    }

    fn rare(&mut self) -> &mut Rare<'a> {
        self.rare.get_or_insert_default()
    }
}

fn read_key(value: &[u8]) -> Result<&str, Violation> {
    if value.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(Violation::protocol("idempotency key too long"));
    }
    std::str::from_utf8(value).map_err(|_| Violation::protocol("idempotency key is not text"))
}

/// Trace id, span id, flags, then the trace state (PROTOCOL.md §4.3).
fn read_trace(value: &[u8]) -> Result<Option<TraceContext>, Violation> {
    let (ids, state) = fixed::<25>(value, "trace context too short")?;
    let (mut trace_id, mut span_id) = ([0; 16], [0; 8]);
    trace_id.copy_from_slice(&ids[..16]);
    span_id.copy_from_slice(&ids[16..24]);
    let context = TraceContext::new(trace_id, span_id, ids[24]);
    let state = std::str::from_utf8(state).unwrap_or_default();
    Ok(context
        .ok()
        .map(|plain| plain.clone().with_state(state).unwrap_or(plain)))
}

/// The head of the frame as it is sent.
#[derive(Debug)]
pub(crate) struct OpenHead<'a> {
    pub(crate) method: u32,
    pub(crate) metadata: &'a Metadata,
    pub(crate) remaining_us: Option<u64>,
    pub(crate) trace: Option<&'a TraceContext>,
    pub(crate) priority: Priority,
    pub(crate) attempt: u32,
    pub(crate) idempotency_key: Option<&'a str>,
}

impl OpenHead<'_> {
    /// Appends the frame up to its payload of `message`'s length and form, if there is one.
    #[inline]
    pub(crate) fn write(
        &self,
        out: &mut Vec<u8>,
        stream: (u32, u32),
        message: Option<(usize, WireMode)>,
        end: bool,
    ) {
        let flags = if end { flag::END } else { 0 }
            | message.map_or(0, |(_, mode)| flag::MESSAGE | mode_flags(mode));
        let length = message.map_or(0, |(length, _)| length);
        if self.is_plain() {
            self.write_plain(out, flags, stream, length);
            return;
        }
        let start = header::begin(out, kind::OPEN, flags, stream.0, stream.1);
        out.extend_from_slice(&u64::from(self.method).to_le_bytes());
        self.put_sections(out);
        header::end_head(out, start, length);
    }

    /// Whether nothing but a time remaining of the usual size has to be said.
    #[inline]
    fn is_plain(&self) -> bool {
        self.metadata.is_empty()
            && self.trace.is_none()
            && self.priority == Priority::NORMAL
            && self.attempt == 0
            && self.idempotency_key.is_none()
            && self.remaining_us.is_none_or(|us| us <= u64::from(u32::MAX))
    }

    /// The head of most calls, put together in registers.
    #[inline]
    fn write_plain(&self, out: &mut Vec<u8>, flags: u8, stream: (u32, u32), length: usize) {
        let mut bytes = [0; HEADER_LEN + 16];
        let head_len = if self.remaining_us.is_some() { 16 } else { 8 };
        let header = Header {
            length: (head_len + length) as u32,
            kind: kind::OPEN,
            flags,
            head_len: head_len as u16,
            slot: stream.0,
            generation: stream.1,
        };
        bytes[..16].copy_from_slice(&header.bytes());
        bytes[16..24].copy_from_slice(&u64::from(self.method).to_le_bytes());
        match self.remaining_us {
            Some(us) => {
                let section = section::short_integer(section::TIME_REMAINING, us as u32);
                bytes[24..].copy_from_slice(&section);
                out.extend_from_slice(&bytes);
            }
            None => out.extend_from_slice(&bytes[..24]),
        }
    }

    #[cold]
    fn put_sections(&self, out: &mut Vec<u8>) {
        metadata::put(out, self.metadata);
        if let Some(remaining_us) = self.remaining_us {
            section::put_integer(out, section::TIME_REMAINING, remaining_us);
        }
        if let Some(trace) = self.trace {
            put_trace(out, trace);
        }
        if self.priority != Priority::NORMAL {
            section::put_integer(out, section::PRIORITY, u64::from(self.priority.number()));
        }
        if self.attempt != 0 {
            section::put_integer(out, section::ATTEMPT, u64::from(self.attempt));
        }
        if let Some(key) = self.idempotency_key {
            section::put(out, section::IDEMPOTENCY_KEY, key.as_bytes());
        }
    }
}

fn put_trace(out: &mut Vec<u8>, trace: &TraceContext) {
    let length = 25 + trace.state().len();
    section::put_header(out, section::TRACE, length);
    out.extend_from_slice(&trace.trace_id());
    out.extend_from_slice(&trace.span_id());
    out.push(trace.flags());
    out.extend_from_slice(trace.state().as_bytes());
    section::put_padding(out, length);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head<'a>(metadata: &'a Metadata) -> OpenHead<'a> {
        OpenHead {
            method: 5,
            metadata,
            remaining_us: None,
            trace: None,
            priority: Priority::NORMAL,
            attempt: 0,
            idempotency_key: None,
        }
    }

    #[test]
    fn the_plain_call_has_a_head_of_eight_bytes() {
        let mut out = Vec::new();
        head(&Metadata::new()).write(&mut out, (1, 2), Some((3, WireMode::Protobuf)), true);
        assert_eq!(out.len(), 24);
        out.extend_from_slice(&[7; 8]);
        let (frame, _) = Frame::split(&out).unwrap().unwrap();
        assert_eq!(
            frame.header.flags,
            flag::END | flag::MESSAGE | flag::PROTOBUF
        );
        assert_eq!((frame.payload, frame.header.slot), (&[7; 3][..], 1));
        let open = Open::parse(&frame).unwrap();
        assert_eq!((open.method, open.remaining_us, open.attempt), (5, None, 0));
        assert!(open.rare.is_none());
    }

    #[test]
    fn every_section_round_trips() {
        let mut entries = Metadata::new();
        entries.append("tenant", "a").unwrap();
        let trace = TraceContext::new([1; 16], [2; 8], 1)
            .unwrap()
            .with_state("a=1")
            .unwrap();
        let mut out = Vec::new();
        let full = OpenHead {
            remaining_us: Some(u64::MAX),
            trace: Some(&trace),
            priority: Priority::CRITICAL,
            attempt: 3,
            idempotency_key: Some("key"),
            ..head(&entries)
        };
        full.write(&mut out, (1, 2), None, false);
        let (frame, total) = Frame::split(&out).unwrap().unwrap();
        assert_eq!(total, out.len());
        let open = Open::parse(&frame).unwrap();
        assert_eq!((open.remaining_us, open.attempt), (Some(u64::MAX), 3));
        assert_eq!(open.priority, Priority::CRITICAL);
        let rare = open.rare.unwrap();
        assert_eq!(
            (rare.trace, rare.idempotency_key),
            (Some(trace), Some("key"))
        );
        let read = metadata::parse(rare.metadata.unwrap(), 1024)
            .unwrap()
            .unwrap();
        assert_eq!(read, entries);
    }

    #[test]
    fn a_zero_trace_is_dropped_and_a_long_key_refused() {
        assert_eq!(read_trace(&[0; 25]).unwrap(), None);
        assert!(read_trace(&[1; 24]).is_err());
        assert!(read_key(&[b'k'; 256]).is_ok() && read_key(&[b'k'; 257]).is_err());
    }
}
