//! The table of commands and options, from which parsing and help come.

use std::path::PathBuf;

use crate::{bench, connection, invocation, mesh, schema, terminal};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("dreammesh")
        .about("Works with the schemas and services of a mesh")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .arg(terminal::option())
        .subcommand(call())
        .subcommand(bench())
        .subcommand(list())
        .subcommand(describe())
        .subcommand(health())
        .subcommands(mesh::options::commands())
        .subcommand(idl())
        .subcommand(completions())
        .subcommand(Command::new("man").about("Prints the manual page, for man(1)"))
}

fn list() -> Command {
    Command::new("list")
        .about("Names the services of a schema, or the methods of one service")
        .after_help(DESCRIBE_STATUSES)
        .arg(
            Arg::new("service")
                .value_name("SERVICE")
                .help("A service whose methods are named, by its full name"),
        )
        .arg(json("Print one JSON array of names"))
        .args(schema::options())
        .arg(asked())
        .args(connection::options())
}

fn describe() -> Command {
    Command::new("describe")
        .about("Shows services, methods, messages and enums as a schema writes them")
        .after_help(DESCRIBE_STATUSES)
        .arg(
            Arg::new("name")
                .value_name("NAME")
                .help("What to show, by its full name; every service without it"),
        )
        .arg(json("Print it as JSON; an array without a name"))
        .args(schema::options())
        .arg(asked())
        .args(connection::options())
}

/// A server that tells its schema.
fn asked() -> Arg {
    Arg::new("target")
        .long("target")
        .value_name("TARGET")
        .conflicts_with_all(["proto", "descriptor-set"])
        .help("Ask this server for its schema")
}

fn health() -> Command {
    Command::new("health")
        .about("Says whether a service can be called now, as its server tells")
        .after_help(HEALTH_STATUSES)
        .arg(target())
        .arg(
            Arg::new("service")
                .value_name("SERVICE")
                .help("The full name of a service; the server as a whole without it"),
        )
        .arg(
            Arg::new("watch")
                .long("watch")
                .action(ArgAction::SetTrue)
                .help("Print the state each time that it changes, until the server ends"),
        )
        .arg(json("Print each state as a JSON object"))
        .args(connection::options())
}

fn completions() -> Command {
    Command::new("completions")
        .about("Prints completions for a shell")
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(PossibleValuesParser::new(["bash", "zsh", "fish"]))
                .help("The shell that reads them"),
        )
}

fn call() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    Command::new("call")
        .about("Calls a method, with JSON in and JSON out")
        .after_help(CALL_STATUSES)
        .arg(target())
        .arg(method())
        .args(invocation::options())
        .arg(flag("compact", "Write each response on one line"))
        .arg(flag(
            "emit-defaults",
            "Write fields that have their default",
        ))
        .arg(flag("verbose", "Write metadata and what came to standard error").short('v'))
        .args(schema::options())
        .args(connection::options())
}

fn bench() -> Command {
    Command::new("bench")
        .about("Calls a method again and again, and says how long the calls take")
        .after_help(BENCH_STATUSES)
        .arg(target())
        .arg(method())
        .args(invocation::options())
        .args(bench::options())
        .arg(json("Print one JSON object"))
        .args(schema::options())
        .args(connection::options())
}

fn method() -> Arg {
    Arg::new("method")
        .value_name("METHOD")
        .required(true)
        .help("The method, as package.Service/Method")
}

fn target() -> Arg {
    Arg::new("target")
        .value_name("TARGET")
        .required(true)
        .help("Where the service is, such as dreammesh://host:port or mesh://name")
}

fn idl() -> Command {
    Command::new("idl")
        .about("Looks at .proto files")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("Parses files and all they import, and reports what is wrong with its place")
                .after_help(SCHEMA_STATUSES)
                .args(sources())
                .arg(format()),
        )
        .subcommand(
            Command::new("layout")
                .about("Prints each message's offsets, presence bits and hashes")
                .after_help(SCHEMA_STATUSES)
                .args(sources())
                .arg(format())
                .arg(json("As --format json").conflicts_with("format")),
        )
        .subcommand(breaking())
}

fn breaking() -> Command {
    let rules = PossibleValuesParser::new(["wire", "json"]);
    Command::new("breaking")
        .about("Says what these files break for those who have an earlier revision of them")
        .after_help(BREAKING_STATUSES)
        .args(sources())
        .arg(
            Arg::new("against")
                .long("against")
                .value_name("REVISION")
                .required(true)
                .help("The earlier revision: a .proto file, a descriptor set, or a git revision"),
        )
        .arg(
            Arg::new("against-include")
                .long("against-include")
                .value_name("DIR")
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help("As -I, for an earlier revision that is a .proto file"),
        )
        .arg(
            Arg::new("rules")
                .long("rules")
                .value_name("SET")
                .value_parser(rules)
                .default_value("json")
                .help("What must not break: `wire` is protobuf, `json` is protobuf and JSON"),
        )
        .arg(
            Arg::new("keep-archives")
                .long("keep-archives")
                .action(ArgAction::SetTrue)
                .help("Count a method that falls back to protobuf as broken"),
        )
        .arg(format())
}

fn format() -> Arg {
    let names = ["text", "json", "github", "lines"];
    Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .value_parser(PossibleValuesParser::new(names))
        .default_value("text")
        .help("How to write the report")
}

/// The schema files that a command looks at.
fn sources() -> [Arg; 2] {
    [
        Arg::new("include")
            .short('I')
            .long("include")
            .value_name("DIR")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf))
            .help("Look imports up below DIR; the first that has the file wins")
            .long_help(
                "Look imports up below DIR; may be repeated, the first that has the file wins. \
                 Without any, each file's imports are relative to the root of its package.",
            ),
        Arg::new("files")
            .value_name("FILE")
            .num_args(1..)
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help("A .proto file"),
    ]
}

fn json(help: &'static str) -> Arg {
    Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help(help)
}

const SCHEMA_STATUSES: &str = "\
Exit status: 0 all is well, warnings included; 1 a schema is at fault; 2 the command line is wrong \
or a file cannot be read.";

const CALL_STATUSES: &str = "\
Exit status: 0 the call succeeded; 2 the command line, the schema or the data are wrong; 64 and the \
number of the code if the call failed, so that NOT_FOUND is 69 and UNAVAILABLE 78.";

const BENCH_STATUSES: &str = "\
Exit status: 0 every call succeeded; 1 some did not; 2 the command line, the schema or the data are \
wrong; 64 and the number of the code if none succeeded, of the one that most failed with.";

const HEALTH_STATUSES: &str = "\
Exit status: 0 it serves; 1 it does not; 2 the command line is wrong; 64 and the number of the code \
if the question failed, so that a service nobody knows is 69.";

const DESCRIBE_STATUSES: &str = "\
Exit status: 0 it is shown; 2 the command line or the schema is wrong, or nothing has this name.";

const BREAKING_STATUSES: &str = "\
Exit status: 0 nothing breaks; 1 something breaks; 2 the command line is wrong, or a revision \
cannot be read or compiled.";
