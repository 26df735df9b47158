//! A service of all four kinds whose requests say what its handlers do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dreammesh_core::call::{
    Code, Compression, Detail, Idempotency, Metadata, MethodInfo, MethodKind, Receiver, Request,
    Response, Sender, Status,
};
use dreammesh_core::channel::{
    BidiCall, Channel, ClientStreamingCall, ServerStreamingCall, UnaryCall,
};
use dreammesh_core::port::Handler;
use dreammesh_core::server::{Service, bidi, client_streaming, server_streaming, unary};
use dreammesh_core::wire::{LayoutHash, Message};
use dreammesh_core::wkt::Any;
use tokio::sync::Notify;

const fn method(path: &'static str, kind: MethodKind) -> MethodInfo {
    let hash = LayoutHash([7; 16]);
    MethodInfo::new(path, kind, Any::LAYOUT, Any::LAYOUT).with_closures(hash, hash)
}

pub(crate) static UNARY: MethodInfo = method("/test.Echo/Unary", MethodKind::Unary);
/// The same, as a client knows it whose contract says that it is idempotent.
pub(crate) static IDEMPOTENT: MethodInfo =
    method("/test.Echo/Unary", MethodKind::Unary).with_idempotency(Idempotency::Idempotent);
/// The same in a contract that says that it has no side effects.
pub(crate) static QUERY: MethodInfo =
    method("/test.Echo/Query", MethodKind::Unary).with_idempotency(Idempotency::NoSideEffects);
/// What a client takes it for whose contract says more than the server's.
pub(crate) static HARMLESS: MethodInfo =
    method("/test.Echo/Unary", MethodKind::Unary).with_idempotency(Idempotency::NoSideEffects);
pub(crate) static LIST: MethodInfo = method("/test.Echo/List", MethodKind::ServerStreaming);
pub(crate) static RECORD: MethodInfo = method("/test.Echo/Record", MethodKind::ClientStreaming);
pub(crate) static CHAT: MethodInfo = method("/test.Echo/Chat", MethodKind::Bidi);

/// What the handlers of one server saw, and what they wait for.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    /// Handlers that began.
    pub(crate) begun: AtomicUsize,
    /// Messages that handlers of `list` have sent.
    pub(crate) sent: AtomicUsize,
    /// Handlers of `never` and `gate` that are alive.
    pub(crate) alive: AtomicUsize,
    /// Told whenever a handler begins or is dropped.
    pub(crate) changed: Notify,
    /// The tasks that handlers of `quick` and `slow` were first polled on.
    pub(crate) tasks: Mutex<Vec<tokio::task::Id>>,
    /// Opened for handlers of `gate`.
    pub(crate) gate: Notify,
}

impl Probe {
    fn polled(&self) {
        self.tasks.lock().unwrap().push(tokio::task::id());
    }

    pub(crate) async fn alive_is(&self, count: usize) {
        self.until(|| self.alive.load(Ordering::SeqCst) == count)
            .await;
    }

    pub(crate) async fn until(&self, reached: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if reached() {
                return;
            }
            changed.await;
        }
    }
}

/// Counts a handler as alive until it is dropped.
struct Alive(Arc<Probe>);

impl Alive {
    fn new(probe: &Arc<Probe>) -> Self {
        probe.alive.fetch_add(1, Ordering::SeqCst);
        probe.changed.notify_waiters();
        Self(Arc::clone(probe))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

#[derive(Debug, Default)]
pub(crate) struct Echo {
    pub(crate) probe: Arc<Probe>,
    /// Where `next` is passed on to.
    pub(crate) next: Option<Channel>,
}

impl Echo {
    async fn unary(&self, request: Request<Any>) -> Result<Response<Any>, Status> {
        self.probe.begun.fetch_add(1, Ordering::SeqCst);
        self.probe.changed.notify_waiters();
        let ask = request.view();
        match ask.type_url() {
            "echo" => Ok(Response::new(ask)),
            "big" => {
                let bytes = usize::try_from(u32::from_le_bytes(ask.value().try_into().unwrap()));
                Ok(Response::new(Any {
                    value: vec![9; bytes.unwrap()].into(),
                    ..Any::default()
                }))
            }
            "compressed" => Ok(text(request.was_compressed().to_string())),
            how @ ("on" | "off") => Ok(compressed(ask, how)),
            "metadata" => Ok(mirror(&request)),
            "fail" => Err(failure(&request)),
            "busy in the end" => {
                let _alive = Alive::new(&self.probe);
                self.probe.gate.notified().await;
                Err(Status::unavailable("ask somebody else"))
            }
            "panic" => panic!("as asked"),
            "who" => {
                let identity = request.peer().identity();
                Ok(text(identity.map_or("nobody", |identity| identity.name())))
            }
            "process" => Ok(text(process(&request))),
            "quick" => {
                self.probe.polled();
                Ok(Response::new(ask))
            }
            "slow" => {
                self.probe.polled();
                // Within this poll the paused clock moves on, as if the handler blocked.
                tokio::time::advance(Duration::from_secs(1)).await;
                Ok(Response::new(ask))
            }
            "remaining" => {
                let left = request.deadline().map(|deadline| deadline.instant());
                Ok(text(if left.is_some() { "some" } else { "none" }))
            }
            "never" => {
                let _alive = Alive::new(&self.probe);
                std::future::pending().await
            }
            "gate" => {
                let _alive = Alive::new(&self.probe);
                self.probe.gate.notified().await;
                Ok(Response::new(ask))
            }
            "context" => Ok(context(&request)),
            "attempt" => Ok(text(request.attempt().to_string())),
            kind @ ("next" | "next idempotent") => {
                let _alive = Alive::new(&self.probe);
                let what = String::from_utf8(ask.value().to_vec()).unwrap();
                let next = self
                    .next
                    .as_ref()
                    .ok_or_else(|| Status::internal("no next"))?;
                let passed = Any {
                    type_url: what,
                    ..Any::default()
                };
                let method = if kind == "next" { &UNARY } else { &IDEMPOTENT };
                let answer = UnaryCall::<Any>::new(next, method, &passed).await?;
                Ok(Response::new(answer.into_message()))
            }
            other => Err(Status::unimplemented(format!("no {other}"))),
        }
    }

    async fn list(&self, request: Request<Any>, items: Sender<Any>) -> Result<(), Status> {
        let ask = request.view();
        if ask.type_url() == "fail" {
            return Err(failure(&request));
        }
        let (count, how) = ask
            .type_url()
            .split_once(' ')
            .unwrap_or_else(|| (ask.type_url(), ""));
        let count: u32 = count.parse().unwrap();
        let _alive = Alive::new(&self.probe);
        let mut headers = Metadata::new();
        headers
            .append("x-count", ask.type_url().to_owned())
            .unwrap();
        items.send_metadata(headers);
        for index in 0..count {
            let item = Any {
                type_url: index.to_string(),
                value: ask.value().to_vec().into(),
                ..Any::default()
            };
            items.send(&item).compression(compression(how)).await?;
            self.probe.sent.fetch_add(1, Ordering::SeqCst);
        }
        let mut trailers = Metadata::new();
        trailers.append("x-sent", count.to_string()).unwrap();
        items.set_trailers(trailers);
        Ok(())
    }

    async fn record(&self, mut points: Receiver<Any>) -> Result<Response<Any>, Status> {
        let (mut count, mut bytes) = (0_usize, 0_usize);
        while let Some(point) = points.next().await? {
            count += 1;
            bytes += point.view().value().len();
        }
        Ok(text(format!("{count} of {bytes}")))
    }

    async fn chat(&self, mut notes: Receiver<Any>, answers: Sender<Any>) -> Result<(), Status> {
        while let Some(note) = notes.next().await? {
            if note.view().type_url() == "stop reading" {
                let _alive = Alive::new(&self.probe);
                self.probe.gate.notified().await;
            }
            let how = compression(note.view().type_url());
            if note.view().type_url() == "compressed" {
                answers
                    .send(ask(&notes.was_compressed().to_string()))
                    .await?;
            } else {
                answers.send(note).compression(how).await?;
            }
        }
        Ok(())
    }
}

impl Service for EchoServer {
    fn name(&self) -> &'static str {
        "test.Echo"
    }

    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        let echo = &self.0;
        vec![
            unary(echo, &UNARY, |echo, request| async move {
                echo.unary(request).await
            }),
            unary(echo, &QUERY, |echo, request| async move {
                echo.unary(request).await
            }),
            server_streaming(echo, &LIST, |echo, request, items| async move {
                echo.list(request, items).await
            }),
            client_streaming(echo, &RECORD, |echo, points| async move {
                echo.record(points).await
            }),
            bidi(echo, &CHAT, |echo, notes, answers| async move {
                echo.chat(notes, answers).await
            }),
        ]
    }
}

/// The service as a server takes it.
#[derive(Debug)]
pub(crate) struct EchoServer(pub(crate) Arc<Echo>);

/// The trace that a call belongs to, and how urgent it is.
fn context(request: &Request<Any>) -> Response<Any> {
    let trace = request.trace().map(ToString::to_string);
    // The trace, without the span that each hop has of its own.
    let trace = trace.and_then(|it| it.split('-').nth(1).map(str::to_owned));
    text(format!(
        "{} {}",
        trace.unwrap_or_default(),
        request.priority().number()
    ))
}

/// The same message, compressed or not as its name says.
fn compressed(ask: <Any as Message>::View<'_>, how: &str) -> Response<Any> {
    let mut response = Response::new(ask);
    response.set_compression(compression(how));
    response
}

/// What the name of a request says of its answer.
fn compression(how: &str) -> Compression {
    match how {
        "on" => Compression::On,
        "off" => Compression::Off,
        _ => Compression::Auto,
    }
}

fn mirror(request: &Request<Any>) -> Response<Any> {
    let mut response = Response::new(request.view());
    let name = request.metadata().text("x-name").unwrap().to_owned();
    let bytes = request.metadata().binary("x-bytes-bin").unwrap().clone();
    response
        .metadata_mut()
        .append("x-name", name.clone())
        .unwrap();
    response.trailers_mut().append("x-after", name).unwrap();
    response
        .trailers_mut()
        .append_bin("x-bytes-bin", bytes)
        .unwrap();
    response
}

/// A failure with a detail, and in its trailers the name that it was asked by.
fn failure(request: &Request<Any>) -> Status {
    let mut trailers = Metadata::new();
    if let Some(name) = request.metadata().text("x-name") {
        trailers.append("x-after", name.to_owned()).unwrap();
    }
    let detail = Detail::new("type.googleapis.com/test.Detail", &b"detail"[..]);
    Status::new(Code::FailedPrecondition, "as asked")
        .with_raw_detail(detail)
        .with_trailers(trailers)
}

/// The user and the number of the process that calls.
fn process(request: &Request<Any>) -> String {
    match request.peer().process() {
        Some(process) => format!("{} {:?}", process.user, process.id),
        None => "none".to_owned(),
    }
}

fn text(text: impl Into<String>) -> Response<Any> {
    Response::new(Any {
        type_url: text.into(),
        ..Any::default()
    })
}

/// A request that says what its handler does.
pub(crate) fn ask(what: &str) -> Any {
    Any {
        type_url: what.to_owned(),
        ..Any::default()
    }
}

pub(crate) fn call(channel: &Channel, request: &Any) -> UnaryCall<Any> {
    UnaryCall::new(channel, &UNARY, request)
}

pub(crate) fn list(channel: &Channel, count: u32, bytes: usize) -> ServerStreamingCall<Any> {
    let value = vec![1; bytes].into();
    let request = Any {
        type_url: count.to_string(),
        value,
        ..Any::default()
    };
    ServerStreamingCall::new(channel, &LIST, &request)
}

pub(crate) fn record(channel: &Channel) -> ClientStreamingCall<Any, Any> {
    ClientStreamingCall::new(channel, &RECORD)
}

pub(crate) fn chat(channel: &Channel) -> BidiCall<Any, Any> {
    BidiCall::new(channel, &CHAT)
}
