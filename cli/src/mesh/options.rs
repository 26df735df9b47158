//! The commands of the mesh and their options.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};

/// All commands of the mesh.
pub(crate) fn commands() -> [Command; 7] {
    [
        agent(),
        register(),
        status(),
        services(),
        instances(),
        watch(),
        why(),
    ]
}

fn value(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn file(name: &'static str, help: &'static str) -> Arg {
    value(name, "FILE", help).value_parser(value_parser!(PathBuf))
}

fn many(arg: Arg) -> Arg {
    arg.action(ArgAction::Append)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

fn json(help: &'static str) -> Arg {
    flag("json", help)
}

/// Which agent is asked.
fn asked() -> Arg {
    value(
        "agent",
        "SOCKET",
        "Ask the agent at this socket, as unix:///path or a path; that of this host without it",
    )
}

fn agent() -> Command {
    Command::new("agent")
        .about("Runs the agent of this host, in the foreground")
        .after_help(AGENT_STATUSES)
        .arg(file(
            "config",
            "Read what the options say from this file (YAML) first",
        ))
        .arg(value(
            "name",
            "NAME",
            "The agent's name in the mesh; the host's without it",
        ))
        .arg(value(
            "host",
            "NAME",
            "The host, if it is not what the system calls it",
        ))
        .arg(value("region", "NAME", "Where the host is"))
        .arg(value("zone", "NAME", "Where in the region"))
        .arg(many(value(
            "advertise",
            "ADDRESS",
            "Where others reach this host, the preferred address first",
        )))
        .arg(
            value("directory", "DIR", "Where its socket and its state are")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(value(
            "group",
            "GROUP",
            "Let members of this group attach as well",
        ))
        .arg(many(file(
            "services",
            "Take in the services of this file (YAML)",
        )))
        .arg(value(
            "metrics",
            "ADDRESS",
            "Where the Prometheus text is, or `off`; a port of loopback without it",
        ))
        .args(gossip())
        .arg(
            value(
                "log",
                "LEVEL",
                "What is logged, such as warn or info,dreammesh_agent=debug",
            )
            .long_help(LOG_HELP),
        )
}

/// How an agent meets others.
fn gossip() -> [Arg; 5] {
    let address = |name: &'static str, help: &'static str| {
        value(name, "ADDRESS", help).value_parser(value_parser!(std::net::SocketAddr))
    };
    [
        address("listen", "Meet other agents here, over UDP"),
        address("gossip-advertise", "Where other agents reach --listen"),
        many(value(
            "seed",
            "ADDRESS",
            "Begin with the agent there, as host:port",
        )),
        file(
            "secret-file",
            "The secret of the cluster; loopback alone without it",
        ),
        value("cluster", "NAME", "The cluster's name"),
    ]
}

fn register() -> Command {
    let number = |name: &'static str, help: &'static str| {
        value(name, "NUMBER", help).value_parser(value_parser!(u16))
    };
    Command::new("register")
        .about("Keeps a server in the mesh while this, or a command, runs")
        .after_help(REGISTER_STATUSES)
        .arg(
            Arg::new("service")
                .value_name("SERVICE")
                .required(true)
                .help("The service, as name or name.namespace"),
        )
        .arg(number("port", "Where the server listens").required(true))
        .arg(
            value("protocol", "PROTOCOL", "What it speaks")
                .value_parser(PossibleValuesParser::new(["dreammesh", "grpc"]))
                .default_value("dreammesh"),
        )
        .arg(many(value(
            "address",
            "ADDRESS",
            "Where the server is reached, without a port; where the host is without it",
        )))
        .arg(
            value("check", "KIND", "How the agent sees that it is well").value_parser(
                PossibleValuesParser::new(["session", "grpc", "tcp", "none"]),
            ),
        )
        .arg(value(
            "id",
            "ID",
            "Names the instance in the mesh; the agent gives it an id without",
        ))
        .arg(value("version", "TEXT", "What the program calls its version").id("instance-version"))
        .arg(number(
            "weight",
            "How much it takes in relation to others, which have 100",
        ))
        .arg(value(
            "zone",
            "NAME",
            "Where it is; where the agent is without it",
        ))
        .arg(value("region", "NAME", "Where the zone is"))
        .arg(many(value("label", "NAME=VALUE", "A word of yours")))
        .arg(flag("tls", "The port is encrypted"))
        .arg(flag(
            "permit-plaintext",
            "Let other hosts call it in plaintext",
        ))
        .arg(
            value(
                "drain",
                "TIME",
                "How long it is shown as draining before it ends",
            )
            .default_value("1s"),
        )
        .arg(asked())
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .num_args(1..)
                .last(true)
                .help("Run this, and register when its port accepts connections"),
        )
}

fn status() -> Command {
    Command::new("status")
        .about("Says how the agent of this host is, and where its knowledge comes from")
        .after_help(ASK_STATUSES)
        .arg(json("Print one JSON object"))
        .arg(asked())
}

fn services() -> Command {
    Command::new("services")
        .about("Lists the services that the agent knows")
        .after_help(ASK_STATUSES)
        .arg(value("namespace", "NAME", "Of this namespace alone"))
        .arg(json("Print one JSON object"))
        .arg(asked())
}

fn instances() -> Command {
    Command::new("instances")
        .about("Lists the instances of a service, or of all")
        .after_help(ASK_STATUSES)
        .arg(
            Arg::new("service")
                .value_name("SERVICE")
                .help("The service, as name or name.namespace"),
        )
        .arg(json("Print one JSON object"))
        .arg(asked())
}

fn watch() -> Command {
    Command::new("watch")
        .about("Prints what becomes of the instances of a service, until it is interrupted")
        .after_help(ASK_STATUSES)
        .arg(
            Arg::new("service")
                .value_name("SERVICE")
                .required(true)
                .help("The service, as name or name.namespace"),
        )
        .arg(json("Print one JSON object a change"))
        .arg(asked())
}

fn why() -> Command {
    Command::new("why")
        .about("Says which endpoints a target has, and why each instance is one or is none")
        .after_help(WHY_STATUSES)
        .arg(
            Arg::new("target")
                .value_name("TARGET")
                .required(true)
                .help("Such as mesh://catalog or mesh://catalog.shop:admin"),
        )
        .arg(json("Print one JSON object"))
        .arg(asked())
}

const LOG_HELP: &str = "\
What is logged, to standard error: off, error, warn, info, debug or trace, for all or after a \
module's name, such as info,dreammesh_agent=debug; what DREAMMESH_LOG says without it, or \
info,dreammesh_core=warn,dreammesh_transport=warn.";

const AGENT_STATUSES: &str = "\
Exit status: 0 it was told to end (SIGTERM, SIGINT); 1 an agent runs there already; 2 it was told \
what cannot be.";

const REGISTER_STATUSES: &str = "\
Exit status: that of the command, or 0 without one; 128 and the number of the signal that ended the \
command; 2 the command line is wrong; 64 and the number of the code if it cannot be registered, so \
that an id that is in use is 70 and no agent 78.";

const ASK_STATUSES: &str = "\
Exit status: 0 it is shown; 2 the command line is wrong; 64 and the number of the code if the \
question failed, so that no agent is 78.";

const WHY_STATUSES: &str = "\
Exit status: 0 the target has an endpoint; 1 it has none; 2 the command line is wrong; 64 and the \
number of the code if the question failed, so that no agent is 78.";
