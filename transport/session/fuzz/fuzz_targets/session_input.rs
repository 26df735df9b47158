//! Arbitrary bytes in arbitrary splits, and the frames they nearly are, into both sides of a
//! session, while an application does its part.
#![no_main]
#![allow(clippy::disallowed_methods, reason = "one instant from which virtual time is counted")]

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use dreammesh_core::call::{
    Begun, Compression, Deadline, Metadata, MethodInfo, MethodKind, Priority, Status,
    WireOption,
};
use dreammesh_core::port::{Keep, OpenTicket, Opening, StreamKey, WireMode};
use dreammesh_core::wire::{Layout, LayoutHash, Segment};
use dreammesh_session::frame::end::EndReason;
use dreammesh_session::frame::method::{Hashes, Verdict};
use dreammesh_session::frame::method_ack::Chains;
use dreammesh_session::frame::{Header, PREFACE};
use dreammesh_session::{Config, Event, MethodAnswer, Output, Session};
use libfuzzer_sys::fuzz_target;

static LAYOUT: Layout = Layout::new("fuzz.Empty", &[], &[], 0, &[LayoutHash([7; 16])]);
static METHODS: [MethodInfo; 2] = [
    MethodInfo::new("/f.U/U", MethodKind::Unary, &LAYOUT, &LAYOUT),
    MethodInfo::new("/f.B/B", MethodKind::Bidi, &LAYOUT, &LAYOUT),
];

/// What the input has left to say.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

fuzz_target!(|data: &[u8]| {
    let mut script = Script(data);
    let now = Instant::now();
    let mut config = Config::default();
    config.read_buffer_bytes = 4096 << (script.byte() % 7);
    let client = script.byte() % 2 == 0;
    let session = if client { Session::client(config, now) } else { Session::server(config, now) };
    let mut app = App { session, now, client, keys: Vec::new(), input: BytesMut::new() };
    app.input.extend_from_slice(&PREFACE);
    while !script.0.is_empty() && !app.session.is_closed() {
        app.step(&mut script);
    }
    app.end();
});

struct App {
    session: Session<u8>,
    now: Instant,
    client: bool,
    keys: Vec<StreamKey>,
    input: BytesMut,
}

impl App {
    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 17 {
            0 => {
                let count = usize::from(script.byte());
                self.input.extend_from_slice(script.take(count));
            }
            1..=8 => self.frame(script),
            9 => {
                self.now += Duration::from_millis(u64::from(script.byte()) * 100);
                self.session.handle_timeout(self.now);
            }
            10 if self.client => self.open(script),
            11 => self.output(usize::from(script.byte()) * 1024),
            12 => self.send(script),
            13 => self.end_one(script),
            14 => {
                let key = self.key(script);
                let _ = self.session.take_message(key);
                let _ = self.session.take_headers(key);
            }
            15 => self.land(script),
            _ if script.byte() == 7 => self.session.drain(self.now),
            _ => {}
        }
        self.session.handle_input(self.now, &mut self.input);
        self.events();
        let stats = self.session.stats();
        assert!(stats.calls_live <= stats.streams_held);
        assert!(stats.credit_held <= 16 << 20);
        assert!(stats.streams_held <= 2048);
    }

    /// Puts bytes where the session wants the rest of a chunk, and some behind.
    fn land(&mut self, script: &mut Script<'_>) {
        if !self.input.is_empty() {
            return;
        }
        let Some(mut landing) = self.session.poll_landing() else { return };
        let (count, repeat) = (usize::from(script.byte()), 1 + usize::from(script.byte()) * 8);
        let bytes = script.take(count).repeat(repeat);
        let mut rest = &bytes[..];
        let mut behind = [0; 64];
        for place in &mut landing.places(&mut behind) {
            let (now, after) = rest.split_at(place.len().min(rest.len()));
            place[..now.len()].copy_from_slice(now);
            rest = after;
        }
        let behind = &behind[..landing.fill(bytes.len() - rest.len())];
        self.input.extend_from_slice(behind);
        self.session.handle_landed(self.now, landing, &mut self.input);
    }

    /// A frame whose header is lawful enough to be taken, mostly.
    fn frame(&mut self, script: &mut Script<'_>) {
        let (kind, flags) = (script.byte() % 20, script.byte());
        let (slot, generation) = (u32::from(script.byte() % 8), u32::from(script.byte() % 8));
        let slot = if slot == 7 { u32::MAX } else { slot };
        let head_len = usize::from(script.byte() % 16) * 8;
        let repeat = if script.byte() % 8 == 0 { 257 } else { 1 };
        let head = script.take(head_len);
        let count = usize::from(script.byte());
        let payload = script.take(count).repeat(repeat);
        let length = (head_len + payload.len()) as u32;
        let head_len = head_len as u16;
        let header = Header { length, kind, flags, head_len, slot, generation };
        self.input.extend_from_slice(&header.bytes());
        self.input.extend_from_slice(head);
        self.input.resize(self.input.len() + usize::from(head_len) - head.len(), 0);
        self.input.extend_from_slice(&payload);
        let padding = payload.len().next_multiple_of(8) - payload.len();
        self.input.resize(self.input.len() + padding, 0);
    }

    fn events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Method(index) => {
                    let hash = LayoutHash([0; 16]);
                    let answer = MethodAnswer {
                        known: index % 3 != 2,
                        streams_requests: index % 2 == 1,
                        hashes: Hashes { request: hash, response: hash },
                        chains: Chains { request: b"chain", response: b"" },
                    };
                    self.session.answer_method(index, &answer);
                }
                Event::JudgeLayouts(index) => {
                    let _ = self.session.layouts_to_judge(index);
                    self.session.settle_layouts(index, Verdict::BOTH);
                }
                Event::Opened(key) => {
                    if self.session.accept(key).is_some() {
                        self.keys.push(key);
                    }
                }
                Event::Cancelled(key) => self.session.release(key),
                _ => {}
            }
        }
    }

    fn open(&mut self, script: &mut Script<'_>) {
        let info = &METHODS[usize::from(script.byte() % 2)];
        let Ok(method) = self.session.method(info) else { return };
        let length = usize::from(script.byte()) * 1000;
        let mut message = Some(Segment::from_vec(vec![1; length]));
        let mut ticket = OpenTicket::NONE;
        let timeout = Duration::from_millis(u64::from(script.byte()) * 50);
        let metadata = Metadata::new();
        let mut opening = Opening {
            method: info,
            metadata: &metadata,
            deadline: Deadline::after(self.now, timeout),
            now: None,
            trace: None,
            priority: Priority::NORMAL,
            attempt: 0,
            idempotency_key: None,
            wire: WireOption::Auto,
            compression: Compression::Auto,
            message: &mut message,
            keep: [Keep::No, Keep::IfUnsure, Keep::Yes][usize::from(script.byte() % 3)],
            half_close: script.byte() % 2 == 0,
            ticket: &mut ticket,
        };
        let mode = self.session.request_mode(method);
        if let Ok(key) = self.session.open(self.now, method, mode, &mut opening) {
            self.keys.push(key);
        }
    }

    fn key(&self, script: &mut Script<'_>) -> StreamKey {
        let index = usize::from(script.byte());
        let count = self.keys.len().max(1);
        self.keys.get(index % count).copied().unwrap_or(StreamKey::from_bits(0))
    }

    fn send(&mut self, script: &mut Script<'_>) {
        let key = self.key(script);
        let mut message = Some(Segment::from_vec(vec![2; usize::from(script.byte()) * 1000]));
        let last = script.byte() % 4 == 0;
        let _ = self.session.send(key, &mut message, WireMode::Protobuf, last);
    }

    fn end_one(&mut self, script: &mut Script<'_>) {
        let key = self.key(script);
        let none = Metadata::new();
        match script.byte() % 6 {
            0 => self.session.release(key),
            1 if !self.client => {
                let status = Status::not_found("fuzz");
                self.session.end(key, &status, EndReason::APPLICATION, Begun::Maybe, &none);
            }
            2 if !self.client => {
                let message = Segment::from_vec(vec![3; usize::from(script.byte()) * 1000]);
                self.session.respond(key, &none, Some((message, WireMode::Archive)), &none);
            }
            3 => self.session.discard(key),
            4 => self.session.close_send(key),
            _ => {
                let _ = self.session.take_unary(key);
            }
        }
    }

    fn output(&mut self, budget: usize) {
        let mut output = Output::new();
        self.session.poll_output(&mut output, budget);
        let length = output.remaining();
        output.advance(length);
    }

    /// Once the link is gone and every key released, nothing is held.
    fn end(mut self) {
        self.session.handle_link_lost("the script ended");
        self.events();
        for key in std::mem::take(&mut self.keys) {
            self.session.release(key);
        }
        let stats = self.session.stats();
        assert_eq!((stats.calls_live, stats.streams_held, stats.credit_held), (0, 0, 0));
        assert_eq!(stats.queued_bytes, 0);
        let mut taken = 0;
        while self.session.poll_event().is_some() {
            taken += 1;
        }
        assert_eq!(taken, 0);
    }
}
