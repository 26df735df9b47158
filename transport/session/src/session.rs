//! One side of one connection: its state, and how a driver turns it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dreammesh_core::port::StreamKey;

use crate::config::Config;
use crate::event::Event;
use crate::flow::{Budget, Pool};
use crate::frame::hello::Hello;
use crate::frame::{PREFACE, kind};
use crate::output::Output;

mod bulk;
mod calls;
mod client;
mod input;
mod landing;
mod lifecycle;
mod methods;
mod receiving;
mod sending;
mod server;
mod slots;
mod timing;

pub use client::OpenError;
pub use landing::Landing;
pub use methods::{JudgeLayouts, MethodAnswer, MethodStanding};
pub use server::{Accepted, Sections};

use bulk::Bulk;
use landing::Arriving;
use lifecycle::Drain;
use methods::Methods;
use server::WireSlot;
use slots::{Micros, NEVER, Slots};
use timing::Probe;

/// One side of one connection, without I/O.
///
/// `U` is what the driver keeps with each stream, such as wakers; a stream starts with its
/// default, and releasing the stream drops it.
///
/// # How to drive it
///
/// 1. Bytes from the link go to [`handle_input`](Self::handle_input), while
///    [`wants_input`](Self::wants_input); at the instant of
///    [`poll_timeout`](Self::poll_timeout) comes [`handle_timeout`](Self::handle_timeout).
/// 2. After either, [`poll_event`](Self::poll_event) until it gives none.
/// 3. After that, and after commands such as [`open`](Self::open) or [`send`](Self::send),
///    [`poll_output`](Self::poll_output) until it gives nothing; write what it gives.
/// 4. Once [`is_closed`](Self::is_closed), write the remaining output and shut the link. If the
///    link ends first, [`handle_link_lost`](Self::handle_link_lost); if it never was one,
///    [`handle_link_refused`](Self::handle_link_refused).
#[derive(Debug)]
pub struct Session<U> {
    role: Role,
    config: Config,
    /// What we announced.
    local: Hello,
    /// What the peer announced; the minimum until it has.
    peer: Hello,
    /// Whether the peer's HELLO arrived.
    connected: bool,
    /// The bytes of the peer's preface that have not arrived.
    preface_left: usize,
    /// The instant from which time is counted.
    epoch: Instant,
    /// The latest time the driver handed in.
    now: Micros,
    slots: Slots<U>,
    /// Server: the streams by their slot on the wire; `len() <= slots_max`.
    wire: Vec<WireSlot>,
    methods: Methods,
    events: VecDeque<Event>,
    output: Output,
    bulk: Bulk,
    /// The chunk that has arrived in part.
    arriving: Option<Arriving>,
    /// Connection credit for what we send.
    send_pool: Pool,
    /// Connection credit for what the peer sends.
    receive_pool: Pool,
    /// Streams that exist on the wire.
    live: u32,
    /// Client: somebody waits for [`Event::Room`].
    room_wanted: bool,
    /// OPEN frames sent, or received, on this connection.
    ordinal: u64,
    /// The ordinal up to which OPEN frames were handed to the link.
    ordinal_handed_out: u64,
    /// Not later than the earliest deadline of any stream.
    deadline_next: Micros,
    /// When the streams were last scanned for deadlines.
    scanned: Micros,
    /// When bytes last arrived.
    received: Micros,
    /// When the keepalive PING went out that nothing has arrived after.
    ping_sent: Option<Micros>,
    /// Client: what is known of a peer that calls wait for.
    probe: Probe,
    drain: Drain,
    /// Server: when an announced drain becomes final without the client's answer.
    drain_final_at: Micros,
    closed: bool,
    budget: Budget,
    stats: Stats,
}

/// Which side a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

/// Counters of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls opened or taken.
    pub calls: u64,
    /// Frames for calls that were over when they came; dropped without effect.
    pub frames_late: u64,
    /// Ignorable frames of unknown kinds.
    pub frames_ignored: u64,
    /// Server: calls refused before they began.
    pub calls_refused: u64,
    /// Streams that exist on the wire.
    pub calls_live: u32,
    /// Streams whose key was not released, or whose last bytes are not sent.
    pub streams_held: u32,
    /// Connection credit that messages to us occupy.
    pub credit_held: u64,
    /// Connection credit that messages from us occupy.
    pub credit_used: u64,
    /// Bytes of messages that wait to be taken.
    pub queued_bytes: u64,
}

impl<U: Default> Session<U> {
    /// The side that opens calls; its preface and HELLO are the first output.
    pub fn client(config: Config, now: Instant) -> Self {
        Self::new(Role::Client, config, now)
    }

    /// The side that answers calls; its preface and HELLO are the first output.
    pub fn server(config: Config, now: Instant) -> Self {
        Self::new(Role::Server, config, now)
    }

    fn new(role: Role, config: Config, now: Instant) -> Self {
        let local = config.hello();
        let peer = Hello::MINIMUM;
        let mut output = Output::retaining(config.output_retained_bytes_max);
        // Neither side waits for the other's HELLO (PROTOCOL.md §2).
        output.buffer().extend_from_slice(&PREFACE);
        local.write(output.buffer());
        Self {
            role,
            local,
            peer,
            connected: false,
            preface_left: PREFACE.len(),
            epoch: now,
            now: 0,
            slots: Slots::new(config.generations_max),
            wire: Vec::new(),
            methods: Methods::default(),
            events: VecDeque::new(),
            output,
            bulk: Bulk::default(),
            arriving: None,
            send_pool: Pool::new(peer.connection_credit),
            receive_pool: Pool::new(local.connection_credit),
            live: 0,
            room_wanted: false,
            ordinal: 0,
            ordinal_handed_out: 0,
            deadline_next: NEVER,
            scanned: 0,
            received: 0,
            ping_sent: None,
            probe: Probe::default(),
            drain: Drain::None,
            drain_final_at: NEVER,
            closed: false,
            budget: Budget::new(local.calls_max),
            stats: Stats::default(),
            config,
        }
    }

    /// The next thing that happened.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether [`Session::poll_event`] has something to tell.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// What the driver keeps with a stream, until it is released.
    #[inline]
    pub fn user(&mut self, key: StreamKey) -> Option<&mut U> {
        self.slots.find(key).map(|(_, slot)| &mut slot.user)
    }

    /// Whether the session is over; what output remains should still be written.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Client: whether new calls are taken.
    pub fn is_open(&self) -> bool {
        !self.closed && self.drain == Drain::None
    }

    /// Whether the peer's HELLO has arrived.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// What the peer announced; the protocol's minimum until it has.
    pub fn peer_hello(&self) -> &Hello {
        &self.peer
    }

    /// The counters at this moment; walks all streams.
    pub fn stats(&self) -> Stats {
        Stats {
            calls_live: self.live,
            streams_held: self.slots.in_use(),
            credit_held: self.receive_pool.in_use(),
            credit_used: self.send_pool.in_use(),
            queued_bytes: self
                .slots
                .iter()
                .map(|slot| slot.queued_bytes() as u64)
                .sum(),
            ..self.stats
        }
    }

    /// Notes the time; it never goes back.
    #[inline]
    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(self.micros(now));
    }

    /// Microseconds from the beginning of the session to an instant.
    #[inline]
    fn micros(&self, instant: Instant) -> Micros {
        micros_of(instant.saturating_duration_since(self.epoch))
    }

    /// Slots on the wire are numbered below this: what the server announces, at least what a
    /// client may assume before it knows (PROTOCOL.md §3.2).
    fn slots_max(&self) -> u32 {
        match self.role {
            Role::Client => self.peer.calls_max,
            Role::Server => self.local.calls_max,
        }
    }
}

#[inline]
fn micros_of(duration: Duration) -> Micros {
    let seconds = duration.as_secs().saturating_mul(1_000_000);
    seconds.saturating_add(u64::from(duration.subsec_micros()))
}

/// Whether a frame of this kind may come from that side.
fn may_come_from(sender: Role, frame_kind: u8) -> bool {
    match frame_kind {
        kind::METHOD | kind::LAYOUT_VERDICT | kind::OPEN | kind::CANCEL => sender == Role::Client,
        kind::METHOD_ACK | kind::HEADERS | kind::END | kind::GOAWAY => sender == Role::Server,
        _ => true,
    }
}
