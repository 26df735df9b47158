//! `dreammesh call`: one call of any kind, JSON in and JSON out.

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ArgMatches;
use dreammesh_core::call::{CallError, Metadata, MetadataValue, MethodInfo, WireOption};
use dreammesh_core::channel::{Channel, DynamicCall, DynamicReceiver, DynamicSender};
use dreammesh_core::message::receive_dynamic;
use dreammesh_core::port::Received;
use dreammesh_core::wire::{DynTable, Layout, Segment, json};

use crate::connection;
use crate::json::{archives, indented};
use crate::layouts::Tables;
use crate::outcome::{FINE, Failure, Outcome, STATUS_BASE, call_failed, note, print};
use crate::schema;

/// Makes the call that the command line describes.
pub(crate) fn run(matches: &ArgMatches) -> Outcome {
    connection::block_on(call(matches))
}

async fn call(matches: &ArgMatches) -> Outcome {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let channel = connection::channel(matches, text("target").unwrap_or_default())?;
    let path = text("method").unwrap_or_default();
    let catalogue = schema::catalogue(matches, Some(&channel), schema::service_of(path)).await?;
    let (service, entry) = schema::method(&catalogue, path)?;
    let mut tables = Tables::new(&catalogue);
    let method = tables.method(service, entry).map_err(Failure::input)?;
    let types = if tables.has_any() {
        tables.all().map_err(Failure::input)?
    } else {
        Vec::new()
    };
    let shown = Shown {
        types: &types,
        defaults: matches.get_flag("emit-defaults"),
        compact: matches.get_flag("compact"),
        verbose: matches.get_flag("verbose"),
    };
    let mut requests = requests(&data(text("data"))?, method, &shown)?;
    let first = if method.kind().streams_requests() {
        None
    } else {
        requests.pop()
    };
    let call = configured(matches, &channel, method, first)?;
    let (sender, receiver) = match call.await {
        Ok(reply) => reply.split(method),
        Err(error) => return Err(failed(&error, &shown)),
    };
    let sending = send(sender, requests);
    let receiving = receive(receiver, method.response(), &shown);
    // A call that has ended tells its reader why, which says more than that nothing can be sent.
    let ((), received) = tokio::join!(sending, receiving);
    received.map(|()| FINE)
}

/// How responses are written.
struct Shown<'a> {
    /// What a `google.protobuf.Any` may hold.
    types: &'a [&'static Layout],
    defaults: bool,
    compact: bool,
    verbose: bool,
}

impl<'a> Shown<'a> {
    const fn options(&self) -> json::Options<'a> {
        json::Options::new()
            .types(self.types)
            .emit_defaults(self.defaults)
    }
}

fn data(given: Option<&str>) -> Result<String, Failure> {
    let Some("@") = given else {
        return Ok(given.unwrap_or_default().to_owned());
    };
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map_err(|error| Failure::input(format!("cannot read the data: {error}")))?;
    Ok(text)
}

fn requests(
    data: &str,
    method: &'static MethodInfo,
    shown: &Shown<'_>,
) -> Result<Vec<Segment>, Failure> {
    let streams = method.kind().streams_requests();
    // Without any data, a method that takes one request is given one with nothing in it.
    let data = if data.trim().is_empty() && !streams {
        "{}"
    } else {
        data
    };
    let options = shown.options();
    let requests = archives(data, method.request(), &options, &connection::limits());
    let requests = requests.map_err(Failure::input)?;
    if !streams && requests.len() != 1 {
        let (path, given) = (method.path(), requests.len());
        let text = format!("`{path}` takes one message, and the data are {given}");
        return Err(Failure::input(text));
    }
    Ok(requests)
}

fn configured(
    matches: &ArgMatches,
    channel: &Channel,
    method: &'static MethodInfo,
    first: Option<Segment>,
) -> Result<DynamicCall, Failure> {
    let mut call = DynamicCall::new(channel, method, first);
    for header in matches.get_many::<String>("header").into_iter().flatten() {
        let Some((name, value)) = header.split_once(':') else {
            let text = format!("`{header}` is no metadata: write `name: value`");
            return Err(Failure::input(text));
        };
        let (name, value) = (name.trim().to_owned(), value.trim());
        call = if name.ends_with("-bin") {
            let bytes = STANDARD.decode(value).map_err(|error| {
                Failure::input(format!("the value of `{name}` is no base64: {error}"))
            })?;
            call.metadata_bin(name, bytes)
        } else {
            call.metadata(name, value.to_owned())
        };
    }
    if let Some(timeout) = matches.get_one::<String>("timeout") {
        let read = duration(timeout);
        let text = || Failure::input(format!("`{timeout}` is no time: write `250ms` or `1.5s`"));
        call = call.timeout(read.ok_or_else(text)?);
    }
    let wire = matches.get_one::<String>("wire");
    let wire = wire.and_then(|name| WireOption::from_name(name));
    Ok(match wire {
        Some(wire) => call.wire(wire),
        None => call,
    })
}

async fn send(sender: Option<DynamicSender>, requests: Vec<Segment>) {
    let Some(sender) = sender else { return };
    for request in requests {
        if sender.send(request).await.is_err() {
            return;
        }
    }
    sender.finish();
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
    let text = if shown.compact { text } else { indented(&text) };
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

/// Reads a time such as `250ms`, `1.5s` or `2`, which is seconds.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    let seconds = digits.parse::<f64>().ok()? * factor;
    let read = Duration::try_from_secs_f64(seconds).ok()?;
    (!read.is_zero()).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let millis = |text: &str| duration(text).map(|time| time.as_millis());
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("1.5s"), Some(1500));
        assert_eq!(millis("2"), Some(2000));
        assert_eq!(millis("1m"), Some(60_000));
        for wrong in ["", "s", "-1s", "0s", "1h", "1e400", "nan", "1 s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
