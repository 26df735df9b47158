//! The task of one connection: it feeds a session from a link, runs handlers and wakes callers.
//!
//! One poll of the task is a batch. It reads as much as has arrived, takes all of it in under one
//! lock, runs the handlers and wakes the callers without the lock, gathers everything there is to
//! send under a second one and writes it at once. Callers only append to the session and wake the
//! task if it is not about to run anyway, so a batch grows with the load.
//!
//! - `shared`: the state behind the lock; `port`: what callers and handlers do with it.
//! - `server`: method look-up and handlers; `route`: which methods run inline.
//! - `payload`, `layouts`: protobuf where needed.
//! - `gathering`: when the driver lets others go first.
//! - `standing`: whether the connection takes calls, for those who choose one.
//! - `input`, `timer`: the read buffer and the one timer.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Buf;
use dreammesh_core::port::{Outcome, StreamKey};
use dreammesh_session::frame::CloseCode;
use dreammesh_session::{Closed, Event, Output};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::link::{BoxLink, Refused};
use gathering::Gathering;
use input::Input;
use server::Server;
use shared::{Slot, State};
use timer::Timer;

pub(crate) mod gathering;
mod input;
mod layouts;
mod payload;
mod port;
pub(crate) mod route;
mod server;
pub(crate) mod shared;
pub(crate) mod standing;
pub(crate) mod timer;
mod unsure;

/// One side of one connection.
pub(crate) struct Driver {
    shared: Arc<shared::Shared>,
    link: BoxLink,
    input: Input,
    /// What a read brought that no round has taken in.
    ahead: Option<Read>,
    /// Gathered from the session and not yet written.
    output: Output,
    timer: Timer,
    /// What serves calls, on the server.
    server: Option<Server>,
    /// When the peer must have said hello; none once it has.
    hello_due: Option<Instant>,
    /// What to do when it has.
    on_hello: Option<OnHello>,
    /// What to do when calls wait and it gives no sign of life.
    on_silent: Option<OnSilent>,
    /// What the last look at the session said.
    view: View,
    /// Why the session is over.
    closed: Option<Closed>,
    todo: Todo,
    gathering: Gathering,
}

/// What follows the peer's hello.
pub(crate) type OnHello = Box<dyn FnOnce() + Send>;

/// What follows when nothing comes from a peer that was asked for a sign of life.
pub(crate) type OnSilent = Box<dyn FnMut() + Send>;

/// What a look at the session under the lock says of the time until the next.
#[derive(Debug, Default)]
struct View {
    wants_input: bool,
    has_output: bool,
    next_timeout: Option<Instant>,
}

/// What was found under the lock and is done after it; empty between rounds, kept for its memory.
#[derive(Debug, Default)]
struct Todo {
    wakers: Vec<Waker>,
    /// Of cancelled streams; a handler that became a task is ended with its slot.
    cancelled: Vec<Slot>,
    /// Methods whose layouts differ from the server's.
    judge: Vec<u32>,
    /// Outcomes whose message must be protobuf.
    unsent: Vec<(StreamKey, Outcome)>,
    /// For how many more calls there is room, for those that wait elsewhere.
    room: usize,
    /// Whether calls that wait elsewhere are not to count on this connection any more.
    over: bool,
    /// Whether the peer gives no sign of life.
    silent: bool,
}

/// What one round came to.
enum Round {
    /// There may be more to do at once.
    More,
    /// Everything waits for the link, a caller or the timer.
    Idle,
    /// The session is over.
    Over,
}

impl Driver {
    pub(crate) fn client(shared: Arc<shared::Shared>, link: BoxLink, hello_due: Instant) -> Self {
        Self::new(shared, link, None, hello_due)
    }

    pub(crate) fn server(
        shared: Arc<shared::Shared>,
        link: BoxLink,
        routes: Arc<route::Routes>,
        limits: dreammesh_core::wire::Limits,
        hello_due: Instant,
    ) -> Self {
        let server = Server::new(routes, limits, link.may_be_replayed());
        Self::new(shared, link, Some(server), hello_due)
    }

    /// The same driver, which says when the peer has said hello.
    pub(crate) fn on_hello(mut self, then: OnHello) -> Self {
        self.on_hello = Some(then);
        self
    }

    /// The same driver, which says when calls wait and the peer gives no sign of life.
    pub(crate) fn on_silent(mut self, then: OnSilent) -> Self {
        self.on_silent = Some(then);
        self
    }

    /// The same driver for a link whose first bytes have been read.
    pub(crate) fn with_input(mut self, first: &[u8]) -> Self {
        self.input = Input::of(first);
        self
    }

    fn new(
        shared: Arc<shared::Shared>,
        link: BoxLink,
        server: Option<Server>,
        hello_due: Instant,
    ) -> Self {
        Self {
            shared,
            link,
            input: Input::default(),
            ahead: None,
            output: Output::new(),
            timer: Timer::new(),
            server,
            hello_due: Some(hello_due),
            on_hello: None,
            on_silent: None,
            view: View {
                wants_input: true,
                has_output: true,
                next_timeout: None,
            },
            closed: None,
            todo: Todo::default(),
            gathering: Gathering::new(),
        }
    }

    /// Drives the connection until its session is over, and says how it ended.
    ///
    /// It borrows, since a future holds what it is given beside what it makes of that: by value,
    /// every task would hold the driver twice.
    pub(crate) async fn run(&mut self) -> Option<Closed> {
        let closed = self.run_session().await;
        self.part(closed.as_ref()).await;
        closed
    }

    /// As [`run`](Self::run), up to the end of the session; [`part`](Self::part) follows.
    pub(crate) async fn run_session(&mut self) -> Option<Closed> {
        poll_fn(|cx| self.poll_batch(cx)).await;
        self.closed.take()
    }

    /// Has the peer take the last words of a session that is over.
    pub(crate) async fn part(&mut self, closed: Option<&Closed>) {
        // A peer that does not read must not keep the task alive.
        if closed.is_some_and(|closed| closed.code != CloseCode::LINK) {
            let _ = tokio::time::timeout(LINGER, self.linger()).await;
        }
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.gathering.stands_back(|| self.shared.lock().sent) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let begin = timer::now();
        let mut now = begin;
        let mut woken = true;
        loop {
            match self.round(cx, now, woken) {
                Round::Idle => return Poll::Pending,
                Round::Over => return Poll::Ready(()),
                Round::More => {}
            }
            woken = false;
            now = timer::now();
            if now.saturating_duration_since(begin) >= BATCH_TIME {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Reads once, takes it in, runs what came of it, and writes.
    fn round(&mut self, cx: &mut Context<'_>, now: Instant, woken: bool) -> Round {
        let wanted = self.view.wants_input;
        let read = self.read(cx);
        let due = self.timer.is_due(now);
        let news = woken || due || !matches!(read, Read::Nothing);
        let got = !matches!(read, Read::Nothing);
        let behind = self.server.as_ref().is_some_and(Server::has_calls);
        if news || behind || (self.output.is_empty() && self.view.has_output) {
            self.take_in(cx, now, read, due);
            self.settle();
            if self.closed.is_some() {
                return Round::Over;
            }
            self.run_calls(now);
            if self.closed.is_some() {
                return Round::Over;
            }
        }
        let wrote = match self.write(cx) {
            Ok(wrote) => wrote,
            Err(error) => return self.lose(&error),
        };
        let calls = self.server.as_ref().is_some_and(Server::has_calls);
        // What was not looked at, or was left, is no news to anybody when there is room for it again.
        let resumed = self.view.wants_input && (!wanted || self.input.is_left());
        if due || calls || resumed || (wrote && self.view.has_output) {
            return Round::More;
        }
        // Most batches are all there was, which a lone call learns without another round.
        if got && self.reads_ahead(cx) {
            return Round::More;
        }
        // The look at the session may have moved the next timeout forward.
        if self.timer.arm(self.view.next_timeout, cx) {
            Round::More
        } else {
            Round::Idle
        }
    }

    /// Reads for the next round; whether that brought anything.
    fn reads_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        self.ahead = match self.read(cx) {
            Read::Nothing => None,
            read => Some(read),
        };
        self.ahead.is_some()
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Read {
        if let Some(ahead) = self.ahead.take() {
            return ahead;
        }
        // A client reads always: what it can be sent is bounded by what it asked for, and if both
        // sides waited for the other to read, neither would go on.
        if self.server.is_some() && !self.view.wants_input {
            return Read::Nothing;
        }
        match self
            .input
            .poll_read(&mut self.link, self.view.wants_input, cx)
        {
            Poll::Pending => Read::Nothing,
            Poll::Ready(Ok(0)) => Read::End,
            Poll::Ready(Ok(_)) => Read::Bytes,
            Poll::Ready(Err(error)) => Read::Failed(error),
        }
    }

    /// The one lock of a batch of input: everything the session makes of it is collected.
    fn take_in(&mut self, cx: &Context<'_>, now: Instant, read: Read, due: bool) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if !state.driver.will_wake(cx.waker()) {
            state.driver = cx.waker().clone();
        }
        state.scheduled = true;
        state.now = now;
        state.summoned = false;
        match read {
            Read::Nothing => {}
            Read::Bytes => self.input.hand_to(&mut state.session, now),
            Read::End => state.session.handle_link_lost("the peer closed the link"),
            Read::Failed(error) => lose(&mut state, &error),
        }
        if due {
            self.handle_timeout(&mut state, now);
        }
        if let Some(server) = &mut self.server {
            server.look_whether_replayed(&self.link);
        }
        while let Some(event) = state.session.poll_event() {
            self.handle_event(&mut state, event);
        }
        if self
            .server
            .as_ref()
            .is_none_or(|server| !server.has_calls())
        {
            self.gather(&mut state);
        }
    }

    fn handle_timeout(&mut self, state: &mut State, now: Instant) {
        if self.hello_due.is_some_and(|at| at <= now) {
            self.hello_due = None;
            state
                .session
                .close(CloseCode::KEEPALIVE, "no hello in time");
        }
        state.session.handle_timeout(now);
        state.waiting.wake_expired(now, &mut self.todo.wakers);
    }

    #[inline]
    fn handle_event(&mut self, state: &mut State, event: Event) {
        match event {
            Event::Readable(key) | Event::Writable(key) => {
                if let Some(slot) = state.session.user(key) {
                    slot.take_wakers(&mut self.todo.wakers);
                }
            }
            Event::Opened(key) => {
                if let Some(server) = &mut self.server {
                    server.accept(state, key);
                }
            }
            other => self.handle_rare_event(state, other),
        }
    }

    #[cold]
    fn handle_rare_event(&mut self, state: &mut State, event: Event) {
        match (event, &mut self.server) {
            (Event::Cancelled(key), Some(server)) => {
                server.cancel(key);
                self.todo
                    .cancelled
                    .extend(state.session.user(key).map(std::mem::take));
                state.session.release(key);
            }
            (Event::Method(index), Some(server)) => server.learn_method(state, index),
            (Event::MethodSettled(index), None) => {
                state.unsure.settle(index);
                layouts::learn(state, index);
                if std::mem::take(&mut state.awaiting_verdict) {
                    state.waiting.wake_all(&mut self.todo.wakers);
                }
            }
            (Event::JudgeLayouts(index), None) => {
                state.unsure.settle(index);
                self.todo.judge.push(index);
            }
            (Event::Room, _) => {
                let is_wanted_elsewhere = self.shared.standing.ease();
                self.todo.room += usize::from(is_wanted_elsewhere);
                match state.waiting.wake_next() {
                    Some(waker) => self.todo.wakers.push(waker),
                    None if state.waiting.is_empty() && !is_wanted_elsewhere => {
                        state.session.stop_waiting();
                    }
                    // All have been woken, but more may come before those have taken the room.
                    None => {}
                }
            }
            (Event::Connected, _) => {
                self.hello_due = None;
                self.shared.set_connected();
            }
            (Event::Draining, _) => {
                self.shared.set_closed_to_calls();
                // Those that wait need not, and go elsewhere.
                state.waiting.wake_all(&mut self.todo.wakers);
                self.todo.over = true;
            }
            (Event::Silent, None) => self.todo.silent = true,
            (Event::Closed(closed), _) => {
                self.shared.set_closed_to_calls();
                state.waiting.wake_all(&mut self.todo.wakers);
                self.todo.over = true;
                self.closed = Some(closed);
            }
            _ => {}
        }
    }

    /// Takes what there is to send, if everything taken before has been written.
    fn gather(&mut self, state: &mut State) {
        if self.output.is_empty() {
            state.session.poll_output(&mut self.output, BATCH_BYTES);
        }
        let waiting = state.waiting.next_deadline();
        let times = [state.session.poll_timeout(), waiting, self.hello_due];
        self.view = View {
            wants_input: state.session.wants_input(),
            has_output: state.session.has_output(),
            next_timeout: times.into_iter().flatten().min(),
        };
        // From here on a caller that appends wakes the task.
        state.scheduled = false;
        state.sent = 0;
    }

    /// Does what the lock was no place for.
    fn settle(&mut self) {
        for mut slot in self.todo.cancelled.drain(..) {
            if let Some(task) = slot.task.take() {
                task.abort();
            }
        }
        self.gathering.woke(self.todo.wakers.len());
        self.todo.wakers.drain(..).for_each(Waker::wake);
        for index in self.todo.judge.drain(..) {
            layouts::judge(&self.shared, index);
        }
        if self.todo.room > 0 || self.todo.over {
            let room = std::mem::take(&mut self.todo.room);
            match std::mem::take(&mut self.todo.over) {
                true => self.shared.tell_over(),
                false => self.shared.tell_room(room),
            }
        }
        if std::mem::take(&mut self.todo.silent)
            && let Some(then) = &mut self.on_silent
        {
            then();
        }
        if self.on_hello.is_some() && self.shared.was_connected() {
            self.on_hello.take().into_iter().for_each(|then| then());
        }
    }

    /// Runs the calls that came in, and gathers their answers under the second lock of the batch.
    fn run_calls(&mut self, now: Instant) {
        let Some(server) = self.server.as_mut().filter(|server| server.has_calls()) else {
            return;
        };
        server.run(&self.shared, now);
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        self.gathering.woke(server.started_tasks());
        server.send(&mut state, &mut self.todo.unsent);
        self.gather(&mut state);
        // The last answers of a drain end the session, which nothing else would tell.
        let is_over = state.session.is_closed();
        while is_over && let Some(event) = state.session.poll_event() {
            self.handle_event(&mut state, event);
        }
        drop(state);
        if is_over {
            self.settle();
        }
        for (key, outcome) in self.todo.unsent.drain(..) {
            shared.finish(key, outcome);
        }
    }

    /// Writes until everything is written or the link takes no more; true in the first case.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        while self.output.has_remaining() {
            match write_some(&mut self.link, cx, &mut self.output) {
                Poll::Ready(result) => result?,
                Poll::Pending => return Ok(false),
            }
        }
        // A link that encrypts may hold what its medium did not take.
        match Pin::new(&mut self.link).poll_flush(cx) {
            Poll::Ready(flushed) => flushed.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    /// Ends the session when the link fails under a write.
    fn lose(&mut self, error: &io::Error) -> Round {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        lose(&mut state, error);
        while let Some(event) = state.session.poll_event() {
            self.handle_event(&mut state, event);
        }
        drop(state);
        self.settle();
        Round::Over
    }

    /// Writes the last words and waits until the peer has taken them.
    ///
    /// Closing a socket with unread input makes the kernel reset the connection, and a reset
    /// overtakes what was written last, so the rest of the input is read and dropped.
    async fn linger(&mut self) -> io::Result<()> {
        loop {
            poll_fn(|cx| {
                while self.output.has_remaining() {
                    ready!(write_some(&mut self.link, cx, &mut self.output))?;
                }
                Poll::Ready(io::Result::Ok(()))
            })
            .await?;
            let mut state = self.shared.lock();
            if state.session.poll_output(&mut self.output, usize::MAX) == 0 {
                break;
            }
        }
        self.link.shutdown().await?;
        loop {
            self.input.buffer.clear();
            if self.link.read_buf(&mut self.input.buffer).await? == 0 {
                return Ok(());
            }
        }
    }
}

/// What a read brought.
enum Read {
    Nothing,
    Bytes,
    /// The link is at its end.
    End,
    Failed(io::Error),
}

/// Ends the session, because its link failed.
fn lose(state: &mut State, error: &io::Error) {
    let reason = error.to_string();
    match Refused::is_cause_of(error) {
        true => state.session.handle_link_refused(&reason),
        false => state.session.handle_link_lost(&reason),
    }
}

fn write_some(
    link: &mut BoxLink,
    cx: &mut Context<'_>,
    output: &mut Output,
) -> Poll<io::Result<()>> {
    let keeps_parts = link.keeps_parts();
    let link = Pin::new(&mut **link);
    let written = if keeps_parts {
        // Each part by itself: they are no system calls.
        match output.shared_front() {
            Some(part) => link.poll_write_kept(cx, part),
            None => link.poll_write(cx, output.chunk()),
        }
    } else {
        let mut parts = [io::IoSlice::new(&[]); WRITE_PARTS];
        let filled = output.chunks_vectored(&mut parts);
        match &parts[..filled] {
            // A plain write costs the kernel less.
            [only] => link.poll_write(cx, only),
            several => link.poll_write_vectored(cx, several),
        }
    };
    let written = match ready!(written)? {
        0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        written => written,
    };
    output.advance(written);
    Poll::Ready(Ok(()))
}

impl Drop for Driver {
    /// A driver dropped before its session is over, as when the runtime shuts down, ends its
    /// calls, so that none waits for an answer that cannot come.
    fn drop(&mut self) {
        if self.closed.is_none() {
            self.lose(&io::Error::other("the connection's task was dropped"));
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

/// What one gathering may take beyond the small frames that are ready: the batch budget.
const BATCH_BYTES: usize = 256 * 1024;
/// After so much time the task yields, so that its neighbours on the runtime get their turn.
const BATCH_TIME: Duration = Duration::from_millis(1);
/// A batch of small calls is one part; a bulk message is two and its padding.
const WRITE_PARTS: usize = 16;
/// How long the last words may take: a few round trips.
const LINGER: Duration = Duration::from_secs(1);
