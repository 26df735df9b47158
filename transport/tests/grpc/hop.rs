//! A service that passes calls on to another one, or is the last of the chain and tells what it was
//! told.

use std::sync::Arc;
use std::time::Instant;

use dreammesh_core::call::{
    CallError, Detail, Metadata, MethodInfo, MethodKind, Receiver, Request, Response, Sender,
    Status,
};
use dreammesh_core::channel::{BidiCall, Channel, UnaryCall};
use dreammesh_core::context::CallContext;
use dreammesh_core::port::Handler;
use dreammesh_core::server::{Service, bidi, unary};
use dreammesh_core::wire::{LayoutHash, Message};
use dreammesh_core::wkt::Any;
use dreammesh_transport::ServerBuilder;
use tokio::sync::watch;

const fn method(path: &'static str, kind: MethodKind) -> MethodInfo {
    let hash = LayoutHash([7; 16]);
    MethodInfo::new(path, kind, Any::LAYOUT, Any::LAYOUT).with_closures(hash, hash)
}

pub(crate) static UNARY: MethodInfo = method("/test.Hop/Unary", MethodKind::Unary);
pub(crate) static CHAT: MethodInfo = method("/test.Hop/Chat", MethodKind::Bidi);

/// Serves one hop on an address; where that is, and how many of its handlers are alive.
pub(crate) async fn serve(
    builder: ServerBuilder,
    address: &str,
    next: Option<Channel>,
) -> (String, watch::Receiver<usize>) {
    let (alive, lives) = watch::channel(0);
    let hop = HopService(Arc::new(Hop { next, alive }));
    let server = builder.service(hop).bind(address).await.unwrap();
    let bound = server.addresses().next().unwrap().to_string();
    tokio::spawn(server.serve_until(std::future::pending::<()>()));
    (bound, lives)
}

/// A request that says what the last handler does.
pub(crate) fn ask(what: &str) -> Any {
    Any {
        type_url: what.to_owned(),
        ..Any::default()
    }
}

#[derive(Debug)]
struct Hop {
    next: Option<Channel>,
    alive: watch::Sender<usize>,
}

/// Counts a handler until it is dropped.
struct Alive(Arc<Hop>);

impl Alive {
    fn new(hop: &Arc<Hop>) -> Self {
        hop.alive.send_modify(|alive| *alive += 1);
        Self(Arc::clone(hop))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.send_modify(|alive| *alive -= 1);
    }
}

#[derive(Debug)]
struct HopService(Arc<Hop>);

impl Service for HopService {
    fn name(&self) -> &'static str {
        "test.Hop"
    }

    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        vec![
            unary(&self.0, &UNARY, |hop, request| async move {
                let _alive = Alive::new(&hop);
                match &hop.next {
                    Some(next) => pass_on(next, &request).await,
                    None => answer(&request).await,
                }
            }),
            bidi(&self.0, &CHAT, |hop, notes, answers| async move {
                let _alive = Alive::new(&hop);
                match &hop.next {
                    Some(next) => chat_on(next, notes, answers).await,
                    None => answer_all(notes, answers).await,
                }
            }),
        ]
    }
}

/// What no hop passes on by itself: the metadata of the call, and what became of it.
async fn pass_on(next: &Channel, request: &Request<Any>) -> Result<Response<Any>, Status> {
    let mut call = UnaryCall::<Any>::new(next, &UNARY, request.view());
    let metadata = request.metadata();
    if let (Some(tenant), Some(sum)) = (metadata.text("x-tenant"), metadata.binary("x-sum-bin")) {
        call = call.metadata("x-tenant", tenant.to_owned());
        call = call.metadata_bin("x-sum-bin", sum.clone());
    }
    let answer = call.await.map_err(passed)?;
    let (before, after) = (answer.metadata().clone(), answer.trailers().clone());
    let mut response = Response::new(answer.into_message());
    *response.metadata_mut() = before;
    *response.trailers_mut() = after;
    Ok(response)
}

async fn chat_on(
    next: &Channel,
    mut notes: Receiver<Any>,
    answers: Sender<Any>,
) -> Result<(), Status> {
    let mut call = BidiCall::<Any, Any>::new(next, &CHAT);
    let metadata = notes.metadata();
    if let (Some(tenant), Some(sum)) = (metadata.text("x-tenant"), metadata.binary("x-sum-bin")) {
        call = call.metadata("x-tenant", tenant.to_owned());
        call = call.metadata_bin("x-sum-bin", sum.clone());
    }
    let (to, mut from) = call.await.map_err(passed)?;
    let mut is_first = true;
    while let Some(note) = notes.next().await? {
        to.send(note).await.map_err(passed)?;
        if std::mem::take(&mut is_first) {
            answers.send_metadata(from.metadata().await.map_err(passed)?.clone());
        }
        let answer = from.next().await.map_err(passed)?;
        answers.send(answer.expect("each note has one")).await?;
    }
    to.finish();
    assert!(from.next().await.map_err(passed)?.is_none());
    answers.set_trailers(from.trailers().clone());
    Ok(())
}

/// Says of a call what was said of the one behind it.
fn passed(error: CallError) -> Status {
    let trailers = error.trailers().clone();
    error.status().clone().with_trailers(trailers)
}

async fn answer(request: &Request<Any>) -> Result<Response<Any>, Status> {
    let told = told(request.view().type_url(), request.metadata()).await?;
    let mut response = Response::new(told);
    *response.metadata_mut() = before();
    *response.trailers_mut() = after();
    Ok(response)
}

async fn answer_all(mut notes: Receiver<Any>, answers: Sender<Any>) -> Result<(), Status> {
    let metadata = notes.metadata().clone();
    let mut is_first = true;
    while let Some(note) = notes.next().await? {
        let told = told(note.view().type_url(), &metadata).await?;
        if std::mem::take(&mut is_first) {
            answers.send_metadata(before());
        }
        answers.send(&told).await?;
    }
    answers.set_trailers(after());
    Ok(())
}

/// What the last handler was told: in words, and in microseconds how much is left to it.
async fn told(what: &str, metadata: &Metadata) -> Result<Any, Status> {
    match what {
        "never" => std::future::pending().await,
        "fail" => {
            let detail = Detail::new("type.googleapis.com/test.Detail", &b"detail"[..]);
            let status = Status::not_found("gone é").with_raw_detail(detail);
            Err(status.with_trailers(after()))
        }
        _ => {
            let context = CallContext::current();
            let trace = context.trace.as_ref();
            let number = trace.map_or(0, |it| u128::from_be_bytes(it.trace_id()));
            let state = trace.map_or("", |it| it.state());
            let priority = context.priority.unwrap_or_default().number();
            let tenant = metadata.text("x-tenant").unwrap_or_default();
            let sum = metadata.binary("x-sum-bin").map(|it| it.to_vec());
            let left = context.deadline.map(|it| it.remaining(Instant::now()));
            let left = left.map(|it| u64::try_from(it.as_micros()).unwrap().to_le_bytes());
            Ok(Any {
                type_url: format!("{number:032x} [{state}] {priority} {tenant} {sum:?}"),
                value: left.map(|it| it.to_vec()).unwrap_or_default().into(),
                ..Any::default()
            })
        }
    }
}

fn before() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append("x-before", "b").unwrap();
    metadata.append_bin("x-before-bin", vec![0, 255]).unwrap();
    metadata
}

fn after() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append("x-after", "a").unwrap();
    metadata
}
