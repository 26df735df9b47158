//! What a session tells its driver.

use dreammesh_core::port::StreamKey;

use crate::frame::CloseCode;

/// Something that happened; handed out by [`crate::Session::poll_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer's HELLO arrived.
    Connected,
    /// Server: the client named a method; answer with [`crate::Session::answer_method`] before
    /// the next event is polled.
    Method(u32),
    /// Client: the server's layouts of a method differ; judge them with
    /// [`crate::Session::layouts_to_judge`] and [`crate::Session::settle_layouts`].
    JudgeLayouts(u32),
    /// Client: it is known which directions of a method carry archives.
    MethodSettled(u32),
    /// Server: a call came in; take it with [`crate::Session::accept`].
    Opened(StreamKey),
    /// A message, metadata or the end of a stream can be taken.
    Readable(StreamKey),
    /// A message that was blocked may be sent now.
    Writable(StreamKey),
    /// Server: the caller gave the call up, its deadline passed, or the session closed; drop the
    /// handler and call [`crate::Session::release`]. The key is stale if the handler ended between
    /// the cause and this event.
    Cancelled(StreamKey),
    /// Client: a call that found no room may be opened now.
    Room,
    /// The peer asks for no further calls; those that run go on.
    Draining,
    /// A PONG came for [`crate::Session::ping`] with this token.
    Pong(u64),
    /// Client: calls wait, and the peer has given no sign of life though it was asked for one
    /// ([`crate::Config::probe`]). It comes again while that lasts.
    Silent,
    /// The session is over; nothing follows.
    Closed(Closed),
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Why.
    pub code: CloseCode,
    /// The same for people.
    pub reason: String,
    /// Whether the peer ended it.
    pub by_peer: bool,
    /// How many calls ended with it that may have begun.
    pub calls_ended: u32,
}
