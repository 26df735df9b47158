//! END: a call is over, with its status and trailing metadata (PROTOCOL.md §4.8).

use std::borrow::Cow;

use dreammesh_core::call::{Begun, Code, Detail, Metadata, Status};

use super::section::{self, Sections};
use super::{CHUNK_BYTES_MAX, Frame, Violation, fixed, header, kind, metadata, u32_at};

/// The longest message of a status; what exceeds it is cut off.
pub const STATUS_MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// The most details of a status; those beyond it stay behind.
///
/// A detail of no bytes takes eight on the wire and several times that in memory, so a frame full
/// of them would cost far more than was received.
pub const DETAILS_MAX: usize = 256;

/// Why the library, not the application, ended a call (PROTOCOL.md §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a number of the protocol, known or not"
)]
pub struct EndReason(pub u16);

impl EndReason {
    /// The application ended it.
    pub const APPLICATION: Self = Self(0);
    /// More calls than the receiver serves at once.
    pub const REFUSED: Self = Self(1);
    /// An archive came for a layout that the receiver does not take.
    pub const LAYOUT: Self = Self(2);
    /// The receiver does not have the method.
    pub const UNKNOWN_METHOD: Self = Self(3);
    /// The deadline passed.
    pub const DEADLINE: Self = Self(4);
    /// The metadata exceeds the receiver's limit or breaks its rules.
    pub const METADATA: Self = Self(5);
    /// A message exceeds the receiver's limit.
    pub const MESSAGE_SIZE: Self = Self(6);
    /// The receiver is draining.
    pub const DRAINING: Self = Self(7);
}

/// The fields of the frame as they arrived.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct End<'a> {
    /// The status with its details.
    pub status: Status,
    /// Who ended it and why.
    pub reason: EndReason,
    /// Whether the server may have begun.
    pub begun: Begun,
    /// The value of the section of trailing metadata; empty when there is none.
    pub trailers: &'a [u8],
}

impl<'a> End<'a> {
    /// Reads the frame.
    ///
    /// # Errors
    /// When it is malformed or holds an unknown critical section.
    pub fn parse(frame: &Frame<'a>) -> Result<Self, Violation> {
        let (fields, rest) = fixed::<8>(frame.head, "END without its status")?;
        let code = Code::from_number(u32_at(fields, 0));
        let mut message = Cow::Borrowed("");
        let mut trailers: &[u8] = &[];
        let mut sections = Sections::new(rest);
        while let Some((number, value)) = sections.take()? {
            match number {
                section::METADATA => trailers = value,
                section::STATUS_MESSAGE => {
                    message = Cow::Owned(String::from_utf8_lossy(value).into_owned());
                }
                other => section::unknown(other)?,
            }
        }
        let status = read_details(frame.payload, Status::new(code, message))?;
        let reason = EndReason(u16::from_le_bytes([fields[4], fields[5]]));
        let begun = if fields[6] == 0 {
            Begun::No
        } else {
            Begun::Maybe
        };
        Ok(Self {
            status,
            reason,
            begun,
            trailers,
        })
    }
}

/// Appends the frame.
pub(crate) fn write(
    out: &mut Vec<u8>,
    stream: (u32, u32),
    status: &Status,
    reason: EndReason,
    begun: Begun,
    trailers: &Metadata,
) {
    let start = header::begin(out, kind::END, 0, stream.0, stream.1);
    out.extend_from_slice(&status.code().number().to_le_bytes());
    out.extend_from_slice(&reason.0.to_le_bytes());
    out.extend_from_slice(&[u8::from(begun == Begun::Maybe), 0]);
    metadata::put(out, trailers);
    if !status.message().is_empty() {
        let message = status.message();
        let cut = message.floor_char_boundary(STATUS_MESSAGE_BYTES_MAX);
        section::put(out, section::STATUS_MESSAGE, &message.as_bytes()[..cut]);
    }
    let details = fitting_details(status.details());
    header::end_head(out, start, details.iter().map(detail_len).sum());
    for detail in details {
        let url = detail.type_url().as_bytes();
        out.extend_from_slice(&(url.len() as u32).to_le_bytes());
        out.extend_from_slice(&(detail.value().len() as u32).to_le_bytes());
        out.extend_from_slice(url);
        out.extend_from_slice(detail.value());
    }
    header::pad(out, start);
}

/// Details are help, not outcome: those that exceed a frame stay behind.
fn fitting_details(details: &[Detail]) -> &[Detail] {
    let mut total = 0;
    let fitting = details.iter().take(DETAILS_MAX).take_while(|detail| {
        total += detail_len(detail);
        total <= CHUNK_BYTES_MAX
    });
    &details[..fitting.count()]
}

fn detail_len(detail: &Detail) -> usize {
    DETAIL_HEADER_LEN + detail.type_url().len() + detail.value().len()
}

fn read_details(mut rest: &[u8], mut status: Status) -> Result<Status, Violation> {
    const SHORT: Violation = Violation::protocol("a detail leads beyond its frame");
    while !rest.is_empty() {
        if status.details().len() == DETAILS_MAX {
            return Err(Violation::protocol("more details than a status may have"));
        }
        let (lengths, after) = rest.split_first_chunk::<DETAIL_HEADER_LEN>().ok_or(SHORT)?;
        let (url, after) = after
            .split_at_checked(u32_at(lengths, 0) as usize)
            .ok_or(SHORT)?;
        let (value, after) = after
            .split_at_checked(u32_at(lengths, 4) as usize)
            .ok_or(SHORT)?;
        let url = String::from_utf8_lossy(url).into_owned();
        status = status.with_raw_detail(Detail::new(url, value.to_vec()));
        rest = after;
    }
    Ok(status)
}

const DETAIL_HEADER_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::CloseCode;

    fn reparse(status: &Status, trailers: &Metadata, begun: Begun) -> (Status, Metadata) {
        let mut out = Vec::new();
        write(
            &mut out,
            (3, 4),
            status,
            EndReason::APPLICATION,
            begun,
            trailers,
        );
        let (frame, total) = Frame::split(&out).unwrap().unwrap();
        assert_eq!(total, out.len());
        let end = End::parse(&frame).unwrap();
        assert_eq!((end.begun, end.reason), (begun, EndReason::APPLICATION));
        (
            end.status,
            metadata::parse(end.trailers, 1024).unwrap().unwrap(),
        )
    }

    #[test]
    fn ends_round_trip_with_details_and_trailers() {
        let mut trailers = Metadata::new();
        let plain = Status::not_found("no such sku");
        assert_eq!(
            reparse(&Status::ok(), &trailers, Begun::Maybe).0,
            Status::ok()
        );
        assert_eq!(reparse(&plain, &trailers, Begun::No).0, plain);
        trailers.append("cost", "3").unwrap();
        let full = plain.with_raw_detail(Detail::new("type.googleapis.com/a.B", vec![1, 2, 3]));
        let full = full.with_raw_detail(Detail::new("x", vec![]));
        assert_eq!(reparse(&full, &trailers, Begun::Maybe), (full, trailers));
    }

    #[test]
    fn details_are_counted_at_the_limit_and_one_past_it() {
        let none = [0; DETAIL_HEADER_LEN];
        let read = |count: usize| read_details(&none.repeat(count), Status::not_found(""));
        assert_eq!(read(DETAILS_MAX).unwrap().details().len(), DETAILS_MAX);
        assert_eq!(read(DETAILS_MAX + 1).unwrap_err().code, CloseCode::PROTOCOL);
        let full = read(DETAILS_MAX).unwrap();
        let over = full.clone().with_raw_detail(Detail::new("one", vec![1]));
        assert_eq!(reparse(&over, &Metadata::new(), Begun::No).0, full);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let none = Metadata::new();
        for (text, want) in [
            ("x".repeat(8192), 8192),
            ("x".repeat(8193), 8192),
            ("ä".repeat(8000), 8192),
        ] {
            let read = reparse(&Status::internal(text), &none, Begun::Maybe).0;
            assert_eq!(read.message().len(), want);
        }
    }

    #[test]
    fn details_beyond_a_frame_stay_behind() {
        let detail = |bytes: usize| Detail::new("", vec![0; bytes - 8]);
        let with = |bytes| {
            let status = Status::internal("x").with_raw_detail(detail(100));
            let status = status.with_raw_detail(detail(bytes));
            reparse(&status, &Metadata::new(), Begun::Maybe)
                .0
                .details()
                .len()
        };
        assert_eq!(with(CHUNK_BYTES_MAX - 100), 2);
        assert_eq!(with(CHUNK_BYTES_MAX - 99), 1);
    }
}
