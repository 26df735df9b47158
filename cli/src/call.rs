//! `dreammesh call`: one call of any kind, JSON in and JSON out.

use std::io::{stdin, stdout};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ArgMatches;
use dreammesh_core::call::{CallError, Metadata, MetadataValue};
use dreammesh_core::channel::{DynamicReceiver, DynamicSender};
use dreammesh_core::message::receive_dynamic;
use dreammesh_core::port::Received;
use dreammesh_core::wire::{DynTable, Layout, Segment, json};
use tokio::sync::mpsc;

use crate::connection;
use crate::invocation::{self, Found, Terms};
use crate::json::{Messages, Text, indented};
use crate::outcome::{FINE, Failure, Outcome, STATUS_BASE, call_failed, note, print};
use crate::terminal::Paint;

/// Makes the call that the command line describes.
pub(crate) fn run(matches: &ArgMatches) -> Outcome {
    connection::block_on(call(matches))
}

async fn call(matches: &ArgMatches) -> Outcome {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let terms = Terms::read(matches)?;
    let channel = connection::channel(matches, text("target").unwrap_or_default())?;
    let found = invocation::find(matches, &channel).await?;
    let shown = Shown {
        types: &found.types,
        defaults: matches.get_flag("emit-defaults"),
        compact: matches.get_flag("compact"),
        verbose: matches.get_flag("verbose"),
        paint: Paint::of(matches, &stdout()),
    };
    let streams = found.method.kind().streams_requests();
    let (first, requests) = match text("data") {
        Some("@") if streams => (None, Requests::Coming(coming())),
        Some("@") => (found.requests(stdin())?.pop(), Requests::Given(Vec::new())),
        data => {
            let mut given = found.requests(data.unwrap_or_default().as_bytes())?;
            let first = if streams { None } else { given.pop() };
            (first, Requests::Given(given))
        }
    };
    let (sender, receiver) = match terms.call(&channel, found.method, first).await {
        Ok(reply) => reply.split(found.method),
        Err(error) => return Err(failed(&error, &shown)),
    };
    let mut receiving = Box::pin(receive(receiver, found.method.response(), &shown));
    // A call that has ended needs nothing more, whatever else there was to be sent.
    let received = tokio::select! {
        received = &mut receiving => received,
        sent = send(sender, requests, &found) => match sent {
            Ok(()) => receiving.await,
            Err(failure) => Err(failure),
        },
    };
    received.map(|()| FINE)
}

/// The requests of a call that takes a stream of them.
enum Requests {
    Given(Vec<Segment>),
    /// Read from standard input while the call runs.
    Coming(mpsc::Receiver<Result<Text, String>>),
}

/// Reads standard input in a thread of its own, which ends with the program.
fn coming() -> mpsc::Receiver<Result<Text, String>> {
    let (texts, coming) = mpsc::channel(1);
    thread::spawn(move || {
        let mut messages = Messages::new(stdin(), connection::MESSAGE_BYTES_MAX as usize);
        while let Some(text) = messages.next().transpose() {
            let last = text.is_err();
            if texts.blocking_send(text).is_err() || last {
                return;
            }
        }
    });
    coming
}

/// How responses are written.
struct Shown<'a> {
    /// What a `google.protobuf.Any` may hold.
    types: &'a [&'static Layout],
    defaults: bool,
    compact: bool,
    verbose: bool,
    paint: Paint,
}

impl<'a> Shown<'a> {
    const fn options(&self) -> json::Options<'a> {
        json::Options::new()
            .types(self.types)
            .emit_defaults(self.defaults)
    }
}

async fn send(
    sender: Option<DynamicSender>,
    requests: Requests,
    found: &Found,
) -> Result<(), Failure> {
    let Some(sender) = sender else { return Ok(()) };
    match requests {
        Requests::Given(requests) => {
            for request in requests {
                // The answers say why a call has ended.
                if sender.send(request).await.is_err() {
                    return Ok(());
                }
            }
        }
        Requests::Coming(mut coming) => {
            let options = json::Options::new().types(&found.types);
            let (layout, limits) = (found.method.request(), connection::limits());
            while let Some(text) = coming.recv().await {
                let request = text.and_then(|text| text.archive(layout, &options, &limits));
                if sender.send(request.map_err(Failure::input)?).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    sender.finish();
    Ok(())
}

async fn receive(
    mut receiver: DynamicReceiver,
    layout: &'static Layout,
    shown: &Shown<'_>,
) -> Result<(), Failure> {
    if shown.verbose {
        let headers = receiver.metadata().await;
        let headers = headers.map_err(|error| failed(&error, shown))?;
        note(&metadata("<", headers));
    }
    loop {
        match receiver.next().await {
            Ok(Some(response)) => print(&written(response, layout, shown)?)?,
            Ok(None) => break,
            Err(error) => return Err(failed(&error, shown)),
        }
    }
    if let (true, Some(trailers)) = (shown.verbose, receiver.trailers()) {
        note(&metadata("< trailer", trailers));
    }
    Ok(())
}

fn written(
    response: Received,
    layout: &'static Layout,
    shown: &Shown<'_>,
) -> Result<String, Failure> {
    if shown.verbose {
        let (mode, bytes) = (response.mode.name(), response.bytes.len());
        note(&format!("< message: {bytes} bytes as {mode}"));
    }
    let limits = connection::limits();
    let text = receive_dynamic(response, layout, &limits).and_then(|archive| {
        let table = DynTable::from_archive(layout, &archive, &limits)?;
        json::to_string(table, &shown.options())
    });
    let text = text.map_err(|error| {
        let text = format!("INTERNAL: the response cannot be read: {error}");
        Failure::new(STATUS_BASE + 13, text)
    })?;
    let text = if shown.compact {
        text
    } else {
        indented(&text, shown.paint)
    };
    Ok(text + "\n")
}

/// One line about a call that failed, and with `-v` the metadata and details that came with it.
fn failed(error: &CallError, shown: &Shown<'_>) -> Failure {
    if shown.verbose {
        note(&metadata("< trailer", error.trailers()));
        for detail in error.status().details() {
            let (name, bytes) = (detail.type_name(), detail.value().len());
            note(&format!("< detail: {name}, {bytes} bytes"));
        }
    }
    call_failed(error)
}

fn metadata(prefix: &str, metadata: &Metadata) -> String {
    let mut lines = Vec::new();
    for (name, value) in metadata.iter() {
        let value = match value {
            MetadataValue::Text(text) => text.to_string(),
            MetadataValue::Binary(bytes) => STANDARD.encode(bytes),
        };
        lines.push(format!("{prefix} {name}: {value}"));
    }
    if lines.is_empty() {
        lines.push(format!("{prefix} (no metadata)"));
    }
    lines.join("\n")
}
