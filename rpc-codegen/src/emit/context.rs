//! What every part of the emitter needs: names, paths and the choice of what is generated.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::names::{MessageNames, Names, package_modules};
use crate::error::Error;
use crate::model::{Message, Schema, Type};
use crate::options::Options;

/// The schema with its names, and the paths through which the generated code reaches the rest.
pub(super) struct Context<'a> {
    pub(super) schema: &'a Schema,
    pub(super) options: &'a Options,
    pub(super) names: Names,
    /// The name that each generated module has for the runtime, and what it stands for.
    pub(super) rt: Ident,
    pub(super) runtime: syn::Path,
    externs: Vec<Extern>,
}

/// A protobuf name whose Rust types exist elsewhere.
struct Extern {
    /// The full name, without a leading dot; empty for everything.
    proto: String,
    rust: syn::Path,
}

/// Which of a message's types is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Owned,
    View,
    Args,
}

impl<'a> Context<'a> {
    pub(super) fn new(schema: &'a Schema, options: &'a Options) -> Result<Self, Error> {
        let runtime = parse_path("runtime", &options.runtime)?;
        let mut externs = Vec::new();
        if !options.well_known_types {
            let rust = parse_path("runtime", &format!("{RUNTIME}::wkt"))?;
            externs.push(Extern {
                proto: "google.protobuf".to_owned(),
                rust,
            });
        }
        for (proto, rust) in &options.extern_paths {
            let Some(name) = proto.strip_prefix('.') else {
                let reason = format!("`{proto}` does not begin with a dot");
                return Err(Error::Option {
                    name: "extern_path",
                    reason,
                });
            };
            let rust = parse_path("extern_path", rust)?;
            externs.push(Extern {
                proto: name.to_owned(),
                rust,
            });
        }
        // Later options win over earlier ones, and longer names over shorter.
        externs.reverse();
        externs.sort_by_key(|item| std::cmp::Reverse(item.proto.len()));
        Ok(Self {
            schema,
            options,
            names: Names::of(schema),
            rt: ident(RUNTIME),
            runtime,
            externs,
        })
    }

    pub(super) fn is_extern(&self, full_name: &str) -> bool {
        self.find_extern(full_name).is_some()
    }

    fn find_extern(&self, full_name: &str) -> Option<&Extern> {
        self.externs
            .iter()
            .find(|item| covers(&item.proto, full_name))
    }

    /// Finds the files whose types are generated: those asked for, and those their types need.
    pub(super) fn files(&self) -> BTreeSet<&'a str> {
        let schema = self.schema;
        let mut file_of = std::collections::HashMap::new();
        for (name, file) in &schema.files {
            let mut types: Vec<&str> = file
                .messages
                .iter()
                .chain(&file.enums)
                .map(String::as_str)
                .collect();
            while let Some(full_name) = types.pop() {
                file_of.insert(full_name, name.as_str());
                if let Some(message) = schema.messages.get(full_name) {
                    types.extend(
                        message
                            .messages
                            .iter()
                            .chain(&message.enums)
                            .map(String::as_str),
                    );
                }
            }
        }
        let asked = schema.files.iter().filter(|(_, file)| file.generate);
        let mut waiting: Vec<&str> = asked.map(|(name, _)| name.as_str()).collect();
        let mut reached = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            if !reached.insert(name) {
                continue;
            }
            for used in self.uses(name) {
                if !self.is_extern(used) {
                    waiting.extend(file_of.get(used));
                }
            }
        }
        reached
    }

    /// Lists the types that the code of a file names.
    fn uses(&self, file: &str) -> Vec<&'a str> {
        let Some(file) = self.schema.files.get(file) else {
            return Vec::new();
        };
        let mut used = Vec::new();
        let mut messages: Vec<&str> = file.messages.iter().map(String::as_str).collect();
        while let Some(message) = messages
            .pop()
            .and_then(|name| self.schema.messages.get(name))
        {
            used.extend(message.fields.iter().filter_map(|field| field.ty.name()));
            messages.extend(message.messages.iter().map(String::as_str));
        }
        if file.generate {
            for method in file.services.iter().flat_map(|service| &service.methods) {
                used.extend([method.input.as_str(), method.output.as_str()]);
            }
        }
        used
    }

    pub(super) fn message(&self, full_name: &str) -> Option<(&'a Message, &MessageNames)> {
        self.schema
            .messages
            .get(full_name)
            .zip(self.names.messages.get(full_name))
    }

    /// Returns the path from module `from` to one of a message's types, without lifetime.
    pub(super) fn message_path(&self, from: &[String], name: &str, role: Role) -> TokenStream {
        let Some(names) = self.names.messages.get(name) else {
            return quote!(());
        };
        let ident = match role {
            Role::Owned => &names.owned,
            Role::View => &names.view,
            Role::Args => &names.args,
        };
        self.path(from, name, &names.module, ident, &names.owned)
    }

    /// Returns an expression for the kind of a field that holds a message.
    pub(super) fn message_kind(&self, from: &[String], name: &str) -> TokenStream {
        if self.is_extern(name) {
            let owned = self.message_path(from, name, Role::Owned);
            let rt = &self.rt;
            return quote!(#rt::Kind::of::<#owned>());
        }
        let Some(names) = self.names.messages.get(name) else {
            return quote!(());
        };
        // A table names another through its static, since messages may contain each other and
        // constants may not.
        let path = self.path(from, name, &names.module, &names.layout, &names.owned);
        let rt = &self.rt;
        quote!(#rt::Kind::Message(&#path))
    }

    pub(super) fn enum_path(&self, from: &[String], name: &str) -> TokenStream {
        let Some(names) = self.names.enums.get(name) else {
            return quote!(());
        };
        self.path(from, name, &names.module, &names.name, &names.name)
    }

    /// Returns the path to `ident`, which stands beside the element called `owned`.
    fn path(
        &self,
        from: &[String],
        full_name: &str,
        module: &[String],
        name: &str,
        owned: &str,
    ) -> TokenStream {
        match self.find_extern(full_name) {
            Some(item) => self.extern_path(item, module, name, owned),
            None => {
                let common = from.iter().zip(module).take_while(|(a, b)| a == b).count();
                let up = std::iter::repeat_n(quote!(super::), from.len() - common);
                let down = module[common..].iter().map(|part| ident(part));
                let name = ident(name);
                quote!(#(#up)* #(#down::)* #name)
            }
        }
    }

    fn extern_path(
        &self,
        item: &Extern,
        module: &[String],
        name: &str,
        owned: &str,
    ) -> TokenStream {
        let base = &item.rust;
        let ident_of = ident(name);
        let Some((message, names)) = self.message(&item.proto) else {
            if self.schema.enums.contains_key(&item.proto) {
                return quote!(#base);
            }
            let skip = package_modules(&item.proto).len();
            let down = module.iter().skip(skip).map(|part| ident(part));
            return quote!(#base #(::#down)* ::#ident_of);
        };
        // The path stands for one message, so what lies beside or inside it is found from there.
        let mut beside = base.clone();
        beside.segments.pop();
        let last = base
            .segments
            .last()
            .map(|segment| segment.ident.to_string());
        let last = last.unwrap_or_default();
        if module.len() == names.module.len() {
            let suffix = name
                .strip_prefix(owned.trim_end_matches('_'))
                .unwrap_or_default();
            let renamed = ident(&format!("{last}{suffix}"));
            return quote!(#beside #renamed);
        }
        let _ = message;
        let down = module
            .iter()
            .skip(names.module.len())
            .map(|part| ident(part));
        quote!(#beside #(#down::)* #ident_of)
    }

    /// Says whether a singular field of the type is an `Option` of a primitive.
    pub(super) fn wrapper(&self, ty: &Type) -> Option<&'a crate::model::Field> {
        let Type::Message(name) = ty else { return None };
        let short = name.strip_prefix("google.protobuf.")?;
        let is_wrapper = WRAPPERS.contains(&short);
        let message = is_wrapper.then(|| self.schema.messages.get(name))??;
        message.fields.first()
    }

    /// Returns the attributes an option puts on what `full_name` names.
    pub(super) fn attributes(
        list: &[(String, String)],
        full_name: &str,
    ) -> Result<Vec<syn::Attribute>, Error> {
        let mut out = Vec::new();
        for (proto, text) in list {
            let Some(name) = proto.strip_prefix('.') else {
                let reason = format!("`{proto}` does not begin with a dot");
                return Err(Error::Option {
                    name: "attribute",
                    reason,
                });
            };
            if covers(name, full_name) {
                let parsed = syn::parse::Parser::parse_str(syn::Attribute::parse_outer, text);
                out.extend(parsed.map_err(|error| Error::Option {
                    name: "attribute",
                    reason: format!("`{text}` is no outer attribute: {error}"),
                })?);
            }
        }
        Ok(out)
    }
}

/// Says whether `outer` is `name` or something that contains it; the empty name contains all.
fn covers(outer: &str, name: &str) -> bool {
    outer.is_empty()
        || name
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn parse_path(option: &'static str, text: &str) -> Result<syn::Path, Error> {
    let parsed = syn::parse::Parser::parse_str(syn::Path::parse_mod_style, text);
    parsed.map_err(|error| Error::Option {
        name: option,
        reason: format!("`{text}` is no Rust path: {error}"),
    })
}

/// Makes an identifier of a name that may be raw.
pub(super) fn ident(name: &str) -> Ident {
    match name.strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, Span::call_site()),
        None => Ident::new(name, Span::call_site()),
    }
}

/// What generated code calls the runtime: no schema's module does, since two underscores in a row
/// are no snake case.
const RUNTIME: &str = "__rt";

/// The messages that stand for an optional primitive.
const WRAPPERS: [&str; 9] = [
    "DoubleValue",
    "FloatValue",
    "Int64Value",
    "UInt64Value",
    "Int32Value",
    "UInt32Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
];
