//! Calls through two sessions with nothing but a buffer between them, and the lock around one.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use dreammesh_core::call::{
    Compression, Deadline, Metadata, MethodInfo, MethodKind, Priority, WireOption,
};
use dreammesh_core::port::{Keep, OpenTicket, Opening, StreamKey, WireMode};
use dreammesh_core::wire::{Layout, LayoutHash, Segment};
use dreammesh_session::frame::method::Hashes;
use dreammesh_session::frame::method_ack::Chains;
use dreammesh_session::{Config, Event, MethodAnswer, Output, Session};

use crate::{Body, Part};

/// The parts.
pub const PARTS: &[Part] = &[
    Part::new("session: lock and unlock", lock),
    Part::times("session: call given up", BATCH, given_up),
    Part::times("session: unary call 64 B", BATCH, || calls(64, false)),
    Part::times("session: unary call 64 B, deadline", BATCH, || {
        calls(64, true)
    }),
    Part::times("session: unary call 1 KiB", BATCH, || calls(1024, false)),
    Part::only_timed("session: unary call 1 MiB", large),
];

/// How many calls share a flush, as they do on a busy connection.
const BATCH: u32 = 64;

static LAYOUT: Layout = Layout::new("bench.Empty", &[], &[], 0, &[LayoutHash([7; 16])]);
static UNARY: MethodInfo = MethodInfo::new("/bench.Echo/Echo", MethodKind::Unary, &LAYOUT, &LAYOUT);

fn lock() -> Body {
    let pair = Mutex::new(Pair::new(false));
    Box::new(move || {
        let pair = black_box(&pair);
        let pair = pair.lock().unwrap_or_else(PoisonError::into_inner);
        black_box(pair.method);
    })
}

fn calls(length: usize, deadline: bool) -> Body {
    let mut pair = Pair::new(deadline);
    let payload = vec![1; length];
    Box::new(move || pair.calls(&payload))
}

fn given_up() -> Body {
    let mut pair = Pair::new(false);
    Box::new(move || pair.given_up(&[1; 64]))
}

fn large() -> Body {
    let mut pair = Pair::new(false);
    let payload = vec![1; 1 << 20];
    Box::new(move || pair.large(&payload))
}

/// Two sessions that know one method, and the buffers between them.
pub(crate) struct Pair {
    client: Session<()>,
    server: Session<()>,
    now: Instant,
    method: u32,
    output: Output,
    wire: BytesMut,
    keys: Vec<StreamKey>,
    deadline: bool,
}

impl Pair {
    pub(crate) fn new(deadline: bool) -> Self {
        let now = start();
        let mut pair = Self {
            client: Session::client(Config::default(), now),
            server: Session::server(Config::default(), now),
            now,
            method: 0,
            output: Output::new(),
            wire: BytesMut::with_capacity(256 * 1024),
            keys: Vec::with_capacity(BATCH as usize),
            deadline,
        };
        pair.method = pair.client.method(&UNARY).expect("room for a method");
        pair.carry_out();
        let hash = LayoutHash([0; 16]);
        let answer = MethodAnswer {
            known: true,
            streams_requests: false,
            hashes: Hashes {
                request: hash,
                response: hash,
            },
            chains: Chains::default(),
        };
        while let Some(event) = pair.server.poll_event() {
            if let Event::Method(index) = event {
                pair.server.answer_method(index, &answer);
            }
        }
        pair.carry_back();
        while pair.client.poll_event().is_some() {}
        assert_eq!(pair.client.request_mode(pair.method), WireMode::Archive);
        pair
    }

    /// The bytes with which a call of 64 bytes begins.
    pub(crate) fn opening(mut self) -> Vec<u8> {
        self.open(&[1; 64]);
        self.client.poll_output(&mut self.output, 1 << 20);
        fill(&mut self.wire, &mut self.output);
        self.wire.to_vec()
    }

    fn carry_out(&mut self) {
        self.client.poll_output(&mut self.output, 1 << 20);
        fill(&mut self.wire, &mut self.output);
        self.server.handle_input(self.now, &mut self.wire);
    }

    fn carry_back(&mut self) {
        self.server.poll_output(&mut self.output, 1 << 20);
        fill(&mut self.wire, &mut self.output);
        self.client.handle_input(self.now, &mut self.wire);
    }

    fn open(&mut self, payload: &[u8]) -> StreamKey {
        let metadata = Metadata::new();
        let deadline = Deadline::after(self.now, Duration::from_secs(1)).filter(|_| self.deadline);
        let mut message = Some(segment(payload));
        let mut ticket = OpenTicket::NONE;
        let mut opening = Opening {
            method: &UNARY,
            metadata: &metadata,
            deadline,
            now: Some(self.now),
            trace: None,
            priority: Priority::NORMAL,
            attempt: 0,
            idempotency_key: None,
            wire: WireOption::Auto,
            compression: Compression::Auto,
            keep: Keep::No,
            message: &mut message,
            half_close: true,
            ticket: &mut ticket,
        };
        let method = self.client.method(&UNARY).expect("it is known");
        let key = (self.client).open(self.now, method, WireMode::Archive, &mut opening);
        key.expect("there is room")
    }

    fn answer(&mut self, answer: fn(&[u8]) -> Segment) {
        while let Some(event) = self.server.poll_event() {
            if let Event::Opened(key) = event {
                let accepted = self.server.accept(key).expect("it is complete");
                let message = accepted.message.expect("a unary call has one");
                let answer = answer(&message.bytes);
                self.server.answer(key, answer, WireMode::Archive);
            }
        }
    }

    /// Calls are opened, carried over, answered with what they asked, and taken.
    fn calls(&mut self, payload: &[u8]) {
        for _ in 0..BATCH {
            let key = self.open(payload);
            self.keys.push(key);
        }
        self.carry_out();
        self.answer(segment);
        self.carry_back();
        let mut taken = 0;
        while let Some(event) = self.client.poll_event() {
            if let Event::Readable(key) = event {
                let answer = self.client.take_unary(key).expect("it is complete");
                black_box(answer.expect("it succeeded"));
                taken += 1;
            }
        }
        assert_eq!(taken, self.keys.len());
        self.keys.clear();
    }

    /// Calls are opened and given up in the same flush: the slots are taken and freed again.
    fn given_up(&mut self, payload: &[u8]) {
        // A peer that gives up more than this in a second is taken for a flood.
        self.now += Duration::from_secs(1);
        for _ in 0..BATCH {
            let key = self.open(payload);
            self.client.release(key);
        }
        self.carry_out();
        while let Some(event) = self.server.poll_event() {
            if let Event::Opened(key) = event {
                self.server.release(key);
            }
        }
        self.carry_back();
        while self.client.poll_event().is_some() {}
    }

    /// One call whose messages take several chunks and polls.
    fn large(&mut self, payload: &[u8]) {
        let key = self.open(payload);
        loop {
            self.carry_out();
            self.answer(segment);
            self.carry_back();
            while self.client.poll_event().is_some() {}
            if let Some(answer) = self.client.take_unary(key) {
                black_box(answer.expect("it succeeded"));
                return;
            }
        }
    }
}

/// A buffer such as the archive builder leaves.
fn segment(payload: &[u8]) -> Segment {
    Segment::from_vec(payload.to_vec())
}

fn fill(wire: &mut BytesMut, output: &mut Output) {
    wire.reserve(output.remaining());
    while output.has_remaining() {
        let step = output.chunk().len();
        wire.extend_from_slice(output.chunk());
        output.advance(step);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "one instant from which virtual time is counted"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}
