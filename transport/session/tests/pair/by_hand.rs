//! One session whose peer is written by hand.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use dreammesh_core::call::{Compression, Deadline, Metadata, MethodInfo, Priority, WireOption};
use dreammesh_core::port::{Keep, OpenTicket, Opening, StreamKey, WireMode};
use dreammesh_core::wire::Segment;
use dreammesh_session::frame::method_ack::Chains;
use dreammesh_session::frame::{Frame, Header, PREFACE, kind};
use dreammesh_session::{Closed, Config, Event, MethodAnswer, OpenError, Output, Session};

use crate::methods;

/// A frame as it came out.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) header: Header,
    pub(crate) head: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// One session and what it gave out.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) session: Session<()>,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    begun: bool,
}

impl Side {
    /// A server whose peer has said hello and named the four methods.
    pub(crate) fn server(config: Config) -> Self {
        let now = Instant::now();
        let mut side = Self::new(Session::server(config, now), now);
        side.hear(&hello());
        for (index, info) in methods::METHODS.iter().enumerate() {
            side.hear(&method(index as u32, info));
        }
        let frames = side.frames();
        assert_eq!(frames.len(), 5, "HELLO and four answers");
        side.events.clear();
        side
    }

    /// A client whose peer has said hello.
    pub(crate) fn client(config: Config) -> Self {
        let now = Instant::now();
        let mut side = Self::new(Session::client(config, now), now);
        side.hear(&hello());
        side.frames();
        side.events.clear();
        side
    }

    pub(crate) fn new(session: Session<()>, now: Instant) -> Self {
        let mut side = Self {
            session,
            now,
            events: Vec::new(),
            begun: false,
        };
        side.events();
        side
    }

    /// The peer says these bytes.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.session
            .handle_input(self.now, &mut BytesMut::from(bytes));
        self.events();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
        self.events();
    }

    pub(crate) fn events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            if let Event::Method(index) = event {
                let info = methods::by_path(self.session.method_path(index));
                let info = info.unwrap_or(&methods::METHODS[0]);
                let answer = MethodAnswer {
                    known: true,
                    streams_requests: info.kind().streams_requests(),
                    hashes: methods::hashes(info),
                    chains: Chains::default(),
                };
                self.session.answer_method(index, &answer);
            }
            self.events.push(event);
        }
    }

    /// What the session says.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let mut output = Output::new();
        let mut bytes = Vec::new();
        while self.session.poll_output(&mut output, usize::MAX) > 0 {
            bytes.extend_from_slice(&output.copy_to_bytes(output.remaining()));
        }
        bytes
    }

    /// The frames the session says.
    pub(crate) fn frames(&mut self) -> Vec<Seen> {
        let bytes = self.bytes();
        let mut rest = &bytes[..];
        if !self.begun && !rest.is_empty() {
            rest = rest
                .strip_prefix(&PREFACE[..])
                .expect("it begins with the preface");
            self.begun = true;
        }
        let mut frames = Vec::new();
        while let Some((frame, total)) = Frame::split(rest).expect("lawful frames") {
            let (head, payload) = (frame.head.to_vec(), frame.payload.to_vec());
            frames.push(Seen {
                header: frame.header,
                head,
                payload,
            });
            rest = &rest[total..];
        }
        assert!(rest.is_empty(), "whole frames");
        frames
    }

    /// How the session closed, if it did.
    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.events.iter().find_map(|event| match event {
            Event::Closed(closed) => Some(closed),
            _ => None,
        })
    }

    pub(crate) fn opened(&self) -> Vec<StreamKey> {
        let opened = self.events.iter().filter_map(|event| match event {
            Event::Opened(key) => Some(*key),
            _ => None,
        });
        opened.collect()
    }

    /// Opens a call of a method of the client, with protobuf.
    pub(crate) fn open(
        &mut self,
        info: &'static MethodInfo,
        message: Option<usize>,
        half_close: bool,
        timeout: Option<Duration>,
    ) -> Result<StreamKey, OpenError> {
        self.open_with(info, message, half_close, timeout, &Metadata::new())
    }

    pub(crate) fn open_with(
        &mut self,
        info: &'static MethodInfo,
        message: Option<usize>,
        half_close: bool,
        timeout: Option<Duration>,
        metadata: &Metadata,
    ) -> Result<StreamKey, OpenError> {
        let method = self.session.method(info).map_err(OpenError::Failed)?;
        let mut message = message.map(|length| Segment::from_vec(vec![7; length]));
        let mut ticket = OpenTicket::NONE;
        let mut opening = Opening {
            method: info,
            metadata,
            deadline: timeout.and_then(|timeout| Deadline::after(self.now, timeout)),
            now: None,
            trace: None,
            priority: Priority::NORMAL,
            attempt: 0,
            idempotency_key: None,
            wire: WireOption::Auto,
            compression: Compression::Auto,
            keep: Keep::No,
            message: &mut message,
            half_close,
            ticket: &mut ticket,
        };
        self.session
            .open(self.now, method, WireMode::Protobuf, &mut opening)
    }
}

pub(crate) fn frame(kind: u8, flags: u8, id: (u32, u32), head: &[u8], payload: &[u8]) -> Vec<u8> {
    let head_len = head.len().next_multiple_of(8);
    let length = (head_len + payload.len()) as u32;
    let (slot, generation) = id;
    let header = Header {
        length,
        kind,
        flags,
        head_len: head_len as u16,
        slot,
        generation,
    };
    let mut bytes = header.bytes().to_vec();
    bytes.extend_from_slice(head);
    bytes.resize(16 + head_len, 0);
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

pub(crate) fn section(number: u8, value: &[u8]) -> Vec<u8> {
    let [low, high] = (value.len() as u16).to_le_bytes();
    let mut bytes = vec![number, 0, low, high];
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Preface and HELLO of the minimum.
pub(crate) fn hello() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(
        kind::HELLO,
        0,
        (0, 0),
        &[1, 0, 1, 0, 0, 0, 0, 0],
        &[],
    ));
    bytes
}

pub(crate) fn method(index: u32, info: &MethodInfo) -> Vec<u8> {
    named(
        index,
        info.path(),
        info.request_closure().0,
        info.response_closure().0,
    )
}

pub(crate) fn named(index: u32, path: &str, request: [u8; 16], response: [u8; 16]) -> Vec<u8> {
    let mut head = section(8, path.as_bytes());
    head.extend(section(9, &request));
    head.extend(section(10, &response));
    frame(kind::METHOD, 0, (index, 0), &head, &[])
}

/// OPEN of a method with a protobuf message of `length` bytes, flags as given besides.
pub(crate) fn open(id: (u32, u32), method: u32, flags: u8, length: Option<usize>) -> Vec<u8> {
    let head = u64::from(method).to_le_bytes();
    let flags = flags | if length.is_some() { 6 } else { 0 };
    frame(kind::OPEN, flags, id, &head, &vec![7; length.unwrap_or(0)])
}
