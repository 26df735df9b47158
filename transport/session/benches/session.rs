//! What the session itself costs: frames, and whole calls through two sessions in memory.
//!
//! `cargo bench -p dreammesh-session`; with `-- --rounds N` it makes N calls and nothing else, for
//! counting instructions under callgrind.
#![allow(
    clippy::disallowed_methods,
    reason = "one instant from which virtual time is counted"
)]
#![allow(
    missing_docs,
    reason = "the macro of the bench harness documents nothing"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use criterion::{Criterion, Throughput, criterion_group};
use dreammesh_core::call::{Deadline, Metadata, MethodInfo, MethodKind, Priority, WireOption};
use dreammesh_core::port::{OpenTicket, Opening, StreamKey, WireMode};
use dreammesh_core::wire::{Layout, LayoutHash, Segment};
use dreammesh_session::frame::method::Hashes;
use dreammesh_session::frame::method_ack::Chains;
use dreammesh_session::frame::{Frame, Header, kind};
use dreammesh_session::{Config, Event, MethodAnswer, Output, Session};

static LAYOUT: Layout = Layout::new("bench.Empty", &[], &[], 0, &[LayoutHash([7; 16])]);
static UNARY: MethodInfo = MethodInfo::new("/bench.Echo/Echo", MethodKind::Unary, &LAYOUT, &LAYOUT);

/// Two sessions that know one method, and the buffers between them.
struct Pair {
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
    fn new(deadline: bool) -> Self {
        let now = Instant::now();
        let mut pair = Self {
            client: Session::client(Config::default(), now),
            server: Session::server(Config::default(), now),
            now,
            method: 0,
            output: Output::new(),
            wire: BytesMut::with_capacity(256 * 1024),
            keys: Vec::with_capacity(64),
            deadline,
        };
        pair.method = pair.client.method(&UNARY).expect("room for a method");
        pair.carry_out();
        let hash = LayoutHash([0; 16]);
        let hashes = Hashes {
            request: hash,
            response: hash,
        };
        let chains = Chains::default();
        let answer = MethodAnswer {
            known: true,
            streams_requests: false,
            hashes,
            chains,
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

    /// `count` calls are opened, carried over, answered with what they asked, and taken.
    fn calls(&mut self, count: usize, payload: &[u8]) {
        let metadata = Metadata::new();
        let deadline = Deadline::after(self.now, Duration::from_secs(1)).filter(|_| self.deadline);
        for _ in 0..count {
            let mut message = Some(segment(payload));
            let mut ticket = OpenTicket::NONE;
            let mut opening = Opening {
                method: &UNARY,
                metadata: &metadata,
                deadline,
                now: None,
                trace: None,
                priority: Priority::NORMAL,
                attempt: 0,
                idempotency_key: None,
                wire: WireOption::Auto,
                message: &mut message,
                half_close: true,
                ticket: &mut ticket,
            };
            let method = self.client.method(&UNARY).expect("it is known");
            let key = self
                .client
                .open(self.now, method, WireMode::Archive, &mut opening);
            self.keys.push(key.expect("there is room"));
        }
        self.carry_out();
        while let Some(event) = self.server.poll_event() {
            if let Event::Opened(key) = event {
                let accepted = self.server.accept(key).expect("it is complete");
                let message = accepted.message.expect("a unary call has one");
                let answer = segment(&message.bytes);
                self.server.answer(key, answer, WireMode::Archive);
            }
        }
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
}

/// A buffer as the archive builder leaves it: its vector comes from the thread's pool.
fn segment(payload: &[u8]) -> Segment {
    let mut bytes = Vec::with_capacity(payload.len());
    bytes.extend_from_slice(payload);
    Segment::from_vec(bytes)
}

fn fill(wire: &mut BytesMut, output: &mut Output) {
    wire.reserve(output.remaining());
    while output.has_remaining() {
        let step = output.chunk().len();
        wire.extend_from_slice(output.chunk());
        output.advance(step);
    }
}

fn round_trips(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("round trip of 64 calls");
    group.throughput(Throughput::Elements(64));
    for (name, length, deadline) in [
        ("64 B", 64, false),
        ("64 B with a deadline", 64, true),
        ("1 KiB", 1024, false),
    ] {
        let mut pair = Pair::new(deadline);
        let payload = vec![1; length];
        group.bench_function(name, |bencher| bencher.iter(|| pair.calls(64, &payload)));
    }
    group.finish();
    let mut group = criterion.benchmark_group("large");
    let payload = vec![1; 1 << 20];
    group.throughput(Throughput::Bytes(2 << 20));
    let mut pair = Pair::new(false);
    group.bench_function("1 MiB there and back", |bencher| {
        bencher.iter(|| pair.large(&payload));
    });
    group.finish();
}

impl Pair {
    /// One call whose messages take several chunks and polls.
    fn large(&mut self, payload: &[u8]) {
        let metadata = Metadata::new();
        let mut message = Some(segment(payload));
        let mut ticket = OpenTicket::NONE;
        let mut opening = Opening {
            method: &UNARY,
            metadata: &metadata,
            deadline: None,
            now: None,
            trace: None,
            priority: Priority::NORMAL,
            attempt: 0,
            idempotency_key: None,
            wire: WireOption::Auto,
            message: &mut message,
            half_close: true,
            ticket: &mut ticket,
        };
        let key = self
            .client
            .open(self.now, self.method, WireMode::Archive, &mut opening);
        let key = key.expect("there is room");
        loop {
            self.carry_out();
            while let Some(event) = self.server.poll_event() {
                if let Event::Opened(key) = event {
                    let accepted = self.server.accept(key).expect("it is complete");
                    let message = accepted.message.expect("a unary call has one");
                    let answer = Segment::from_bytes(message.bytes);
                    self.server.answer(key, answer, WireMode::Archive);
                }
            }
            self.carry_back();
            while self.client.poll_event().is_some() {}
            if let Some(answer) = self.client.take_unary(key) {
                black_box(answer.expect("it succeeded"));
                return;
            }
        }
    }
}

fn frames(criterion: &mut Criterion) {
    let header = Header {
        length: 64,
        kind: kind::MESSAGE,
        flags: 3,
        head_len: 0,
        slot: 5,
        generation: 9,
    };
    criterion.bench_function("header written", |bencher| {
        let mut out = Vec::with_capacity(64);
        bencher.iter(|| {
            out.clear();
            out.extend_from_slice(&black_box(header).bytes());
            black_box(out.len())
        });
    });
    let mut bytes = header.bytes().to_vec();
    bytes.resize(80, 0);
    criterion.bench_function("frame parsed", |bencher| {
        bencher.iter(|| {
            Frame::split(black_box(&bytes))
                .expect("a lawful frame")
                .map(|f| f.1)
        });
    });
}

criterion_group! {
    name = session;
    config = Criterion::default().measurement_time(Duration::from_secs(3));
    targets = frames, round_trips
}

fn main() {
    let mut arguments = std::env::args()
        .skip_while(|argument| argument != "--rounds")
        .skip(1);
    if let Some(rounds) = arguments.next().and_then(|text| text.parse::<usize>().ok()) {
        let mut pair = Pair::new(false);
        for _ in 0..rounds.div_ceil(64) {
            pair.calls(64, &[1; 64]);
        }
        return;
    }
    session();
    Criterion::default().configure_from_args().final_summary();
}
