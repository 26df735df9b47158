//! What uses the sessions: callers with a plan, and handlers that follow it.

use std::collections::BTreeMap;
use std::time::Duration;

use dreammesh_core::call::WireOption;
use dreammesh_core::call::{Begun, Code, Compression, Deadline, Metadata, Priority, Status};
use dreammesh_core::port::{Ended, Keep, OpenTicket, Opening, Received, StreamKey, WireMode};
use dreammesh_core::wire::Segment;
use dreammesh_session::frame::CloseCode;
use dreammesh_session::frame::end::EndReason;
use dreammesh_session::frame::method_ack::Chains;
use dreammesh_session::{Closed, Event, MethodAnswer, OpenError};

use crate::methods::{self, METHODS};
use crate::rng::Rng;
use crate::world::World;

/// What one call is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) method: usize,
    /// Lengths of the requests and of the responses.
    pub(crate) requests: Vec<usize>,
    pub(crate) responses: Vec<usize>,
    /// The status the handler ends with.
    pub(crate) status: Code,
    /// Whether the handler ends before it has seen all requests.
    pub(crate) early: bool,
    pub(crate) deadline_us: Option<u64>,
    /// The caller gives up at this step of its own.
    pub(crate) cancel_at: Option<u64>,
    pub(crate) priority: Priority,
    pub(crate) metadata: bool,
    /// How likely a consumer takes a message when it could, in percent.
    pub(crate) appetite: u64,
}

impl Plan {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let method = rng.below(4) as usize;
        let kind = METHODS[method].kind();
        let count = |rng: &mut Rng, streams: bool| if streams { rng.below(6) } else { 1 };
        let requests = count(rng, kind.streams_requests());
        let responses = count(rng, kind.streams_responses());
        let status = if rng.chance(20) {
            Code::NotFound
        } else {
            Code::Ok
        };
        Self {
            method,
            requests: (0..requests).map(|_| length(rng)).collect(),
            responses: (0..responses).map(|_| length(rng)).collect(),
            status,
            early: rng.chance(20),
            deadline_us: rng.chance(20).then(|| rng.below(60_000)),
            cancel_at: rng.chance(20).then(|| rng.below(12)),
            priority: Priority::from_number(rng.below(4) as u8),
            metadata: rng.chance(30),
            appetite: [5, 40, 100][rng.below(3) as usize],
        }
    }
}

/// Mostly small messages, sometimes near the limits of frames and windows, sometimes large.
fn length(rng: &mut Rng) -> usize {
    (match rng.below(10) {
        0 => 0,
        1..=5 => rng.below(2000),
        6 => 30_000 + rng.below(4000),
        7 => 65_536 - rng.below(3),
        8 => 65_537 + rng.below(3),
        _ => 70_000 + rng.below(300_000),
    }) as usize
}

/// The bytes of message `index` of a call's direction.
fn content(call: usize, index: usize, length: usize) -> Vec<u8> {
    let first = (call * 31 + index * 7) as u8;
    let mut bytes = vec![first; length];
    if let Some(last) = bytes.last_mut() {
        *last = first ^ 0xff;
    }
    bytes
}

fn check(call: usize, index: usize, length: usize, received: &Received) {
    assert!(
        received.bytes == content(call, index, length),
        "call {call} message {index}"
    );
}

/// A caller.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) plan: Plan,
    key: Option<StreamKey>,
    steps: u64,
    sent: usize,
    closed_send: bool,
    got: usize,
    pub(crate) outcome: Option<Result<(), Ended>>,
}

/// A running handler.
#[derive(Debug)]
struct Handler {
    key: StreamKey,
    call: usize,
    got: usize,
    all_received: bool,
    sent: usize,
    stopped: bool,
}

/// All callers and handlers.
#[derive(Debug, Default)]
pub(crate) struct App {
    pub(crate) callers: Vec<Caller>,
    handlers: BTreeMap<u64, Handler>,
    /// How often each call reached the server.
    begun: BTreeMap<usize, u32>,
    pub(crate) room_events: u64,
}

impl App {
    pub(crate) fn add(&mut self, plan: Plan) {
        self.callers.push(Caller {
            plan,
            key: None,
            steps: 0,
            sent: 0,
            closed_send: false,
            got: 0,
            outcome: None,
        });
    }

    pub(crate) fn done(&self) -> bool {
        self.callers.iter().all(|caller| caller.outcome.is_some())
    }

    pub(crate) fn handlers_running(&self) -> usize {
        self.handlers.len()
    }

    /// Takes the events of both sides.
    pub(crate) fn events(&mut self, world: &mut World) {
        while let Some(event) = world.client.poll_event() {
            world.note(&format!("client {event:?}"));
            match event {
                Event::Room => self.room_events += 1,
                Event::JudgeLayouts(_) => panic!("equal hashes need no judgement"),
                Event::Closed(closed) => check_close(&closed),
                _ => {}
            }
        }
        while let Some(event) = world.server.poll_event() {
            world.note(&format!("server {event:?}"));
            match event {
                Event::Method(index) => answer_method(world, index),
                Event::Opened(key) => self.opened(world, key),
                Event::Cancelled(key) => {
                    // The handler may have ended between the cause and this event.
                    self.handlers.remove(&key.bits());
                    world.server.release(key);
                }
                Event::Closed(closed) => check_close(&closed),
                _ => {}
            }
        }
    }

    fn opened(&mut self, world: &mut World, key: StreamKey) {
        let Some(accepted) = world.server.accept(key) else {
            return;
        };
        let call = accepted.attempt as usize;
        *self.begun.entry(call).or_default() += 1;
        assert_eq!(self.begun[&call], 1, "call {call} reached a handler twice");
        let plan = &self.callers[call].plan;
        assert_eq!(accepted.priority, plan.priority);
        assert_eq!(
            accepted
                .sections
                .is_some_and(|it| it.metadata.text("call").is_some()),
            plan.metadata
        );
        let mut handler = Handler {
            key,
            call,
            got: 0,
            all_received: accepted.half_closed && accepted.message.is_none(),
            sent: 0,
            stopped: false,
        };
        if let Some(message) = &accepted.message {
            check(call, 0, plan.requests[0], message);
            handler.got = 1;
        }
        self.handlers.insert(key.bits(), handler);
    }

    /// One caller does one thing.
    pub(crate) fn step_caller(&mut self, world: &mut World, index: usize) -> bool {
        let caller = &mut self.callers[index];
        if caller.outcome.is_some() {
            return false;
        }
        caller.steps += 1;
        let Some(key) = caller.key else {
            return caller.open(world, index);
        };
        if caller.plan.cancel_at.is_some_and(|at| caller.steps > at) {
            world.client.release(key);
            world.note("release");
            let ended = Ended::by_caller(Status::cancelled(""), Begun::Maybe);
            caller.outcome = Some(Err(ended));
            return true;
        }
        let sent = caller.send(world, index, key);
        caller.receive(world, index, key) || sent
    }

    /// One handler does one thing.
    pub(crate) fn step_handler(&mut self, world: &mut World, which: usize) -> bool {
        let Some(handler) = self.handlers.values_mut().nth(which) else {
            return false;
        };
        let plan = &self.callers[handler.call].plan;
        let moved = handler.step(world, plan);
        if handler.stopped {
            let key = handler.key.bits();
            self.handlers.remove(&key);
        }
        moved
    }
}

/// Lawful peers close for no other reason than these.
fn check_close(closed: &Closed) {
    assert!(
        matches!(closed.code, CloseCode::DONE | CloseCode::LINK),
        "{closed:?}"
    );
}

fn answer_method(world: &mut World, index: u32) {
    let info = methods::by_path(world.server.method_path(index));
    let info = info.expect("the client names known methods");
    let answer = MethodAnswer {
        known: true,
        streams_requests: info.kind().streams_requests(),
        hashes: methods::hashes(info),
        chains: Chains::default(),
    };
    world.server.answer_method(index, &answer);
}

impl Caller {
    fn open(&mut self, world: &mut World, index: usize) -> bool {
        let info = &METHODS[self.plan.method];
        let method = world.client.method(info).expect("four methods fit");
        let mode = world.client.request_mode(method);
        let mut metadata = Metadata::new();
        if self.plan.metadata {
            metadata
                .append("call", index.to_string())
                .expect("a lawful entry");
        }
        let unary = !info.kind().streams_requests();
        let first = self.plan.requests.first();
        let first = first.filter(|_| unary || index.is_multiple_of(2)).copied();
        let mut message = first.map(|length| segment(content(index, 0, length)));
        let now = world.now();
        let deadline = self.plan.deadline_us.map(Duration::from_micros);
        let mut ticket = OpenTicket::NONE;
        let mut opening = Opening {
            method: info,
            metadata: &metadata,
            deadline: deadline.and_then(|timeout| Deadline::after(now, timeout)),
            now: None,
            trace: None,
            priority: self.plan.priority,
            attempt: index as u32,
            idempotency_key: None,
            wire: WireOption::Auto,
            compression: Compression::Auto,
            keep: Keep::No,
            message: &mut message,
            half_close: unary,
            ticket: &mut ticket,
        };
        match world.client.open(now, method, mode, &mut opening) {
            Ok(key) => {
                self.key = Some(key);
                self.sent = usize::from(first.is_some());
                self.closed_send = unary;
                true
            }
            Err(OpenError::Full) => false,
            Err(OpenError::Failed(ended)) => {
                assert_eq!(ended.begun, Begun::No);
                self.outcome = Some(Err(ended));
                true
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn send(&mut self, world: &mut World, index: usize, key: StreamKey) -> bool {
        if self.closed_send {
            return false;
        }
        let Some(length) = self.plan.requests.get(self.sent).copied() else {
            world.client.close_send(key);
            self.closed_send = true;
            return true;
        };
        let last = self.sent + 1 == self.plan.requests.len() && index.is_multiple_of(3);
        let mut message = Some(segment(content(index, self.sent, length)));
        match world
            .client
            .send(key, &mut message, WireMode::Protobuf, last)
        {
            Ok(true) => {
                self.sent += 1;
                self.closed_send |= last;
                true
            }
            Ok(false) => {
                assert!(message.is_some(), "a blocked message is left in place");
                false
            }
            // The answer tells how the call ended.
            Err(_) => {
                self.closed_send = true;
                true
            }
        }
    }

    fn receive(&mut self, world: &mut World, index: usize, key: StreamKey) -> bool {
        if !world.rng.chance(self.plan.appetite) {
            return false;
        }
        if !METHODS[self.plan.method].kind().streams_responses() {
            let Some(answer) = world.client.take_unary(key) else {
                return false;
            };
            let outcome = answer.map(|answer| {
                check(index, 0, self.plan.responses[0], &answer.message);
                assert_eq!(answer.headers.text("h").is_some(), self.plan.metadata);
                assert_eq!(answer.trailers.text("t").is_some(), self.plan.metadata);
                self.got = 1;
            });
            self.finish(outcome);
            return true;
        }
        match world.client.take_message(key) {
            None => return false,
            Some(Ok(Some(message))) => {
                check(index, self.got, self.plan.responses[self.got], &message);
                self.got += 1;
            }
            Some(Ok(None)) => {
                let trailers = world.client.take_trailers(key);
                assert_eq!(trailers.text("t").is_some(), self.plan.metadata);
                world.client.release(key);
                self.finish(Ok(()));
            }
            Some(Err(ended)) => {
                world.client.release(key);
                self.finish(Err(ended));
            }
        }
        true
    }

    fn finish(&mut self, outcome: Result<(), Ended>) {
        assert!(self.outcome.is_none(), "a call ends once");
        if outcome.is_ok() {
            assert_eq!(self.plan.status, Code::Ok);
            assert_eq!(
                self.got,
                self.plan.responses.len(),
                "success means every response"
            );
        }
        self.outcome = Some(outcome);
    }
}

impl Handler {
    fn step(&mut self, world: &mut World, plan: &Plan) -> bool {
        let taken = self.take(world, plan);
        if !self.all_received && !plan.early {
            return taken;
        }
        self.give(world, plan) || taken
    }

    fn take(&mut self, world: &mut World, plan: &Plan) -> bool {
        if self.all_received || !world.rng.chance(plan.appetite) {
            return false;
        }
        match world.server.take_message(self.key) {
            None => false,
            Some(Ok(Some(message))) => {
                check(self.call, self.got, plan.requests[self.got], &message);
                self.got += 1;
                true
            }
            Some(Ok(None)) => {
                assert_eq!(self.got, plan.requests.len());
                self.all_received = true;
                true
            }
            // An event says so too, and stops the handler.
            Some(Err(_)) => false,
        }
    }

    fn give(&mut self, world: &mut World, plan: &Plan) -> bool {
        let mode = world
            .server
            .response_mode(self.key)
            .unwrap_or(WireMode::Protobuf);
        let unary = !METHODS[plan.method].kind().streams_responses();
        let mut entries = (Metadata::new(), Metadata::new());
        if plan.metadata {
            entries.0.append("h", "1").expect("a lawful entry");
            entries.1.append("t", "1").expect("a lawful entry");
        }
        if plan.status != Code::Ok && self.sent == plan.responses.len() / 2 {
            let status = Status::new(plan.status, "planned");
            let reason = EndReason::APPLICATION;
            world
                .server
                .end(self.key, &status, reason, Begun::Maybe, &entries.1);
            self.stopped = true;
        } else if unary {
            let message = segment(content(self.call, 0, plan.responses[0]));
            world
                .server
                .respond(self.key, &entries.0, Some((message, mode)), &entries.1);
            self.stopped = true;
        } else if let Some(length) = plan.responses.get(self.sent) {
            let mut message = Some(segment(content(self.call, self.sent, *length)));
            return match world.server.send(self.key, &mut message, mode, false) {
                Ok(true) => {
                    self.sent += 1;
                    true
                }
                Ok(false) | Err(_) => false,
            };
        } else {
            world.server.respond(self.key, &entries.0, None, &entries.1);
            self.stopped = true;
        }
        true
    }
}

fn segment(bytes: Vec<u8>) -> Segment {
    Segment::from_vec(bytes)
}
