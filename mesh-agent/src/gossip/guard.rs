//! What an agent sends to others and takes from them.
//!
//! A [`Guard`] is plain state: time and randomness are arguments, and no socket is in it. Messages
//! go in by [`Guard::handle_message`], datagrams by [`Guard::handle_datagram`]; after each of them,
//! [`Guard::poll_transmit`] hands out what is to be sent.
//!
//! **Why no datagram is taken twice.** Each run of an agent numbers what it seals, and a receiver
//! remembers which numbers of each sender it has taken. It remembers a bounded number of senders; so
//! a datagram of one that is not known must name a mark that the receiver drew when it started, or
//! when it last forgot a sender. What was sent before that names another mark. No clock is read, so
//! none can be wrong.
//!
//! **How a sender learns the mark.** A datagram that is sealed as it should be but names another mark
//! is answered with a challenge, which is never longer than what it answers, and is believed only by
//! who sent just that datagram; it sends the message once more. Each message says the mark of its own
//! sender, so the way back needs no challenge. What is not sealed is not answered.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::parts::{PART_BYTES, Parts, Place};
use super::seal::{HEAD_BYTES, Head, Keys, Kind, Mark, Marks, SenderKey, TAG_BYTES, Unread};
use super::secret::Secrets;
use super::window::Window;

#[cfg(test)]
mod tests;

/// How long a datagram is at most: what UDP over IPv4 carries.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;
/// How long a message is at most: the longest that `chitchat` makes.
pub const MESSAGE_BYTES_MAX: usize = 65_507;
/// How long a datagram is if nothing else is said: short enough for every path of IPv6, so that none
/// is sent in fragments, which some networks drop.
pub const DATAGRAM_BYTES: usize = 1_232;
/// How many senders are known at most; one more, and the one not heard of the longest is forgotten.
pub const SENDERS_MAX: usize = 1_024;
/// Of how many addresses it is known what to name to them.
pub const PEERS_MAX: usize = 1_024;
/// How many bytes of messages are kept until their receivers say what to name.
pub const KEPT_BYTES_MAX: usize = 1 << 20;
/// How many bytes of messages that are not whole are kept.
pub const PARTS_BYTES_MAX: usize = 1 << 20;
/// How many challenges are sent in one second.
pub const CHALLENGES_PER_SECOND: u32 = 64;

/// What a datagram has beside the bytes of its message.
const OVERHEAD: usize = HEAD_BYTES + Mark::BYTES + PART_BYTES + TAG_BYTES;
/// The shortest limit on datagrams with which the longest message has fewer parts than a part can
/// count.
const DATAGRAM_BYTES_LEAST: usize = 512;
/// How many datagrams wait to be sent: two messages of the greatest size in the shortest datagrams.
const TRANSMITS_MAX: usize = 512;

/// What cluster an agent is in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cluster {
    /// What it is called: agents of another one are not heard, even with the same secret.
    pub name: Box<str>,
    /// Its secrets.
    pub secrets: Secrets,
    /// How long the datagrams are that are sent; taken are all.
    pub datagram_bytes: usize,
}

impl Cluster {
    /// A cluster with its secrets.
    pub fn new(name: impl Into<Box<str>>, secrets: Secrets) -> Self {
        Self {
            name: name.into(),
            secrets,
            datagram_bytes: DATAGRAM_BYTES,
        }
    }
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Dropped {
    /// It is shorter than any of ours.
    Truncated,
    /// It is of something else, or of a cluster with another name or secret.
    Foreign,
    /// It is not what its sender sealed.
    Forged,
    /// It was taken before, or is too old for that to be known.
    Replayed,
    /// It names a mark that is not taken: its sender started just now, or somebody sends old ones.
    Stale,
    /// It is a challenge to nothing that was sent.
    Unasked,
    /// It is a part of a message that cannot be put together.
    Misplaced,
    /// It is sealed as it should be, and says nothing that can be read.
    Unreadable,
}

impl Dropped {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Truncated,
        Self::Foreign,
        Self::Forged,
        Self::Replayed,
        Self::Stale,
        Self::Unasked,
        Self::Misplaced,
        Self::Unreadable,
    ];

    /// The kind as one word, as metrics say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Foreign => "foreign",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Stale => "stale",
            Self::Unasked => "unasked",
            Self::Misplaced => "misplaced",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Seals what is sent, and opens what comes.
#[derive(Debug)]
pub struct Guard {
    keys: Keys,
    marks: Marks,
    /// How many bytes of a message go into one datagram.
    chunk: usize,
    /// This run of this agent.
    me: Mark,
    sealing: SenderKey,
    /// The number of the last datagram sealed.
    number: u64,
    /// The number of the last message sent.
    message: u32,
    /// What senders that are not known must name.
    present: Mark,
    senders: BTreeMap<Mark, Sender>,
    peers: BTreeMap<SocketAddr, Peer>,
    /// The bytes that peers keep together.
    kept_bytes: usize,
    /// The bytes of the parts that senders have together.
    parts_bytes: usize,
    /// Counts uses of senders and peers, to know which was used the longest ago.
    uses: u64,
    challenges: Allowance,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
}

/// A run of an agent whose datagrams are taken.
#[derive(Debug)]
struct Sender {
    key: SenderKey,
    window: Window,
    /// The mark under which it was let in; it may go on naming it.
    names: Mark,
    parts: Option<Parts>,
    used: u64,
}

/// An address that messages are sent to.
#[derive(Debug)]
struct Peer {
    /// What to name to it, once it is known.
    mark: Option<Mark>,
    /// The numbers of the datagrams of the last message; a challenge must answer one of them.
    sent: RangeInclusive<u64>,
    /// The last message, as long as it is not known what to name.
    kept: Option<Vec<u8>>,
    used: u64,
}

impl Guard {
    /// A guard of a run of an agent. The seed must be drawn at random anew for each.
    pub fn new(cluster: &Cluster, seed: [u8; 32], now: Instant) -> Self {
        let keys = Keys::new(&cluster.name, &cluster.secrets);
        let mut marks = Marks::new(seed);
        let me = marks.draw();
        let sealing = keys.of_sender(keys.sealing(), me);
        let datagram = cluster.datagram_bytes;
        let datagram = datagram.clamp(DATAGRAM_BYTES_LEAST, DATAGRAM_BYTES_MAX);
        Self {
            sealing: sealing.expect("the id is that of a secret of these keys"),
            present: marks.draw(),
            keys,
            marks,
            chunk: datagram - OVERHEAD,
            me,
            number: 0,
            message: 0,
            senders: BTreeMap::new(),
            peers: BTreeMap::new(),
            kept_bytes: 0,
            parts_bytes: 0,
            uses: 0,
            challenges: Allowance::full(now),
            transmits: VecDeque::new(),
        }
    }

    /// Seals a message for an address. Says whether it will be sent: not when it is longer than
    /// [`MESSAGE_BYTES_MAX`], or when what was sealed before has not been taken away.
    pub fn handle_message(&mut self, to: SocketAddr, message: &[u8]) -> bool {
        let parts = message.len().div_ceil(self.chunk).max(1);
        if message.len() > MESSAGE_BYTES_MAX || self.transmits.len() + parts > TRANSMITS_MAX {
            return false;
        }
        let mark = self.peer(to).mark;
        let first = self.number + 1;
        self.message = self.message.wrapping_add(1);
        for index in 0..parts {
            let from = index * self.chunk;
            let bytes = &message[from..message.len().min(from + self.chunk)];
            let place = Place {
                message: self.message,
                index: u8::try_from(index).expect("a message has fewer parts than a byte counts"),
                count: u8::try_from(parts).expect("a message has fewer parts than a byte counts"),
            };
            let mut body = Vec::with_capacity(bytes.len() + OVERHEAD);
            body.extend_from_slice(&self.present.0);
            place.write(&mut body);
            body.extend_from_slice(bytes);
            self.transmit(to, Kind::Data, mark.unwrap_or_default(), &body);
        }
        let sent = first..=self.number;
        let keep = mark.is_none().then(|| message.to_vec());
        self.keep(to, sent, keep);
        true
    }

    /// Takes in a datagram; gives the message that is whole by it.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn handle_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &mut [u8],
        now: Instant,
    ) -> Result<Option<Vec<u8>>, Dropped> {
        let head = Head::read(datagram).map_err(|unread| match unread {
            Unread::Short => Dropped::Truncated,
            Unread::Foreign => Dropped::Foreign,
        })?;
        if head.sender == self.me {
            return Err(Dropped::Replayed);
        }
        match head.kind {
            Kind::Data => self.handle_data(from, &head, datagram, now),
            Kind::Challenge => self.handle_challenge(from, &head, datagram).map(|()| None),
        }
    }

    /// The next datagram to be sent, and where to.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmits.pop_front()
    }

    /// How many senders are known.
    pub fn senders(&self) -> usize {
        self.senders.len()
    }

    fn handle_data(
        &mut self,
        from: SocketAddr,
        head: &Head,
        datagram: &mut [u8],
        now: Instant,
    ) -> Result<Option<Vec<u8>>, Dropped> {
        let length = datagram.len();
        let mut new_key = None;
        let (key, names) = match self.senders.get(&head.sender) {
            Some(sender) => (&sender.key, Some(sender.names)),
            None => {
                let key = self.keys.of_sender(head.key, head.sender);
                (&*new_key.insert(key.ok_or(Dropped::Foreign)?), None)
            }
        };
        if key.id != head.key {
            return Err(Dropped::Forged);
        }
        let body = key.open(head, datagram).ok_or(Dropped::Forged)?;
        if head.names != self.present && Some(head.names) != names {
            self.challenge(from, head, length, now);
            return Err(Dropped::Stale);
        }
        let (mark, body) = body.split_first_chunk().ok_or(Dropped::Misplaced)?;
        let (place, bytes) = Place::read(body).ok_or(Dropped::Misplaced)?;
        if let Some(key) = new_key {
            self.let_in(head, key);
        }
        self.uses += 1;
        let uses = self.uses;
        let sender = self.senders.get_mut(&head.sender);
        let sender = sender.expect("the sender was known, or has been let in above");
        if !sender.window.take(head.number) {
            return Err(Dropped::Replayed);
        }
        sender.used = uses;
        sender.names = head.names;
        self.peer(from).mark = Some(Mark(*mark));
        if place.count == 1 {
            return Ok(Some(bytes.to_vec()));
        }
        self.put_part(head.sender, place, bytes)
    }

    fn handle_challenge(
        &mut self,
        from: SocketAddr,
        head: &Head,
        datagram: &mut [u8],
    ) -> Result<(), Dropped> {
        if head.names != self.me {
            return Err(Dropped::Unasked);
        }
        let key = self.keys.of_sender(head.key, head.sender);
        let body = key.ok_or(Dropped::Foreign)?;
        let body = body.open(head, datagram).ok_or(Dropped::Forged)?;
        let (mark, number) = body.split_first_chunk().ok_or(Dropped::Misplaced)?;
        let number = number.try_into().map_err(|_| Dropped::Misplaced)?;
        let number = u64::from_be_bytes(number);
        let peer = self.peers.get_mut(&from).ok_or(Dropped::Unasked)?;
        if !peer.sent.contains(&number) {
            return Err(Dropped::Unasked);
        }
        peer.mark = Some(Mark(*mark));
        // A challenge is believed once: what it answered has been answered.
        peer.sent = NOTHING_SENT;
        if let Some(message) = peer.kept.take() {
            self.kept_bytes -= message.len();
            self.handle_message(from, &message);
        }
        Ok(())
    }

    /// Tells a sender what to name, if it may be told.
    fn challenge(&mut self, to: SocketAddr, head: &Head, length: usize, now: Instant) {
        const BYTES: usize = HEAD_BYTES + Mark::BYTES + 8 + TAG_BYTES;
        // Who forges the address of a member must not make it receive more than was sent.
        if length < BYTES || self.transmits.len() >= TRANSMITS_MAX || !self.challenges.take(now) {
            return;
        }
        let mut body = self.present.0.to_vec();
        body.extend_from_slice(&head.number.to_be_bytes());
        self.transmit(to, Kind::Challenge, head.sender, &body);
    }

    /// Takes in a sender that named the present mark.
    fn let_in(&mut self, head: &Head, key: SenderKey) {
        if self.senders.len() >= SENDERS_MAX {
            let oldest = self.senders.iter().min_by_key(|(_, sender)| sender.used);
            if let Some(oldest) = oldest.map(|(mark, _)| *mark) {
                self.drop_parts(oldest);
                self.senders.remove(&oldest);
            }
            // What the forgotten one sent named a mark up to this one; it must not be taken again.
            self.present = self.marks.draw();
        }
        let sender = Sender {
            key,
            window: Window::default(),
            names: head.names,
            parts: None,
            used: self.uses,
        };
        self.senders.insert(head.sender, sender);
    }

    fn put_part(
        &mut self,
        from: Mark,
        place: Place,
        bytes: &[u8],
    ) -> Result<Option<Vec<u8>>, Dropped> {
        let sender = self.senders.get_mut(&from);
        let sender = sender.expect("only called with a sender that is known");
        if sender.parts.as_ref().is_none_or(|it| !it.is_of(place)) {
            self.drop_parts(from);
        }
        while self.parts_bytes + bytes.len() > PARTS_BYTES_MAX {
            let having = self.senders.iter().filter(|(_, it)| it.parts.is_some());
            let oldest = having.min_by_key(|(_, sender)| sender.used);
            let oldest = oldest.map(|(mark, _)| *mark).ok_or(Dropped::Misplaced)?;
            self.drop_parts(oldest);
        }
        let sender = self.senders.get_mut(&from);
        let sender = sender.expect("only called with a sender that is known");
        let parts = sender.parts.get_or_insert_with(|| Parts::of(place));
        if !parts.put(place, bytes, MESSAGE_BYTES_MAX) {
            return Err(Dropped::Misplaced);
        }
        self.parts_bytes += bytes.len();
        let whole = parts.whole();
        if whole.is_some() {
            self.drop_parts(from);
        }
        Ok(whole)
    }

    fn drop_parts(&mut self, of: Mark) {
        if let Some(sender) = self.senders.get_mut(&of)
            && let Some(parts) = sender.parts.take()
        {
            self.parts_bytes -= parts.bytes();
        }
    }

    /// What is known of an address, from now on if nothing was.
    fn peer(&mut self, at: SocketAddr) -> &mut Peer {
        if !self.peers.contains_key(&at) && self.peers.len() >= PEERS_MAX {
            let oldest = self.peers.iter().min_by_key(|(_, peer)| peer.used);
            if let Some(oldest) = oldest.map(|(at, _)| *at) {
                let peer = self.peers.remove(&oldest);
                let kept = peer.and_then(|peer| peer.kept);
                self.kept_bytes -= kept.map_or(0, |kept| kept.len());
            }
        }
        self.uses += 1;
        let peer = self.peers.entry(at).or_insert(Peer {
            mark: None,
            sent: NOTHING_SENT,
            kept: None,
            used: 0,
        });
        peer.used = self.uses;
        peer
    }

    /// Notes what was sent to an address last.
    fn keep(&mut self, to: SocketAddr, sent: RangeInclusive<u64>, message: Option<Vec<u8>>) {
        let Some(peer) = self.peers.get_mut(&to) else {
            return;
        };
        peer.sent = sent;
        self.kept_bytes -= peer.kept.take().map_or(0, |kept| kept.len());
        if let Some(message) = message
            && self.kept_bytes + message.len() <= KEPT_BYTES_MAX
        {
            self.kept_bytes += message.len();
            peer.kept = Some(message);
        }
    }

    fn transmit(&mut self, to: SocketAddr, kind: Kind, names: Mark, body: &[u8]) {
        self.number += 1;
        let head = Head {
            kind,
            key: self.sealing.id,
            sender: self.me,
            names,
            number: self.number,
        };
        let datagram = self.sealing.seal(&head, body);
        self.transmits.push_back((to, datagram));
    }
}

/// What no number is in.
const NOTHING_SENT: RangeInclusive<u64> = RangeInclusive::new(1, 0);

/// How many challenges may be sent now.
#[derive(Debug)]
struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    const fn full(now: Instant) -> Self {
        Self {
            left: CHALLENGES_PER_SECOND,
            since: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::full(now);
        }
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }
}
