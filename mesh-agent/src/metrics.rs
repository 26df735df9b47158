//! The agent's own figures, as the text that Prometheus reads.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dreammesh_agent_api::instance::InstanceStatus;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::attach::Attachments;
use crate::clock;
use crate::questions::Questions;
use crate::registry::{Registry, SourceState};
use crate::state::Keeper;

/// Figures of another room of the agent.
pub trait Figures: std::fmt::Debug + Send + Sync {
    /// Writes them, each with its help and its type, at the end of a text.
    fn write(&self, text: &mut String);
}

/// The agent's figures.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    questions: Questions,
    keeper: Keeper,
    others: Vec<Arc<dyn Figures>>,
}

impl Metrics {
    /// Those of an agent, and of what else there is in it.
    pub fn new(questions: &Questions, keeper: &Keeper, others: Vec<Arc<dyn Figures>>) -> Self {
        Self(Arc::new(Parts {
            questions: questions.clone(),
            keeper: keeper.clone(),
            others,
        }))
    }

    /// Serves them at `/metrics` until it is dropped.
    pub async fn serve(self, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            // The semaphore is never closed.
            let place = Arc::clone(&room).acquire_owned().await;
            let Ok((stream, _)) = listener.accept().await else {
                // Such as too many open files; it passes.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let metrics = self.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    let answer = metrics.answer(&request);
                    async { Ok::<_, Infallible>(answer) }
                });
                let mut server = http1::Builder::new();
                let server = server.keep_alive(false).max_buf_size(BUFFER_BYTES);
                let connection = server.serve_connection(TokioIo::new(stream), answer);
                // Whoever takes longer, or breaks off, has no figures.
                let _ = tokio::time::timeout(PATIENCE, connection).await;
                drop(place);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Text> {
        let (status, text) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => (StatusCode::OK, self.text()),
            (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "GET it\n".to_owned()),
            _ => (StatusCode::NOT_FOUND, "see /metrics\n".to_owned()),
        };
        let mut response = Response::new(Text(Some(text.into())));
        *response.status_mut() = status;
        let kind = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    /// All figures, now.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let attachments = self.0.questions.attachments();
        attachments
            .knowledge()
            .read(|registry| known(&mut text, registry));
        attached(&mut text, attachments);
        let (written, failed) = self.0.keeper.counts();
        let mut one = |name: &str, kind: &str, help: &str, value: u64| {
            head(&mut text, name, kind, help);
            line(&mut text, name, &[], value);
        };
        one(
            "dreammesh_agent_state_writes_total",
            "counter",
            "How often the state was written.",
            written,
        );
        one(
            "dreammesh_agent_state_write_failures_total",
            "counter",
            "How often the state could not be written.",
            failed,
        );
        if let Some(bytes) = memory_bytes() {
            one(
                "dreammesh_agent_memory_anonymous_bytes",
                "gauge",
                "Memory of the process that is no file.",
                bytes,
            );
        }
        for others in &self.0.others {
            others.write(&mut text);
        }
        text
    }
}

fn known(text: &mut String, registry: &Registry) {
    let mut instances = BTreeMap::<_, u64>::new();
    for known in registry.all() {
        let status = status_name(known.instance.status);
        *instances
            .entry((status, known.origin.as_str()))
            .or_default() += 1;
    }
    let name = "dreammesh_agent_instances";
    head(
        text,
        name,
        "gauge",
        "Instances that are known, by state and origin.",
    );
    for ((status, origin), count) in instances {
        line(text, name, &[("status", status), ("origin", origin)], count);
    }
    let name = "dreammesh_agent_services";
    head(text, name, "gauge", "Services that have instances.");
    line(text, name, &[], registry.services().count() as u64);
    let name = "dreammesh_agent_version";
    head(text, name, "counter", "Changes of what is known.");
    line(text, name, &[], registry.version());
    let now = clock::now();
    let mut of_sources = |name: &str, help: &str, value: &dyn Fn(&SourceState) -> String| {
        head(text, name, "gauge", help);
        for source in registry.sources() {
            line(text, name, &[("source", &source.name)], value(source));
        }
    };
    of_sources(
        "dreammesh_agent_source_age_seconds",
        "How long ago a source last said something.",
        &|source| {
            let age = now.saturating_duration_since(source.heard);
            format!("{:.3}", age.as_secs_f64())
        },
    );
    of_sources(
        "dreammesh_agent_source_healthy",
        "Whether a source works.",
        &|source| u8::from(source.problem.is_none()).to_string(),
    );
}

fn attached(text: &mut String, attachments: &Attachments) {
    let name = "dreammesh_agent_applications";
    head(text, name, "gauge", "Programs that are attached.");
    line(text, name, &[], attachments.len());
    let name = "dreammesh_agent_watches";
    head(
        text,
        name,
        "gauge",
        "Services that are watched, once for each who does.",
    );
    line(text, name, &[], attachments.knowledge().watches());
}

const fn status_name(status: InstanceStatus) -> &'static str {
    match status {
        InstanceStatus::Up => "up",
        InstanceStatus::Starting => "starting",
        InstanceStatus::Draining => "draining",
        InstanceStatus::Maintenance => "maintenance",
        _ => "down",
    }
}

/// What stands before the values of a figure.
pub(crate) fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a text cannot fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

/// One value of a figure.
pub(crate) fn line(
    text: &mut String,
    name: &str,
    labels: &[(&str, &str)],
    value: impl std::fmt::Display,
) {
    text.push_str(name);
    for (index, (label, value)) in labels.iter().enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(text, "{before}{label}=\"{}\"", value.replace('\n', "\\n"));
    }
    if !labels.is_empty() {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

/// Memory of the process that is no file, where the system says it.
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// Binds the address at which the text is served.
///
/// # Errors
/// When the system does not allow it.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the figures can be read from other hosts");
    }
    TcpListener::bind(address).await
}

/// A whole text as a body.
#[derive(Debug)]
struct Text(Option<Bytes>);

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.0.as_ref().map_or(0, |it| it.len() as u64))
    }
}

/// A scraper asks once in a while; more at once are none.
const CONNECTIONS_MAX: usize = 8;
/// The least that the server of HTTP takes.
const BUFFER_BYTES: usize = 8 << 10;
/// How long a request and its answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
