//! What `call` and `bench` have in common: the method, its requests, and what goes with them.

use std::io::Read;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches};
use dreammesh_core::call::{Metadata, MetadataError, MethodInfo, WireOption};
use dreammesh_core::channel::{Channel, DynamicCall};
use dreammesh_core::wire::{Layout, Segment, json};

use crate::connection;
use crate::json::Messages;
use crate::layouts::Tables;
use crate::outcome::Failure;
use crate::schema;

/// The options that say what is called with what.
pub(crate) fn options() -> [Arg; 4] {
    let wires = PossibleValuesParser::new(["auto", "archive", "protobuf"]);
    [
        Arg::new("data")
            .short('d')
            .long("data")
            .value_name("JSON")
            .allow_hyphen_values(true)
            .help("The request, or several for a stream of them; @ reads standard input"),
        Arg::new("header")
            .short('H')
            .long("header")
            .value_name("NAME:VALUE")
            .action(ArgAction::Append)
            .help("Send metadata; the value of a name in -bin is base64"),
        Arg::new("timeout")
            .long("timeout")
            .value_name("TIME")
            .help("How long the call may take, such as 250ms or 1.5s"),
        Arg::new("wire")
            .long("wire")
            .value_name("FORM")
            .value_parser(wires)
            .help("The form of the messages on a session"),
    ]
}

/// A method, as a schema tells it.
pub(crate) struct Found {
    pub(crate) method: &'static MethodInfo,
    /// What a `google.protobuf.Any` may hold.
    pub(crate) types: Vec<&'static Layout>,
}

/// Learns the method that the command line names.
pub(crate) async fn find(matches: &ArgMatches, channel: &Channel) -> Result<Found, Failure> {
    let path = matches.get_one::<String>("method");
    let path = path.map(String::as_str).unwrap_or_default();
    let catalogue = schema::catalogue(matches, Some(channel), schema::service_of(path)).await?;
    let (service, entry) = schema::method(&catalogue, path)?;
    let mut tables = Tables::new(&catalogue);
    let method = tables.method(service, entry).map_err(Failure::input)?;
    let types = if tables.has_any() {
        tables.all().map_err(Failure::input)?
    } else {
        Vec::new()
    };
    Ok(Found { method, types })
}

impl Found {
    /// Reads requests to the end of a text: as many as the method takes.
    pub(crate) fn requests(&self, text: impl Read) -> Result<Vec<Segment>, Failure> {
        let mut messages = Messages::new(text, connection::MESSAGE_BYTES_MAX as usize);
        let (mut requests, mut bytes) = (Vec::new(), 0);
        let options = json::Options::new().types(&self.types);
        let limits = connection::limits();
        let streams = self.method.kind().streams_requests();
        while let Some(text) = messages.next().map_err(Failure::input)? {
            let request = text.archive(self.method.request(), &options, &limits);
            let request = request.map_err(Failure::input)?;
            bytes += request.len() + MESSAGE_BYTES;
            if bytes > connection::MESSAGE_BYTES_MAX as usize {
                let max = connection::MESSAGE_BYTES_MAX;
                let text = format!("the messages come to more than {max} bytes");
                return Err(Failure::input(text));
            }
            requests.push(request);
            if !streams && requests.len() > 1 {
                let path = self.method.path();
                let text = format!("`{path}` takes one message, and the data are more");
                return Err(Failure::input(text));
            }
        }
        if !streams && requests.is_empty() {
            // Without any data, a method that takes one request is given one with nothing in it.
            return self.requests(&b"{}"[..]);
        }
        Ok(requests)
    }
}

/// What a message takes beside its own bytes, so that many empty ones come to something too.
const MESSAGE_BYTES: usize = 64;

/// What goes with each call.
pub(crate) struct Terms {
    texts: Vec<(&'static str, &'static str)>,
    binaries: Vec<(&'static str, Bytes)>,
    wire: Option<WireOption>,
    pub(crate) timeout: Option<Duration>,
}

impl Terms {
    pub(crate) fn read(matches: &ArgMatches) -> Result<Self, Failure> {
        let wire = matches.get_one::<String>("wire");
        let mut terms = Self {
            texts: Vec::new(),
            binaries: Vec::new(),
            wire: wire.and_then(|name| WireOption::from_name(name)),
            timeout: time(matches, "timeout")?,
        };
        for header in matches.get_many::<String>("header").into_iter().flatten() {
            let Some((name, value)) = header.split_once(':') else {
                let text = format!("`{header}` is no metadata: write `name: value`");
                return Err(Failure::input(text));
            };
            // A command has few of them and makes them once, for calls that want them to last.
            let name: &'static str = name.trim().to_owned().leak();
            let value = value.trim();
            if name.ends_with("-bin") {
                let bytes = STANDARD.decode(value).map_err(|error| {
                    Failure::input(format!("the value of `{name}` is no base64: {error}"))
                })?;
                terms.binaries.push((name, bytes.into()));
            } else {
                terms.texts.push((name, value.to_owned().leak()));
            }
        }
        terms.check()?;
        Ok(terms)
    }

    /// Finds out now what each call would fail with.
    fn check(&self) -> Result<(), Failure> {
        let unusable = |error: MetadataError| Failure::input(error.to_string());
        let mut metadata = Metadata::new();
        for (name, value) in &self.texts {
            metadata.append(*name, *value).map_err(unusable)?;
        }
        for (name, value) in &self.binaries {
            let appended = metadata.append_bin(*name, value.clone());
            appended.map_err(unusable)?;
        }
        Ok(())
    }

    /// A call on these terms.
    pub(crate) fn call(
        &self,
        channel: &Channel,
        method: &'static MethodInfo,
        first: Option<Segment>,
    ) -> DynamicCall {
        let mut call = DynamicCall::new(channel, method, first);
        for (name, value) in &self.texts {
            call = call.metadata(*name, *value);
        }
        for (name, value) in &self.binaries {
            call = call.metadata_bin(*name, value.clone());
        }
        if let Some(timeout) = self.timeout {
            call = call.timeout(timeout);
        }
        match self.wire {
            Some(wire) => call.wire(wire),
            None => call,
        }
    }
}

/// Reads an option that is a time.
pub(crate) fn time(matches: &ArgMatches, name: &str) -> Result<Option<Duration>, Failure> {
    let Some(text) = matches.get_one::<String>(name) else {
        return Ok(None);
    };
    let read = duration(text);
    let wrong = || Failure::input(format!("`{text}` is no time: write `250ms` or `1.5s`"));
    read.ok_or_else(wrong).map(Some)
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
