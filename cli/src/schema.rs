//! Where a command learns the services of a target from: files, a descriptor set, or the target.

use std::fs;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use dreammesh_codegen::{Builder, Catalogue, Error, MethodEntry};
use dreammesh_core::channel::Channel;

use crate::outcome::Failure;
use crate::reflection;

/// The options that say where.
pub(crate) fn options() -> [Arg; 3] {
    [
        Arg::new("proto")
            .long("proto")
            .value_name("FILE")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf))
            .conflicts_with("descriptor-set")
            .help("Know the services from this .proto file; may be repeated"),
        Arg::new("include")
            .short('I')
            .long("include")
            .value_name("DIR")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf))
            .requires("proto")
            .help("Look imports up below DIR"),
        Arg::new("descriptor-set")
            .long("descriptor-set")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Know the services from this encoded FileDescriptorSet"),
    ]
}

/// Reads the services that the options name, or asks the server: for one service, or all.
pub(crate) async fn catalogue(
    matches: &ArgMatches,
    server: Option<&Channel>,
    service: Option<&str>,
) -> Result<Catalogue, Failure> {
    if let Some(file) = matches.get_one::<PathBuf>("descriptor-set") {
        let encoded = fs::read(file)
            .map_err(|error| Failure::input(format!("cannot read {}: {error}", file.display())))?;
        return of_descriptor_set(encoded).map_err(|error| Failure::input(error.to_string()));
    }
    let files: Vec<PathBuf> = paths(matches, "proto");
    if files.is_empty() {
        let Some(server) = server else {
            let text = "name the schema with --proto or --descriptor-set, or a --target to ask";
            return Err(Failure::input(text));
        };
        let encoded = reflection::descriptor_set(server, service).await?;
        return of_descriptor_set(encoded).map_err(|error| Failure::input(error.to_string()));
    }
    let includes = paths(matches, "include");
    let builder = includes.iter().fold(Builder::new(), Builder::include);
    let read = builder.catalogue(files);
    read.map_err(|error| Failure::input(error.to_string()))
}

/// Reads the services of an encoded `FileDescriptorSet`.
fn of_descriptor_set(encoded: Vec<u8>) -> Result<Catalogue, Error> {
    Builder::new()
        .descriptor_set(encoded)
        .catalogue(Vec::<PathBuf>::new())
}

/// The service of a method's path, if it names one.
pub(crate) fn service_of(path: &str) -> Option<&str> {
    let path = path.trim_start_matches('/');
    let split = path.split_once('/').or_else(|| path.rsplit_once('.'));
    split.map(|(service, _)| service)
}

/// Finds a method by `package.Service/Method`, or with a dot in place of the slash.
pub(crate) fn method<'a>(
    catalogue: &'a Catalogue,
    path: &str,
) -> Result<(&'a str, &'a MethodEntry), Failure> {
    let path = path.trim_start_matches('/');
    let split = path.split_once('/').or_else(|| path.rsplit_once('.'));
    let Some((service, method)) = split else {
        let text = format!("`{path}` is no method: write `package.Service/Method`");
        return Err(Failure::input(text));
    };
    let Some(found) = catalogue.services.iter().find(|it| it.name == service) else {
        let known = listed(catalogue.services.iter().map(|it| it.name.as_str()));
        let text = format!("the schema has no service `{service}`; it has {known}");
        return Err(Failure::input(text));
    };
    match found.methods.iter().find(|it| it.name == method) {
        Some(entry) => Ok((&found.name, entry)),
        None => {
            let known = listed(found.methods.iter().map(|it| it.name.as_str()));
            let text = format!("`{service}` has no method `{method}`; it has {known}");
            Err(Failure::input(text))
        }
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        names => format!("`{}`", names.join("`, `")),
    }
}

fn paths(matches: &ArgMatches, name: &str) -> Vec<PathBuf> {
    let given = matches.get_many::<PathBuf>(name);
    given.into_iter().flatten().cloned().collect()
}
