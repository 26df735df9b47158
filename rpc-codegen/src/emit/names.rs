//! Which Rust name each element gets, decided once for the whole schema.
//!
//! Names are given out per module in a fixed order: what the schema declares first, what is derived
//! from it after. A name that is taken gets underscores until it is free, so the same schema always
//! yields the same names, and adding a derived name never renames a declared one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::case::{camel, escape, snake, upper};
use crate::model::{Enum, Message, Schema, Service};

/// The names of everything in a schema.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) messages: HashMap<String, MessageNames>,
    pub(super) enums: HashMap<String, EnumNames>,
    pub(super) services: HashMap<String, ServiceNames>,
    /// The type names declared in each module, by module path.
    declared: BTreeMap<Vec<String>, BTreeSet<String>>,
}

/// What a message is called.
#[derive(Debug, Default)]
pub(super) struct MessageNames {
    /// The module that holds the struct: the package's segments and the parents' modules.
    pub(super) module: Vec<String>,
    pub(super) owned: String,
    pub(super) view: String,
    pub(super) args: String,
    /// The static that holds the field table.
    pub(super) layout: String,
    /// The module for what is declared inside the message.
    pub(super) inner: String,
    /// By index into the message's fields.
    pub(super) fields: Vec<String>,
    /// By index into the message's fields, for those in a oneof; empty otherwise.
    pub(super) variants: Vec<String>,
    pub(super) oneofs: Vec<OneofNames>,
}

/// What a oneof is called.
#[derive(Debug, Default)]
pub(super) struct OneofNames {
    pub(super) field: String,
    pub(super) owned: String,
    pub(super) view: String,
    pub(super) args: String,
}

/// What an enum is called.
#[derive(Debug, Default)]
pub(super) struct EnumNames {
    pub(super) module: Vec<String>,
    pub(super) name: String,
    pub(super) values: Vec<String>,
}

/// What a service is called.
#[derive(Debug, Default)]
pub(super) struct ServiceNames {
    pub(super) name: String,
    pub(super) server: String,
    pub(super) client: String,
    /// The static that holds the method table.
    pub(super) table: String,
    pub(super) methods: Vec<MethodNames>,
}

/// What a method is called on the two sides, which have different names of their own to avoid.
#[derive(Debug, Default)]
pub(super) struct MethodNames {
    pub(super) server: String,
    pub(super) client: String,
}

impl Names {
    pub(super) fn of(schema: &Schema) -> Self {
        let mut names = Self::default();
        let packages: BTreeSet<&str> = schema
            .files
            .values()
            .map(|file| file.package.as_str())
            .collect();
        for package in &packages {
            names.package(schema, package, &packages);
        }
        names
    }

    /// Says whether the module declares a type of this name, which then hides the prelude's.
    pub(super) fn declares(&self, module: &[String], name: &str) -> bool {
        self.declared
            .get(module)
            .is_some_and(|declared| declared.contains(name))
    }

    fn package(&mut self, schema: &Schema, package: &str, packages: &BTreeSet<&str>) {
        let path = package_modules(package);
        let mut scope = Scope::default();
        for child in packages
            .iter()
            .filter_map(|other| child_segment(package, other))
        {
            scope.modules.insert(child);
        }
        let files: Vec<_> = schema
            .files
            .values()
            .filter(|file| file.package == package)
            .collect();
        let messages = files.iter().flat_map(|file| &file.messages);
        let messages: Vec<&Message> = messages
            .filter_map(|name| schema.messages.get(name))
            .collect();
        let enums = files.iter().flat_map(|file| &file.enums);
        let enums: Vec<&Enum> = enums.filter_map(|name| schema.enums.get(name)).collect();
        let services = files.iter().flat_map(|file| &file.services);
        self.module(schema, &path, &mut scope, &messages, &enums);
        for service in services {
            let named = scope.service(service);
            self.services.insert(service.full_name.clone(), named);
        }
        self.declared.insert(path, scope.types);
    }

    /// Names what one module holds, then what the modules inside it hold.
    fn module(
        &mut self,
        schema: &Schema,
        path: &[String],
        scope: &mut Scope,
        messages: &[&Message],
        enums: &[&Enum],
    ) {
        let owned: Vec<String> = messages.iter().map(|m| scope.ty(&camel(&m.name))).collect();
        for item in enums {
            let name = scope.ty(&camel(&item.name));
            let values = value_names(item);
            let named = EnumNames {
                module: path.to_vec(),
                name,
                values,
            };
            self.enums.insert(item.full_name.clone(), named);
        }
        let mut inner = Vec::new();
        for (message, owned) in messages.iter().zip(owned) {
            let mut named = MessageNames {
                module: path.to_vec(),
                view: scope.ty(&format!("{}View", stem(&owned))),
                args: scope.ty(&format!("{}Args", stem(&owned))),
                layout: scope.constant(&format!("{}_LAYOUT", upper(stem(&owned)))),
                owned,
                ..MessageNames::default()
            };
            if message.has_inner() {
                named.inner = scope.module(&snake(&message.name));
            }
            field_names(message, &mut named);
            inner.push((*message, named));
        }
        for (message, mut named) in inner {
            if message.has_inner() {
                self.inner(schema, path, message, &mut named);
            }
            self.messages.insert(message.full_name.clone(), named);
        }
    }

    fn inner(
        &mut self,
        schema: &Schema,
        path: &[String],
        message: &Message,
        named: &mut MessageNames,
    ) {
        let path = [path, std::slice::from_ref(&named.inner)].concat();
        let mut scope = Scope::default();
        let messages = message
            .messages
            .iter()
            .filter_map(|name| schema.messages.get(name));
        let enums = message
            .enums
            .iter()
            .filter_map(|name| schema.enums.get(name));
        let (messages, enums): (Vec<_>, Vec<_>) = (messages.collect(), enums.collect());
        self.module(schema, &path, &mut scope, &messages, &enums);
        for (oneof, names) in message.oneofs.iter().zip(&mut named.oneofs) {
            names.owned = scope.ty(&camel(&oneof.name));
        }
        for names in &mut named.oneofs {
            names.view = scope.ty(&format!("{}View", stem(&names.owned)));
            names.args = scope.ty(&format!("{}Args", stem(&names.owned)));
        }
        self.declared.insert(path, scope.types);
    }
}

impl Message {
    /// Says whether anything lives in a module of the message's own.
    pub(super) fn has_inner(&self) -> bool {
        !(self.messages.is_empty() && self.enums.is_empty() && self.oneofs.is_empty())
    }
}

/// Returns the modules a package lies in.
pub(super) fn package_modules(package: &str) -> Vec<String> {
    package
        .split('.')
        .filter(|part| !part.is_empty())
        .map(|part| escape(&snake(part)))
        .collect()
}

/// Returns the module that `other` lies in directly below `package`, if it does.
fn child_segment(package: &str, other: &str) -> Option<String> {
    let rest = if package.is_empty() {
        other
    } else {
        other.strip_prefix(package)?.strip_prefix('.')?
    };
    let segment = rest
        .split('.')
        .next()
        .filter(|segment| !segment.is_empty())?;
    Some(escape(&snake(segment)))
}

/// The names taken in one module. Types and modules share a namespace in Rust, but differ in case.
#[derive(Default)]
struct Scope {
    types: BTreeSet<String>,
    modules: BTreeSet<String>,
    constants: BTreeSet<String>,
}

impl Scope {
    fn ty(&mut self, wanted: &str) -> String {
        claim(&mut self.types, wanted)
    }

    fn module(&mut self, wanted: &str) -> String {
        claim(&mut self.modules, &escape(wanted))
    }

    fn constant(&mut self, wanted: &str) -> String {
        claim(&mut self.constants, wanted)
    }

    fn service(&mut self, service: &Service) -> ServiceNames {
        let name = self.ty(&camel(&service.name));
        let server = self.ty(&format!("{}Server", stem(&name)));
        let client = self.ty(&format!("{}Client", stem(&name)));
        let table = self.constant(&format!("{}_METHODS", upper(stem(&name))));
        let mut on_server = BTreeSet::new();
        let mut on_client: BTreeSet<String> = CLIENT_METHODS.map(str::to_owned).into();
        let methods = service.methods.iter().map(|method| {
            let wanted = escape(&snake(&method.name));
            MethodNames {
                server: claim(&mut on_server, &wanted),
                client: claim(&mut on_client, &wanted),
            }
        });
        let methods = methods.collect();
        ServiceNames {
            name,
            server,
            client,
            table,
            methods,
        }
    }
}

/// What derived names begin with: no underscores in their middle, which are no camel case.
fn stem(name: &str) -> &str {
    name.trim_end_matches('_')
}

/// Takes a name, with underscores added until it is free.
fn claim(taken: &mut BTreeSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    while !taken.insert(name.clone()) {
        // A keyword with an underscore is none any more.
        name = format!("{}_", name.trim_start_matches("r#"));
    }
    name
}

/// Names fields and oneofs. One name serves the owned struct, the view and the arguments, so it
/// also avoids the methods every view has.
fn field_names(message: &Message, named: &mut MessageNames) {
    let mut taken: BTreeSet<String> = VIEW_METHODS.map(str::to_owned).into();
    named.fields = vec![String::new(); message.fields.len()];
    named.variants = vec![String::new(); message.fields.len()];
    for (index, field) in message
        .fields
        .iter()
        .enumerate()
        .filter(|(_, f)| f.oneof.is_none())
    {
        named.fields[index] = claim(&mut taken, &escape(&snake(&field.name)));
    }
    for oneof in &message.oneofs {
        let field = claim(&mut taken, &escape(&snake(&oneof.name)));
        // A view's oneof has an arm of its own for numbers it does not know.
        let mut variants = BTreeSet::from(["Unknown".to_owned()]);
        for &index in &oneof.fields {
            named.variants[index] = claim(&mut variants, &camel(&message.fields[index].name));
        }
        named.oneofs.push(OneofNames {
            field,
            ..OneofNames::default()
        });
    }
}

/// Names an enum's constants, without the enum's own name in front if every value repeats it.
fn value_names(item: &Enum) -> Vec<String> {
    let full: Vec<String> = item.values.iter().map(|value| upper(&value.name)).collect();
    let prefix = format!("{}_", upper(&item.name));
    let short: Option<Vec<String>> = full
        .iter()
        .map(|name| {
            let rest = name.strip_prefix(&prefix)?;
            rest.starts_with(|c: char| c.is_ascii_alphabetic())
                .then(|| rest.to_owned())
        })
        .collect();
    let wanted = match short {
        Some(short) if short.iter().collect::<BTreeSet<_>>().len() == short.len() => short,
        _ => full,
    };
    let mut taken = BTreeSet::new();
    wanted.iter().map(|name| claim(&mut taken, name)).collect()
}

/// What every view has besides the fields' accessors, and every owned struct besides its fields.
const VIEW_METHODS: [&str; 7] = [
    "into_owned",
    "unknown_fields",
    "table",
    "to_json",
    "from_json",
    "encode",
    "borrowed",
];

/// What every client has besides the methods of the service.
const CLIENT_METHODS: [&str; 4] = ["new", "in_process", "channel", "clone"];
