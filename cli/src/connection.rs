//! How a command reaches a service: the target, and whom to believe there.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, value_parser};
use dreammesh_core::call::Code;
use dreammesh_core::channel::Channel;
use dreammesh_core::wire::Limits;
use dreammesh_transport::tls::{Certificate, ClientTls, Roots};
use dreammesh_transport::{ConnectError, Connector};

use crate::outcome::{Failure, Outcome, STATUS_BASE};

/// The options of encrypted targets; there is none that believes everybody.
pub(crate) fn options() -> [Arg; 4] {
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    [
        file(
            "cacert",
            "Believe servers whose certificate leads to one of these (PEM)",
        ),
        file("cert", "Present this certificate to the server (PEM)").requires("key"),
        file("key", "The private key of --cert (PEM)").requires("cert"),
        Arg::new("server-name")
            .long("server-name")
            .value_name("NAME")
            .requires("cacert")
            .help("Expect a certificate for NAME, in place of the target's host"),
    ]
}

/// Runs a command that makes calls.
pub(crate) fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::input(format!("cannot start: {error}")))?;
    runtime.block_on(command)
}

/// A channel to a target, which dials when it is first used.
pub(crate) fn channel(matches: &ArgMatches, target: &str) -> Result<Channel, Failure> {
    let connected = connector(matches)?.connect_lazy(target);
    connected.map_err(|error| unusable(target, &error))
}

/// So many channels to a target, each of one connection that stands.
pub(crate) async fn channels(
    matches: &ArgMatches,
    target: &str,
    count: usize,
) -> Result<Vec<Channel>, Failure> {
    let connector = connector(matches)?.max_connections_per_endpoint(1);
    let mut channels = Vec::with_capacity(count);
    for _ in 0..count {
        let connected = connector.connect(target).await;
        channels.push(connected.map_err(|error| unusable(target, &error))?);
    }
    Ok(channels)
}

fn connector(matches: &ArgMatches) -> Result<Connector, Failure> {
    let mut connector = Connector::new().max_message_bytes(MESSAGE_BYTES_MAX);
    if let Some(file) = matches.get_one::<PathBuf>("cacert") {
        let roots =
            Roots::from_pem_file(file).map_err(|error| Failure::input(error.to_string()))?;
        let mut tls = ClientTls::new(roots);
        let pair = matches
            .get_one::<PathBuf>("cert")
            .zip(matches.get_one::<PathBuf>("key"));
        if let Some((chain, key)) = pair {
            let certificate = Certificate::from_pem_files(chain, key)
                .map_err(|error| Failure::input(error.to_string()))?;
            tls = tls.certificate(certificate);
        }
        if let Some(name) = matches.get_one::<String>("server-name") {
            tls = tls
                .server_name(name)
                .map_err(|error| Failure::input(error.to_string()))?;
        }
        connector = connector.tls(tls);
    }
    Ok(connector)
}

fn unusable(target: &str, error: &ConnectError) -> Failure {
    if error.is_without_tls() {
        let text = "is encrypted: name the certificates to believe with --cacert";
        return Failure::input(format!("{target} {text}"));
    }
    if error.is_target() {
        return Failure::input(format!("{target}: {error}"));
    }
    let (code, text) = (Code::Unavailable, error.to_string());
    Failure::new(
        STATUS_BASE + code as u8,
        format!("{code}: {}", text.replace(['\n', '\r'], " ")),
    )
}

/// What a message may come to, of requests and responses: a person looks at it.
pub(crate) fn limits() -> Limits {
    Limits::default().with_max_bytes(MESSAGE_BYTES_MAX as usize)
}

/// The exit status when nobody is there to be asked.
pub(crate) const UNAVAILABLE: u8 = STATUS_BASE + Code::Unavailable as u8;

/// A command reads single messages of whatever size a server sends, within reason.
pub(crate) const MESSAGE_BYTES_MAX: u32 = 64 << 20;
