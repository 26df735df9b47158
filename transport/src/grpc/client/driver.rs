//! The task of a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dreammesh_core::call::{Identity, Peer};
use dreammesh_core::layer::ConnectionEnd;
use dreammesh_session::Keepalive;
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong, Reason};
use http::header::HeaderValue;
use http::uri::{Authority, Scheme};

use super::super::encoding::Encoding;
use super::super::head;
use super::call::CallLimits;
use super::hearing::{Heard, Hearing};
use super::methods::Methods;
use super::slots::Slots;
use super::{Client, Shared, State};
use crate::driver::OnHello;
use crate::driver::gathering::Gathering;
use crate::driver::timer::{self, NEVER, Timer};
use crate::http::limits;
use crate::http::windows::Windows;
use crate::link::BoxLink;
use crate::waiting::Waiting;

/// What a connection is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The largest message that is taken.
    pub(crate) message_bytes_max: u32,
    /// The most metadata that is taken at once.
    pub(crate) metadata_bytes_max: u32,
    /// What requests are compressed with.
    pub(crate) encoding: Option<Encoding>,
    /// When a silent server is asked for a sign of life, and how long it has.
    pub(crate) keepalive: Keepalive,
    /// Whether it is measured how far the windows are to be opened, which takes a PING now and then.
    pub(crate) measures: bool,
    /// By when the server has to begin to speak.
    pub(crate) greeting_due: Instant,
    /// How long a connection without calls is kept.
    pub(crate) idle_timeout: Duration,
    /// When it takes no more calls, if it grows old.
    pub(crate) retire_at: Option<Instant>,
}

/// The task of a connection, to be run.
pub(crate) struct Driver {
    connection: Connection<Hearing, Bytes>,
    /// Says when the server takes no more requests; none once that is known.
    probe: Option<SendRequest<Bytes>>,
    shared: Arc<Shared>,
    heard: Arc<Heard>,
    pings: Option<PingPong>,
    on_hello: Option<OnHello>,
    gathering: Gathering,
    timer: Timer,
    keepalive: Keepalive,
    greeting_due: Instant,
    idle_timeout: Duration,
    retire_at: Option<Instant>,
    /// When to look whether there has been no call for long.
    idle_at: Instant,
    /// How many reads there were at the last look, and when there was one more.
    reads: u64,
    heard_at: Instant,
    /// When a sign of life was asked for that has not come.
    asked_at: Option<Instant>,
    /// Whether any was asked for.
    has_asked: bool,
    /// Whether a PING was sent for another reason.
    has_measured: bool,
    /// How far the windows are opened; none if the server minds being asked how far it is away.
    windows: Option<Windows>,
    /// Takes no more calls, and not because the server said so.
    has_retired: bool,
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) why: ConnectionEnd,
    pub(crate) reason: String,
    /// What the server thinks of being asked for signs of life.
    pub(crate) pings: Pings,
    /// It ended without a call having been answered or because something is wrong, and not by this
    /// side's wish: one that is made at once may well go the same way.
    pub(crate) is_futile: bool,
}

/// What a server thinks of being asked for signs of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pings {
    /// That is not known.
    Unknown,
    /// It was asked and did not mind.
    Borne,
    /// It was asked more often than it takes.
    TooMany,
}

/// A link to a server on which HTTP/2 was begun.
pub(crate) struct Opened {
    requests: SendRequest<Bytes>,
    connection: Connection<Hearing, Bytes>,
    heard: Arc<Heard>,
    identity: Option<Identity>,
    scheme: Scheme,
    authority: Authority,
}

/// Begins HTTP/2 on a link to a server, without waiting for it.
///
/// # Errors
/// When the link fails.
pub(crate) async fn open(
    link: BoxLink,
    scheme: Scheme,
    host: &str,
    port: u16,
) -> io::Result<Opened> {
    let authority = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    open_as(link, scheme, &authority).await
}

/// As [`open`], for a server that requests name by that authority.
///
/// # Errors
/// As there.
pub(crate) async fn open_as(link: BoxLink, scheme: Scheme, authority: &str) -> io::Result<Opened> {
    let authority = Authority::try_from(authority).map_err(io::Error::other)?;
    let identity = link.identity();
    let (link, heard) = Hearing::new(link);
    let opened = limits::grpc_client().handshake(link).await;
    let (requests, connection) = opened.map_err(io::Error::other)?;
    Ok(Opened {
        requests,
        connection,
        heard,
        identity,
        scheme,
        authority,
    })
}

/// Begins to take calls; the driver has to be run.
pub(crate) fn begin(opened: Opened, peer: Peer, settings: &Settings) -> (Arc<Client>, Driver) {
    let Opened {
        requests,
        mut connection,
        heard,
        scheme,
        authority,
        ..
    } = opened;
    let probe = requests.clone();
    let user_agent = HeaderValue::from_static(USER_AGENT);
    let shared = Arc::new(Shared {
        state: std::sync::Mutex::new(State {
            slots: Slots::default(),
            methods: Methods::new(scheme, authority),
            requests: Some(requests),
            live: 0,
            waiting: Waiting::default(),
            armed: None,
            task: None,
            discarding: Vec::new(),
            sent: 0,
            answered: false,
        }),
        peer,
        limits: CallLimits {
            message_bytes: settings.message_bytes_max as usize,
            metadata_bytes: settings.metadata_bytes_max as usize,
        },
        common: head::common(user_agent, settings.encoding),
        encoding: settings.encoding,
        open: AtomicBool::new(true),
        greeted: AtomicBool::new(false),
    });
    let driver = Driver {
        pings: connection.ping_pong(),
        connection,
        probe: Some(probe),
        shared: Arc::clone(&shared),
        heard,
        on_hello: None,
        gathering: Gathering::new(),
        timer: Timer::new(),
        keepalive: settings.keepalive,
        greeting_due: settings.greeting_due,
        idle_timeout: settings.idle_timeout,
        retire_at: settings.retire_at,
        idle_at: timer::now() + settings.idle_timeout,
        reads: 0,
        heard_at: timer::now(),
        asked_at: None,
        has_asked: false,
        has_measured: false,
        windows: settings.measures.then(Windows::new),
        has_retired: false,
    };
    (Arc::new(Client(shared)), driver)
}

impl Opened {
    /// Who the server is, if the link has verified it.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

impl Driver {
    /// Has something done once the server has begun to speak.
    pub(crate) fn on_hello(mut self, then: OnHello) -> Self {
        self.on_hello = Some(then);
        self
    }

    /// Drives the connection to its end; gives whether the server has ever spoken, too.
    pub(crate) async fn run(mut self) -> (Ending, bool) {
        let ending = std::future::poll_fn(|cx| self.poll(cx)).await;
        let was_greeted = self.shared.greeted.load(Ordering::Acquire);
        self.shared.close_to_calls();
        (ending, was_greeted)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        let shared = Arc::clone(&self.shared);
        if self.gathering.stands_back(|| shared.lock().sent) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut self.connection).poll(cx) {
                return Poll::Ready(self.ended(ended));
            }
            let now = timer::now();
            self.timer.is_due(now);
            self.listen(now);
            self.look_after_calls(cx, now);
            self.retire(now);
            self.measure(cx, now);
            if let Some(ending) = self.keep_alive(now) {
                return Poll::Ready(ending);
            }
            let next = self.next_due();
            if !self.timer.arm(next, cx) {
                return Poll::Pending;
            }
        }
    }

    /// Notes what has come.
    fn listen(&mut self, now: Instant) {
        let reads = self.heard.reads();
        if self.reads == reads {
            return;
        }
        self.reads = reads;
        self.heard_at = now;
        self.asked_at = None;
        if self.on_hello.is_some() && self.heard.is_greeted() {
            self.shared.greeted.store(true, Ordering::Release);
            self.on_hello.take().into_iter().for_each(|then| then());
        }
        let live = self.shared.lock().live;
        self.gathering.woke(live);
    }

    /// Ends what is late, wakes whom there is room for, and throws away what nobody wants.
    fn look_after_calls(&mut self, cx: &mut Context<'_>, now: Instant) {
        let mut wakers = Vec::new();
        let mut is_over = false;
        {
            let mut state = self.shared.lock();
            let state = &mut *state;
            match &mut state.task {
                Some(task) if task.will_wake(cx.waker()) => {}
                task => *task = Some(cx.waker().clone()),
            }
            state.sent = 0;
            if let Some(probe) = self.probe.as_mut().filter(|_| state.requests.is_some()) {
                is_over = matches!(probe.poll_ready(cx), Poll::Ready(Err(_)));
            }
            if is_over || state.requests.is_none() {
                // The connection goes on as long as there is a handle.
                self.probe = None;
            }
            if state.armed.is_some_and(|armed| armed <= now) {
                state.expire(now, &mut wakers);
            }
            if !state.waiting.is_empty() {
                // As many as there is room for: the server may have said that it takes more.
                let room = state.room();
                let next = std::iter::from_fn(|| state.waiting.wake_next());
                wakers.extend(next.take(room));
            }
            if !state.discarding.is_empty() {
                let State {
                    slots, discarding, ..
                } = state;
                discarding.retain(|key| {
                    let call = slots.find(*key);
                    call.is_some_and(|call| call.drain(cx).is_pending())
                });
            }
        }
        if is_over {
            self.shared.close_to_calls();
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes no more calls when there have been none for long, or when the connection is old.
    fn retire(&mut self, now: Instant) {
        if self.idle_at <= now {
            let rested_at = match self.has_calls() {
                true => now + self.idle_timeout,
                false => self.heard_at + self.idle_timeout,
            };
            if rested_at <= now {
                self.idle_at = now + NEVER;
                self.has_retired = true;
                self.shared.close_to_calls();
            } else {
                self.idle_at = rested_at;
            }
        }
        if self.retire_at.take_if(|at| *at <= now).is_some() {
            // Its last call ends it.
            self.has_retired = true;
            self.shared.close_to_calls();
        }
    }

    /// Finds how fast the server sends, and opens the windows as far as that takes.
    ///
    /// Servers take it from a client that much has been sent to since it asked last.
    fn measure(&mut self, cx: &mut Context<'_>, now: Instant) {
        let Some(pings) = &mut self.pings else { return };
        let answered = pings.poll_pong(cx).is_ready();
        let Some(windows) = &mut self.windows else {
            return;
        };
        let received_bytes = self.heard.bytes();
        if answered && let Some(widths) = windows.handle_pong(now, received_bytes) {
            let stream_bytes = widths.stream_bytes;
            // While the server has not acknowledged the last ones, there can be no other settings.
            if self
                .connection
                .set_initial_window_size(stream_bytes)
                .is_ok()
            {
                self.connection
                    .set_target_window_size(widths.connection_bytes);
                windows.handle_opened(widths);
                cx.waker().wake_by_ref();
            }
        }
        if windows.wants_ping(received_bytes) && pings.send_ping(Ping::opaque()).is_ok() {
            windows.handle_ping(now, received_bytes);
            self.has_measured = true;
        }
    }

    /// Asks a server that is silent for a sign of life, and gives it up in the end.
    fn keep_alive(&mut self, now: Instant) -> Option<Ending> {
        if self.on_hello.is_some() && now >= self.greeting_due {
            return Some(self.give_up("the server does not begin to speak HTTP/2"));
        }
        let has_calls = self.has_calls();
        let pings = self.pings.as_mut()?;
        match self.asked_at {
            Some(asked_at) if now >= asked_at + self.keepalive.timeout => {
                Some(self.give_up("the server gives no sign of life"))
            }
            Some(_) => None,
            // A server may take pings without a call for an attack.
            None if now < self.heard_at + self.keepalive.interval || !has_calls => None,
            None => {
                // Where another PING was not answered yet, that one serves as well.
                let _ = pings.send_ping(Ping::opaque());
                self.asked_at = Some(now);
                self.has_asked = true;
                None
            }
        }
    }

    fn has_calls(&self) -> bool {
        self.shared.lock().live > 0
    }

    fn give_up(&self, reason: &str) -> Ending {
        Ending {
            why: ConnectionEnd::Silent,
            reason: reason.to_owned(),
            pings: Pings::Unknown,
            is_futile: false,
        }
    }

    /// When there is something to do without anybody asking.
    fn next_due(&self) -> Option<Instant> {
        let greeting = self.on_hello.is_some().then_some(self.greeting_due);
        let sign = match self.asked_at {
            Some(asked_at) => Some(asked_at + self.keepalive.timeout),
            None if self.has_calls() => Some(self.heard_at + self.keepalive.interval),
            None => None,
        };
        let armed = self.shared.lock().armed;
        let idle = Some(self.idle_at);
        [greeting, sign, armed, idle, self.retire_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn ended(&self, ended: Result<(), h2::Error>) -> Ending {
        let (why, reason, refused) = match ended {
            Ok(()) => (ConnectionEnd::Done, "it is over".to_owned(), None),
            Err(error) => {
                let why = match () {
                    () if error.is_io() => ConnectionEnd::Link,
                    () if error.is_go_away() && error.is_remote() => ConnectionEnd::Shutdown,
                    () => ConnectionEnd::Protocol,
                };
                let refused = error.reason().filter(|_| error.is_remote());
                (why, error.to_string(), refused)
            }
        };
        // Servers say the same of much else, of which a connection that never asked knows.
        let pings = match refused {
            Some(Reason::ENHANCE_YOUR_CALM) if self.has_asked || self.has_measured => {
                Pings::TooMany
            }
            _ if self.has_asked && self.asked_at.is_none() => Pings::Borne,
            _ => Pings::Unknown,
        };
        let is_wrong = refused.is_some_and(|reason| reason != Reason::NO_ERROR);
        let is_futile = !self.has_retired && (is_wrong || !self.shared.lock().has_answers());
        Ending {
            why,
            reason,
            pings,
            is_futile,
        }
    }
}

impl State {
    /// Whether the server has begun to answer any call.
    fn has_answers(&mut self) -> bool {
        self.answered || self.slots.each().any(|call| call.answered)
    }

    /// Ends the calls whose deadlines have passed.
    fn expire(&mut self, now: Instant, wakers: &mut Vec<Waker>) {
        for call in self.slots.each() {
            if call.deadline.is_some_and(|deadline| deadline.is_past(now)) {
                wakers.extend(call.expire().into_iter().flatten());
            }
        }
        self.waiting.wake_expired(now, wakers);
        let next = [self.slots.next_deadline(), self.waiting.next_deadline()];
        self.armed = next.into_iter().flatten().min();
    }
}

/// Who calls, for whoever looks at the logs of a server.
const USER_AGENT: &str = concat!("dreammesh/", env!("CARGO_PKG_VERSION"));
