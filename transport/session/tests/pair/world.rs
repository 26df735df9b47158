//! Two sessions and the link between them: bytes are delayed, split and cut by a script.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use dreammesh_session::frame::{Frame, PREFACE, kind};
use dreammesh_session::{Config, Landing, Output, Session};

use crate::rng::Rng;

/// One direction of the link.
#[derive(Debug, Default)]
struct Pipe {
    /// Bytes under way, each piece with the time of its arrival.
    pieces: VecDeque<(u64, Vec<u8>)>,
    /// Bytes that arrived and were not taken.
    arrived: BytesMut,
    /// Where the next ones belong, which come before those.
    landing: Option<Landing>,
}

/// The two sides, the link, the clock and the trace.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) client: Session<()>,
    pub(crate) server: Session<()>,
    pub(crate) rng: Rng,
    to_server: Pipe,
    to_client: Pipe,
    epoch: Instant,
    /// Virtual time in microseconds.
    pub(crate) time: u64,
    pub(crate) cut: bool,
    delay_us: u64,
    trace: DefaultHasher,
    sniffer: Sniffer,
}

/// Reads what the client sends, to see that no call id comes twice.
#[derive(Debug, Default)]
struct Sniffer {
    bytes: Vec<u8>,
    begun: bool,
    ids: HashSet<(u32, u32)>,
}

impl World {
    pub(crate) fn new(seed: u64, config: Config) -> Self {
        let epoch = Instant::now();
        let mut rng = Rng::new(seed);
        let delay_us = rng.below(5000);
        Self {
            client: Session::client(config.clone(), epoch),
            server: Session::server(config, epoch),
            rng,
            to_server: Pipe::default(),
            to_client: Pipe::default(),
            epoch,
            time: 0,
            cut: false,
            delay_us,
            trace: DefaultHasher::new(),
            sniffer: Sniffer::default(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.epoch + Duration::from_micros(self.time)
    }

    pub(crate) fn note(&mut self, what: &str) {
        self.trace.write(what.as_bytes());
        self.trace.write_u64(self.time);
    }

    pub(crate) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    /// Moves output of one side onto the link, in pieces.
    pub(crate) fn pump(&mut self, from_client: bool) -> bool {
        let budget = 1 + self.rng.below(300_000) as usize;
        let side = if from_client {
            &mut self.client
        } else {
            &mut self.server
        };
        let mut output = Output::new();
        if side.poll_output(&mut output, budget) == 0 {
            return false;
        }
        let mut bytes = Vec::with_capacity(output.remaining());
        while output.has_remaining() {
            let step = output.chunk().len();
            bytes.extend_from_slice(output.chunk());
            output.advance(step);
        }
        self.trace.write(&bytes);
        if from_client {
            self.sniffer.read(&bytes);
        }
        if self.cut {
            return true;
        }
        let pipe = if from_client {
            &mut self.to_server
        } else {
            &mut self.to_client
        };
        let mut at = self.time + self.rng.below(self.delay_us + 1);
        at = at.max(pipe.pieces.back().map_or(0, |(last, _)| *last));
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let most = if self.rng.chance(20) { 40 } else { 100_000 };
            let (piece, after) = rest.split_at(rest.len().min(1 + self.rng.below(most) as usize));
            pipe.pieces.push_back((at, piece.to_vec()));
            rest = after;
        }
        true
    }

    /// Hands pieces that have arrived to one side.
    pub(crate) fn deliver(&mut self, to_client: bool) -> bool {
        let now = self.now();
        let (pipe, side) = if to_client {
            (&mut self.to_client, &mut self.client)
        } else {
            (&mut self.to_server, &mut self.server)
        };
        if side.is_closed() {
            // Its driver reads no more.
            pipe.pieces.clear();
        }
        if self.cut || !side.wants_input() {
            return false;
        }
        let Some((at, _)) = pipe.pieces.front() else {
            return false;
        };
        if *at > self.time {
            return false;
        }
        let (_, piece) = pipe.pieces.pop_front().expect("it was just seen");
        pipe.arrive(side, now, &piece, self.rng.chance(70));
        true
    }

    /// Cuts the link: what is under way is lost.
    pub(crate) fn cut_link(&mut self) {
        self.cut = true;
        self.client.handle_link_lost("cut");
        self.server.handle_link_lost("cut");
    }

    pub(crate) fn idle(&self) -> bool {
        self.to_server.pieces.is_empty() && self.to_client.pieces.is_empty()
    }

    pub(crate) fn advance(&mut self, micros: u64) {
        self.time += micros;
        let now = self.now();
        for side in [&mut self.client, &mut self.server] {
            if side.poll_timeout().is_some_and(|at| at <= now) {
                side.handle_timeout(now);
            }
        }
    }
}

impl Pipe {
    /// Hands a piece to a side, some of it by way of a landing if there is one.
    fn arrive(&mut self, side: &mut Session<()>, now: Instant, mut piece: &[u8], land: bool) {
        // How much a landing takes depends on what other tests left on the shelf, so the whole
        // piece is handed over, lest the script go on differently.
        while let Some(mut landing) = self.landing.take() {
            let mut behind = [0; 40];
            let before = piece.len();
            for place in &mut landing.places(&mut behind) {
                let (taken, rest) = piece.split_at(place.len().min(piece.len()));
                place[..taken.len()].copy_from_slice(taken);
                piece = rest;
            }
            let behind = &behind[..landing.fill(before - piece.len())];
            self.arrived.extend_from_slice(behind);
            side.handle_landed(now, landing, &mut self.arrived);
            side.handle_input(now, &mut self.arrived);
            if !piece.is_empty() && self.arrived.is_empty() {
                self.landing = side.poll_landing();
            }
        }
        self.arrived.extend_from_slice(piece);
        side.handle_input(now, &mut self.arrived);
        if land && self.arrived.is_empty() {
            self.landing = side.poll_landing();
        }
    }
}

impl Sniffer {
    fn read(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if !self.begun && self.bytes.len() >= PREFACE.len() {
            assert_eq!(self.bytes[..8], PREFACE);
            self.bytes.drain(..8);
            self.begun = true;
        }
        let mut taken = 0;
        while let Ok(Some((frame, total))) = Frame::split(&self.bytes[taken..]) {
            assert_eq!(total % 8, 0, "frames are multiples of eight");
            let id = (frame.header.slot, frame.header.generation);
            if frame.header.kind == kind::OPEN {
                assert!(self.ids.insert(id), "call id {id:?} came twice");
            }
            taken += total;
        }
        self.bytes.drain(..taken);
    }
}
