//! The methods of a connection: indexes, and which directions carry archives (PROTOCOL.md §4.2).

use bytes::Bytes;
use dreammesh_core::call::{Begun, MethodInfo, Status};
use dreammesh_core::port::{Ended, WireMode};
use dreammesh_core::wire::LayoutHash;

use super::Session;
use crate::event::Event;
use crate::frame::layout_verdict::LayoutVerdict;
use crate::frame::method::{Assumed, Hashes, Method, Verdict};
use crate::frame::method_ack::{CHAINS_BYTES_MAX, Chains, MethodAck};
use crate::frame::{CloseCode, Frame, Violation};

/// The methods named on a connection, by index.
#[derive(Debug, Default)]
pub(crate) struct Methods {
    list: Vec<Entry>,
    /// Client: indexes by the address of the method's static description. A direct-mapped table
    /// makes the usual look-up one comparison; what collides is found by a walk.
    by_address: Box<[(usize, u32)]>,
}

/// One method.
#[derive(Debug)]
pub(crate) struct Entry {
    path: Box<str>,
    /// Client: the address of its description.
    address: usize,
    /// The layouts of this side.
    ours: Hashes,
    /// The layouts of the peer; the client's are known from the start, the server's with its
    /// acknowledgement.
    theirs: Hashes,
    assumed: Option<Assumed>,
    /// The chains of the server for requests and responses, while they wait to be judged.
    chains: (Bytes, Bytes),
    pub(crate) verdict: Verdict,
    /// Server: it was answered. Client: it was acknowledged.
    pub(crate) settled: bool,
    /// The client has judged; it does so at most once.
    judged: bool,
    /// Client: the server has no such method.
    unknown: bool,
    /// Whether the client may send other than exactly one message.
    pub(crate) streams_requests: bool,
    /// Whether the server may send other than exactly one message.
    pub(crate) streams_responses: bool,
}

/// What the driver of a server knows of a method that the client named.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "built by the driver from its router's answer"
)]
pub struct MethodAnswer<'a> {
    /// Whether there is a handler; calls of unknown methods still come as events.
    pub known: bool,
    /// Whether the method takes a stream of requests; other calls come only when complete.
    pub streams_requests: bool,
    /// The server's closure hashes.
    pub hashes: Hashes,
    /// The chains behind them, from `wire`'s `Closure`; sent only if the hashes differ.
    pub chains: Chains<'a>,
}

/// What a client needs to judge a server's layouts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JudgeLayouts {
    /// The client's closure hashes.
    pub ours: Hashes,
    /// The server's closure hashes.
    pub theirs: Hashes,
    /// The chains the server claims for requests, to be read by `wire`'s `Closure`; empty if it
    /// claims none, which makes the direction protobuf unless the hashes are equal.
    pub request_chains: Bytes,
    /// The same for responses.
    pub response_chains: Bytes,
}

/// What a server has said of a method that the client named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "not yet, no, and yes are all there is"
)]
pub enum MethodStanding {
    /// It has not answered, or its layouts wait to be judged.
    Open,
    /// It has no such method.
    Unknown,
    /// It has the method, and these directions carry archives.
    Settled(Verdict),
}

impl Methods {
    #[inline]
    pub(crate) fn at(&self, index: u32) -> &Entry {
        &self.list[index as usize]
    }

    pub(crate) fn find(&self, index: u32) -> Option<&Entry> {
        self.list.get(index as usize)
    }

    pub(crate) fn len(&self) -> u32 {
        self.list.len() as u32
    }

    #[inline]
    fn index_of(&mut self, address: usize) -> Option<u32> {
        if let Some((known, index)) = self.by_address.get(home(address))
            && *known == address
        {
            return Some(*index);
        }
        let index = self
            .list
            .iter()
            .position(|entry| entry.address == address)? as u32;
        self.by_address[home(address)] = (address, index);
        Some(index)
    }

    fn add(&mut self, entry: Entry) -> u32 {
        let index = self.len();
        if entry.address != 0 {
            if self.by_address.is_empty() {
                self.by_address = vec![(0, 0); HOMES].into();
            }
            self.by_address[home(entry.address)] = (entry.address, index);
        }
        if self.list.is_empty() {
            // Many sessions carry one method, and a list begins with four otherwise.
            self.list.reserve_exact(1);
        }
        self.list.push(entry);
        index
    }
}

/// Static descriptions are at least 16 bytes apart, so the low bits tell nothing.
#[inline]
fn home(address: usize) -> usize {
    (address >> 4 ^ address >> 10) % HOMES
}

/// Four times the methods of a large service, so that collisions stay rare.
const HOMES: usize = 256;

const NO_HASHES: Hashes = Hashes {
    request: LayoutHash([0; 16]),
    response: LayoutHash([0; 16]),
};

impl<U: Default> Session<U> {
    /// Client: the index of a method that was named on this connection before.
    #[inline]
    pub fn method_named(&mut self, info: &'static MethodInfo) -> Option<u32> {
        self.methods.index_of(std::ptr::from_ref(info).addr())
    }

    /// Client: the index of a method on this connection, naming it to the server at first use.
    ///
    /// # Errors
    /// When the server keeps no more methods; nothing was begun.
    #[inline]
    pub fn method(&mut self, info: &'static MethodInfo) -> Result<u32, Ended> {
        match self.methods.index_of(std::ptr::from_ref(info).addr()) {
            Some(index) => Ok(index),
            None => self.name_method(info, None),
        }
    }

    /// Client: names a method with a verdict remembered from another connection to this server.
    ///
    /// Without effect on the verdict if the method was named before.
    ///
    /// # Errors
    /// As [`Session::method`].
    pub fn method_assuming(
        &mut self,
        info: &'static MethodInfo,
        assumed: Assumed,
    ) -> Result<u32, Ended> {
        match self.methods.index_of(std::ptr::from_ref(info).addr()) {
            Some(index) => Ok(index),
            None => self.name_method(info, Some(assumed)),
        }
    }

    #[cold]
    fn name_method(
        &mut self,
        info: &'static MethodInfo,
        assumed: Option<Assumed>,
    ) -> Result<u32, Ended> {
        if self.methods.len() >= self.peer.methods_max {
            let status = Status::resource_exhausted("the server keeps no more methods");
            return Err(Ended::by_library(status, Begun::No));
        }
        let ours = Hashes {
            request: info.request_closure(),
            response: info.response_closure(),
        };
        let index = self.methods.add(Entry {
            path: info.path().into(),
            address: std::ptr::from_ref(info).addr(),
            ours,
            theirs: NO_HASHES,
            assumed,
            chains: Default::default(),
            verdict: assumed.map_or(Verdict::NEITHER, |assumed| assumed.verdict),
            settled: false,
            judged: false,
            unknown: false,
            streams_requests: info.kind().streams_requests(),
            streams_responses: info.kind().streams_responses(),
        });
        let frame = Method {
            index,
            path: info.path(),
            hashes: ours,
            assumed,
        };
        frame.write(self.output.buffer());
        Ok(index)
    }

    /// Which directions of a method carry archives now.
    pub fn verdict(&self, method: u32) -> Verdict {
        self.methods
            .find(method)
            .map_or(Verdict::NEITHER, |entry| entry.verdict)
    }

    /// Client: what the server has said of a method by now.
    pub fn method_standing(&self, method: u32) -> MethodStanding {
        match self.methods.find(method) {
            Some(entry) if !entry.settled || !entry.judged => MethodStanding::Open,
            Some(entry) if entry.unknown => MethodStanding::Unknown,
            Some(entry) => MethodStanding::Settled(entry.verdict),
            None => MethodStanding::Open,
        }
    }

    /// The form in which the client must send requests of a method now.
    #[inline]
    pub fn request_mode(&self, method: u32) -> WireMode {
        if self.verdict(method).request {
            WireMode::Archive
        } else {
            WireMode::Protobuf
        }
    }

    /// The hashes that the server stated for a method, for a cache of verdicts.
    pub fn method_hashes(&self, method: u32) -> Option<(Hashes, Hashes)> {
        self.methods
            .find(method)
            .map(|entry| (entry.ours, entry.theirs))
    }

    /// Server: the path that a method was named by.
    pub fn method_path(&self, method: u32) -> &str {
        self.methods.find(method).map_or("", |entry| &entry.path)
    }

    /// Server: answers [`Event::Method`]; without effect when the method is answered.
    pub fn answer_method(&mut self, method: u32, answer: &MethodAnswer<'_>) {
        let Some(entry) = self.methods.list.get_mut(method as usize) else {
            return;
        };
        if entry.settled || self.closed {
            return;
        }
        entry.settled = true;
        entry.streams_requests = answer.streams_requests;
        entry.ours = answer.hashes;
        if answer.known {
            entry.verdict = first_verdict(entry);
        }
        let judgeable = answer.known && entry.verdict != Verdict::BOTH;
        let fitting = judgeable && answer.chains.encoded_len() <= CHAINS_BYTES_MAX;
        let ack = MethodAck {
            index: method,
            known: answer.known,
            verdict: entry.verdict,
            hashes: entry.ours,
            chains: if fitting {
                answer.chains
            } else {
                Chains::default()
            },
        };
        ack.write(self.output.buffer());
    }

    /// Client: what is needed to answer [`Event::JudgeLayouts`]; given once.
    pub fn layouts_to_judge(&mut self, method: u32) -> Option<JudgeLayouts> {
        let entry = self.methods.list.get_mut(method as usize)?;
        if entry.judged || !entry.settled {
            return None;
        }
        let (request_chains, response_chains) = std::mem::take(&mut entry.chains);
        let (ours, theirs) = (entry.ours, entry.theirs);
        Some(JudgeLayouts {
            ours,
            theirs,
            request_chains,
            response_chains,
        })
    }

    /// Client: tells the server which directions carry archives from now on.
    pub fn settle_layouts(&mut self, method: u32, verdict: Verdict) {
        let Some(entry) = self.methods.list.get_mut(method as usize) else {
            return;
        };
        if entry.judged || self.closed {
            return;
        }
        entry.judged = true;
        if verdict != entry.verdict {
            entry.verdict = verdict;
            let frame = LayoutVerdict {
                index: method,
                verdict,
            };
            frame.write(self.output.buffer());
        }
        self.events.push_back(Event::MethodSettled(method));
    }

    pub(crate) fn handle_method(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        let named = Method::parse(frame)?;
        if named.index != self.methods.len() {
            return Err(Violation::protocol("METHOD out of order"));
        }
        if named.index >= self.local.methods_max {
            return Err(Violation::new(
                CloseCode::LIMIT,
                "more methods than announced",
            ));
        }
        self.methods.add(Entry {
            path: named.path.into(),
            address: 0,
            ours: NO_HASHES,
            theirs: named.hashes,
            assumed: named.assumed,
            chains: Default::default(),
            verdict: Verdict::NEITHER,
            settled: false,
            judged: false,
            unknown: false,
            streams_requests: true,
            streams_responses: true,
        });
        self.events.push_back(Event::Method(named.index));
        Ok(())
    }

    pub(crate) fn handle_method_ack(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        let ack = MethodAck::parse(frame)?;
        let entry = self.methods.list.get_mut(ack.index as usize);
        let Some(entry) = entry.filter(|entry| !entry.settled) else {
            return Err(Violation::protocol("METHOD_ACK for nothing that was asked"));
        };
        entry.settled = true;
        entry.unknown = !ack.known;
        entry.theirs = ack.hashes;
        entry.verdict = ack.verdict;
        if ack.chains.is_empty() {
            entry.judged = true;
            self.events.push_back(Event::MethodSettled(ack.index));
        } else {
            let Chains { request, response } = ack.chains;
            let copied = (
                Bytes::copy_from_slice(request),
                Bytes::copy_from_slice(response),
            );
            entry.chains = copied;
            self.events.push_back(Event::JudgeLayouts(ack.index));
        }
        Ok(())
    }

    pub(crate) fn handle_layout_verdict(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        let LayoutVerdict { index, verdict } = LayoutVerdict::parse(frame)?;
        let entry = self.methods.list.get_mut(index as usize);
        let Some(entry) = entry.filter(|entry| entry.settled && !entry.judged) else {
            return Err(Violation::protocol(
                "LAYOUT_VERDICT for nothing that was asked",
            ));
        };
        entry.judged = true;
        entry.verdict = verdict;
        Ok(())
    }
}

/// What a server makes of the client's hashes: equal ones fit, and so does what the client
/// assumes if it assumes it of this very server's layouts.
fn first_verdict(entry: &Entry) -> Verdict {
    let assumed = entry.assumed.filter(|assumed| assumed.peer == entry.ours);
    let assumed = assumed.map_or(Verdict::NEITHER, |assumed| assumed.verdict);
    Verdict {
        request: assumed.request || entry.ours.request == entry.theirs.request,
        response: assumed.response || entry.ours.response == entry.theirs.response,
    }
}
