//! How a command reaches a service: the target, and whom to believe there.

use std::io::stderr;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use dreammesh::Mesh;
use dreammesh_agent_api::name::MeshTarget;
use dreammesh_core::call::Code;
use dreammesh_core::channel::Channel;
use dreammesh_core::wire::Limits;
use dreammesh_transport::tls::{Certificate, ClientTls, Roots};
use dreammesh_transport::{ConnectError, Connector};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::mesh;
use crate::outcome::{Failure, Outcome, STATUS_BASE};

/// The options of targets that are encrypted or found by name; there is none that believes
/// everybody.
pub(crate) fn options() -> [Arg; 6] {
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
        Arg::new("agent")
            .long("agent")
            .value_name("SOCKET")
            .requires("target")
            .help(
                "Find a mesh:// target by the agent at this socket, as unix:///path or a path; by \
                 that of this host, or what DREAMMESH_SERVICES names, without it",
            ),
        Arg::new("permit-plaintext")
            .long("permit-plaintext")
            .action(ArgAction::SetTrue)
            .requires("target")
            .help("Call instances of a mesh:// target on other hosts in plaintext too"),
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
    let connected = connector(matches, target)?.connect_lazy(target);
    connected.map_err(|error| unusable(target, &error))
}

/// So many channels to a target, each of one connection that stands, or one to each instance that
/// a mesh has of it.
pub(crate) async fn channels(
    matches: &ArgMatches,
    target: &str,
    count: usize,
) -> Result<Vec<Channel>, Failure> {
    let connector = connector(matches, target)?.max_connections_per_endpoint(1);
    let mut channels = Vec::with_capacity(count);
    for _ in 0..count {
        let connected = connector.connect(target).await;
        channels.push(connected.map_err(|error| unusable(target, &error))?);
    }
    Ok(channels)
}

fn connector(matches: &ArgMatches, target: &str) -> Result<Connector, Failure> {
    let mut connector = Connector::new().max_message_bytes(MESSAGE_BYTES_MAX);
    if let Some(mesh) = of_mesh(matches, target)? {
        connector = connector.mesh(&mesh);
    }
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

/// What finds the endpoints of a target of the mesh; none for a target that is a place itself.
fn of_mesh(matches: &ArgMatches, target: &str) -> Result<Option<Mesh>, Failure> {
    let scheme = target.split_once("://").map_or("", |(scheme, _)| scheme);
    let permitted = matches.get_flag("permit-plaintext");
    let socket = mesh::socket(matches)?;
    if !scheme.eq_ignore_ascii_case("mesh") {
        return match (&socket, permitted) {
            (None, false) => Ok(None),
            (Some(_), _) => Err(for_mesh("--agent", target)),
            (None, true) => Err(for_mesh("--permit-plaintext", target)),
        };
    }
    let parsed: Result<MeshTarget, _> = target.parse();
    parsed.map_err(|error| Failure::input(format!("{target}: {error}")))?;
    show_warnings();
    let mut builder = Mesh::builder();
    if let Some(socket) = socket {
        builder = builder.socket(socket);
    }
    if permitted {
        builder = builder.permit_plaintext();
    }
    let mesh = builder.attach();
    mesh.map(Some)
        .map_err(|error| Failure::input(error.to_string()))
}

fn for_mesh(option: &str, target: &str) -> Failure {
    Failure::input(format!(
        "{option} is for mesh:// targets, and {target} is none"
    ))
}

/// Has what the mesh warns of written to standard error, such as plaintext to another host.
fn show_warnings() {
    let lines = fmt::layer().with_ansi(false).with_target(false);
    let lines = lines.without_time().with_writer(stderr);
    let of_mesh = Targets::new().with_target("dreammesh_agent_api", Level::WARN);
    let log = tracing_subscriber::registry().with(lines).with(of_mesh);
    // There is only one log in this program, which is this.
    let _ = log.try_init();
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
