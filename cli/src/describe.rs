//! `dreammesh list` and `describe`: what a schema has, as text or for scripts.

mod script;

use std::fmt::Write as _;
use std::io::stdout;

use clap::ArgMatches;
use dreammesh_codegen::{
    Catalogue, EntryShape, EntryType, EnumEntry, FieldEntry, MessageEntry, MethodEntry,
    ServiceEntry,
};
use serde_json::Value;

use crate::connection;
use crate::outcome::{FINE, Failure, Outcome, print};
use crate::schema;
use crate::terminal::Paint;

/// Names the services, or the methods of one.
pub(crate) fn list(matches: &ArgMatches) -> Outcome {
    let catalogue = catalogue(matches)?;
    let names: Vec<String> = match matches.get_one::<String>("service") {
        None => catalogue
            .services
            .iter()
            .map(|it| it.name.clone())
            .collect(),
        Some(name) => {
            let service = service(&catalogue, name).ok_or_else(|| unknown(name))?;
            let methods = service.methods.iter();
            methods
                .map(|method| format!("{}/{}", service.name, method.name))
                .collect()
        }
    };
    print(&if matches.get_flag("json") {
        format!("{}\n", Value::from(names))
    } else {
        names
            .iter()
            .fold(String::new(), |out, name| out + name + "\n")
    })?;
    Ok(FINE)
}

/// Shows one thing, or every service.
pub(crate) fn run(matches: &ArgMatches) -> Outcome {
    let catalogue = catalogue(matches)?;
    let name = matches.get_one::<String>("name");
    let name = name.map(|name| name.trim_start_matches(['.', '/']));
    let json = matches.get_flag("json");
    let text = match name {
        None if json => {
            let services = catalogue.services.iter().map(script::service);
            Value::from_iter(services).to_string() + "\n"
        }
        None => {
            let services = catalogue.services.iter().map(shown_service);
            services.collect::<Vec<_>>().join("\n")
        }
        Some(name) if json => {
            let found = script::shown(&catalogue, name).ok_or_else(|| unknown(name))?;
            found.to_string() + "\n"
        }
        Some(name) => shown(&catalogue, name).ok_or_else(|| unknown(name))?,
    };
    print(&if json {
        text
    } else {
        coloured(&text, Paint::of(matches, &stdout()))
    })?;
    Ok(FINE)
}

/// Lets keywords stand out, and comments stand back.
fn coloured(text: &str, paint: Paint) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        let words = line.trim_start();
        let (indent, first) = (
            &line[..line.len() - words.len()],
            words.split(' ').next().unwrap_or_default(),
        );
        out.push_str(indent);
        match first {
            "//" => out.push_str(&paint.faint(words)),
            "service" | "rpc" | "message" | "enum" | "oneof" => {
                out.push_str(&paint.word(first));
                out.push_str(&words[first.len()..]);
            }
            _ => out.push_str(words),
        }
        out.push_str(end);
    }
    out
}

fn catalogue(matches: &ArgMatches) -> Result<Catalogue, Failure> {
    let mut read = Err(Failure::input("nothing was read"));
    connection::block_on(async {
        let target = matches.get_one::<String>("target");
        let channel = target.map(|target| connection::channel(matches, target));
        read = schema::catalogue(matches, channel.transpose()?.as_ref(), None).await;
        Ok(FINE)
    })?;
    read
}

fn shown(catalogue: &Catalogue, name: &str) -> Option<String> {
    if let Some(service) = service(catalogue, name) {
        return Some(shown_service(service));
    }
    if let Some(message) = catalogue.messages.get(name) {
        return Some(shown_message(name, message));
    }
    if let Some(item) = catalogue.enums.get(name) {
        return Some(shown_enum(name, item));
    }
    method(catalogue, name).map(|method| shown_method(method, ""))
}

fn method<'a>(catalogue: &'a Catalogue, name: &str) -> Option<&'a MethodEntry> {
    let (of, method) = name.split_once('/').or_else(|| name.rsplit_once('.'))?;
    let mut methods = service(catalogue, of)?.methods.iter();
    methods.find(|known| known.name == method)
}

fn service<'a>(catalogue: &'a Catalogue, name: &str) -> Option<&'a ServiceEntry> {
    catalogue.services.iter().find(|known| known.name == name)
}

fn unknown(name: &str) -> Failure {
    Failure::input(format!("the schema has nothing called `{name}`"))
}

fn shown_service(service: &ServiceEntry) -> String {
    let mut out = comment(&service.docs, "");
    let _ = writeln!(out, "service {} {{", service.name);
    for method in &service.methods {
        out.push_str(&shown_method(method, "  "));
    }
    out + "}\n"
}

fn shown_method(method: &MethodEntry, indent: &str) -> String {
    let side = |streams: bool, name: &str| {
        let word = if streams { "stream " } else { "" };
        format!("{word}{name}")
    };
    format!(
        "{}{indent}rpc {}({}) returns ({});\n",
        comment(&method.docs, indent),
        method.name,
        side(method.client_streaming, &method.request),
        side(method.server_streaming, &method.response)
    )
}

fn shown_message(name: &str, message: &MessageEntry) -> String {
    let mut out = comment(&message.docs, "");
    let _ = writeln!(out, "message {name} {{");
    for (index, field) in message.fields.iter().enumerate() {
        match field.shape {
            EntryShape::Arm(oneof) => {
                let oneof = &message.oneofs[usize::from(oneof)];
                // The arms stand together, where the first of them does.
                if oneof.arms.first().map(|arm| usize::from(*arm)) == Some(index) {
                    let _ = writeln!(out, "  oneof {} {{", oneof.name);
                    for arm in &oneof.arms {
                        out.push_str(&shown_field(&message.fields[usize::from(*arm)], "    "));
                    }
                    out.push_str("  }\n");
                }
            }
            _ => out.push_str(&shown_field(field, "  ")),
        }
    }
    out + "}\n"
}

fn shown_field(field: &FieldEntry, indent: &str) -> String {
    let ty = match &field.ty {
        EntryType::Scalar(name) => (*name).to_owned(),
        EntryType::Enum(name) | EntryType::Message(name) => name.clone(),
    };
    let ty = match field.shape {
        EntryShape::List => format!("repeated {ty}"),
        EntryShape::Map(key) => format!("map<{key}, {ty}>"),
        EntryShape::Optional { .. } => format!("optional {ty}"),
        // That a message may be absent goes without saying.
        EntryShape::Nullable if matches!(field.ty, EntryType::Scalar(_)) => {
            format!("optional {ty}")
        }
        EntryShape::Nullable | EntryShape::Plain | EntryShape::Arm(_) => ty,
    };
    let docs = comment(&field.docs, indent);
    format!("{docs}{indent}{ty} {} = {};\n", field.name, field.number)
}

fn shown_enum(name: &str, item: &EnumEntry) -> String {
    let mut out = comment(&item.docs, "");
    let _ = writeln!(out, "enum {name} {{");
    for (number, value) in &item.values {
        let _ = writeln!(out, "  {value} = {number};");
    }
    out + "}\n"
}

/// A comment as a schema writes it, a line at a time.
fn comment(docs: &str, indent: &str) -> String {
    let lines = docs.trim_end().lines();
    lines.fold(String::new(), |out, line| {
        let line = format!("{indent}// {}", line.trim());
        out + line.trim_end() + "\n"
    })
}
