//! Checked schema in, Rust text out.
//!
//! Each package becomes one file of items without a module around them, for
//! `dreammesh::include_proto!`; what is declared inside a message lies in a module named after it.

mod attr;
mod case;
mod context;
mod enums;
mod message;
mod names;
mod oneof;
mod service;
mod table;
mod text;
mod types;

pub(crate) use self::table::oneofs;

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::quote;

use self::context::{Context, ident};
use self::names::package_modules;
use crate::error::Error;
use crate::model::{File, Message, Schema};
use crate::options::Options;
use crate::output::GeneratedFile;
use crate::raw;

/// Generates the code of every package that has something to generate.
pub(crate) fn emit(schema: &Schema, options: &Options) -> Result<Vec<GeneratedFile>, Error> {
    let cx = Context::new(schema, options)?;
    let mut packages: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
    for name in cx.files() {
        if let Some(file) = schema.files.get(name) {
            packages.entry(&file.package).or_default().push(file);
        }
    }
    let mut files = Vec::new();
    for (package, members) in &packages {
        let stem = file_stem(package);
        let items = emit_package(&cx, package, members)?;
        files.push(GeneratedFile {
            name: format!("{stem}.rs"),
            contents: print(&items)?.into_bytes(),
        });
        files.push(GeneratedFile {
            name: format!("{stem}.fds"),
            contents: descriptor_set(schema, members),
        });
    }
    if let Some(name) = &options.include_file {
        let packages: Vec<&str> = packages.keys().copied().collect();
        let contents = print(&include_file(&packages))?.into_bytes();
        files.push(GeneratedFile {
            name: name.clone(),
            contents,
        });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn emit_package(cx: &Context<'_>, package: &str, files: &[&File]) -> Result<TokenStream, Error> {
    let module = package_modules(package);
    let (rt, runtime) = (&cx.rt, &cx.runtime);
    let version = env!("CARGO_PKG_VERSION");
    let descriptors = format!("{}.fds", file_stem(package));
    let docs = if package.is_empty() {
        " The encoded descriptors of the files without a package, and of all they import."
            .to_owned()
    } else {
        format!(" The encoded descriptors of package `{package}`, and of all it imports.")
    };
    let mut items = quote! {
        use #runtime as #rt;

        const _: () = #rt::assert_generated_by(#version);

        #[doc = #docs]
        pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(#descriptors);
    };
    for file in files {
        items.extend(emit_types(cx, &file.messages, &file.enums, &module)?);
    }
    for service in files
        .iter()
        .filter(|file| file.generate)
        .flat_map(|file| &file.services)
    {
        items.extend(service::emit(cx, service, &module));
    }
    Ok(items)
}

fn emit_types(
    cx: &Context<'_>,
    messages: &[String],
    enums: &[String],
    module: &[String],
) -> Result<TokenStream, Error> {
    let mut items = TokenStream::new();
    for item in enums.iter().filter_map(|name| cx.schema.enums.get(name)) {
        if !cx.is_extern(&item.full_name) {
            items.extend(enums::emit(cx, item)?);
        }
    }
    for message in messages
        .iter()
        .filter_map(|name| cx.schema.messages.get(name))
    {
        if !cx.is_extern(&message.full_name) {
            items.extend(message::emit(cx, message, module)?);
            items.extend(emit_inner(cx, message, module)?);
        }
    }
    Ok(items)
}

/// Emits the module of what is declared inside a message; messages nest 32 deep at most.
fn emit_inner(
    cx: &Context<'_>,
    message: &Message,
    module: &[String],
) -> Result<TokenStream, Error> {
    let Some((_, names)) = cx.message(&message.full_name) else {
        return Ok(TokenStream::new());
    };
    if !message.has_inner() {
        return Ok(TokenStream::new());
    }
    let inner = [module, std::slice::from_ref(&names.inner)].concat();
    let oneofs = message::emit_oneofs(cx, message, &inner)?;
    let types = emit_types(cx, &message.messages, &message.enums, &inner)?;
    let docs = format!(" What is declared inside `{}`.", message.full_name);
    let name = ident(&names.inner);
    let same_name = module.last() == Some(&names.inner);
    // Every module that has anything in it names the runtime.
    let (allow, rt) = (attr::inner_module(same_name), &cx.rt);
    Ok(quote! {
        #[doc = #docs]
        #allow
        pub mod #name {
            use super::#rt;
            #oneofs
            #types
        }
    })
}

/// Encodes the descriptors of the files and of all they import, imports first.
fn descriptor_set(schema: &Schema, files: &[&File]) -> Vec<u8> {
    let mut done = BTreeSet::new();
    let mut out = Vec::new();
    // Each entry is a file being visited and how many of its imports are behind us.
    let mut path: Vec<(&File, usize)> = files.iter().rev().map(|file| (*file, 0)).collect();
    while let Some((file, next)) = path.last_mut() {
        let file = *file;
        if let Some(import) = file.imports.get(*next) {
            *next += 1;
            if !done.contains(&file.name) && !done.contains(import) {
                path.extend(schema.files.get(import).map(|import| (import, 0)));
            }
            continue;
        }
        path.pop();
        if done.insert(file.name.clone()) {
            // `FileDescriptorSet.file` is field 1.
            raw::push_bytes(&mut out, 1, &file.descriptor);
        }
    }
    out
}

/// Nests the packages' files in modules.
fn include_file(packages: &[&str]) -> TokenStream {
    let mut tree = Tree::default();
    for package in packages {
        let mut node = &mut tree;
        for part in package_modules(package) {
            node = node.children.entry(part).or_default();
        }
        node.file = Some((file_stem(package), (*package).to_owned()));
    }
    tree.emit()
}

#[derive(Default)]
struct Tree {
    file: Option<(String, String)>,
    children: BTreeMap<String, Self>,
}

impl Tree {
    /// Package names are as deep as they are long, and a name is bounded by its file.
    fn emit(&self) -> TokenStream {
        let own = self.file.as_ref().map(|(stem, _)| {
            let file = format!("{stem}.rs");
            quote!(include!(#file);)
        });
        let children = self.children.iter().map(|(name, child)| {
            let docs = match &child.file {
                Some((_, package)) => format!(" Package `{package}`."),
                None => " Packages below this name.".to_owned(),
            };
            let (name, inner) = (ident(name), child.emit());
            quote!(#[doc = #docs] pub mod #name { #inner })
        });
        quote!(#own #(#children)*)
    }
}

/// The name of a package's files; the package without a name has one that no package can have.
fn file_stem(package: &str) -> String {
    if package.is_empty() {
        "_".to_owned()
    } else {
        package.to_owned()
    }
}

fn print(items: &TokenStream) -> Result<String, Error> {
    let file: syn::File = syn::parse2(items.clone()).map_err(|error| Error::Internal {
        reason: format!("the generated code does not parse: {error}"),
    })?;
    Ok(format!(
        "{BANNER}{}",
        text::finish(&prettyplease::unparse(&file))
    ))
}

const BANNER: &str = "// Generated by dreammesh-codegen. Do not edit.\n\n";
