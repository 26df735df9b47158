//! Text in, checked descriptors out.
//!
//! Parsing is `protox-parse`'s, name resolution and option interpretation are `prost-reflect`'s;
//! finding files, bounding hostile input and reporting are ours.

mod editions;
mod files;
mod load;
mod report;
mod scan;
mod source;

use std::path::{Path, PathBuf};

use miette::Diagnostic as _;
use prost_reflect::{DescriptorPool, FileDescriptor};

pub(crate) use self::files::Files;
use self::source::Finder;
pub(crate) use self::source::{Sources, is_shipped};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::error::Error;

/// The files of one compilation, resolved against each other.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// Every file reached, with custom options interpreted.
    pub(crate) pool: DescriptorPool,
    /// The import names of the files to generate code for, in the order given.
    pub(crate) roots: Vec<String>,
    /// The texts, for diagnostics and comments; empty for a descriptor set.
    pub(crate) sources: Sources,
}

/// Parses the files at `paths` and all they import.
pub(crate) fn parse_files(
    paths: &[PathBuf],
    includes: &[PathBuf],
    files: &Files,
) -> Result<Parsed, Error> {
    guarded(|| parse_here(paths, &Finder::new(includes, files)))
}

/// Takes the files of an encoded `FileDescriptorSet`; the ones named, or all.
pub(crate) fn parse_descriptor_set(bytes: &[u8], names: &[String]) -> Result<Parsed, Error> {
    guarded(|| decode_set(bytes, names)).map_err(|error| match error {
        // No source of ours is involved, so a library that gives up says that the set is broken.
        Error::Internal { reason } => Error::DescriptorSet { reason },
        other => other,
    })
}

/// Runs code of the parser libraries on a thread of its own.
fn guarded(work: impl FnOnce() -> Result<Parsed, Error> + Send) -> Result<Parsed, Error> {
    // The parser recurses a little on nested declarations; a stack of known size, together with the
    // bound on nesting, makes that independent of the caller's thread.
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new()
            .name("parse".into())
            .stack_size(STACK_BYTES);
        let thread = builder
            .spawn_scoped(scope, work)
            .map_err(|error| Error::Internal {
                reason: format!("cannot start a thread: {error}"),
            })?;
        thread.join().unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let reason = format!(
                "the parser panicked: {}",
                text.unwrap_or("for no stated reason")
            );
            Err(Error::Internal { reason })
        })
    })
}

fn decode_set(bytes: &[u8], names: &[String]) -> Result<Parsed, Error> {
    let bytes = editions::lower(bytes)?;
    let pool = DescriptorPool::decode(bytes.as_slice()).map_err(|error| Error::DescriptorSet {
        reason: format!("{error:?}"),
    })?;
    let roots = if names.is_empty() {
        pool.files().map(|file| file.name().to_owned()).collect()
    } else {
        names.to_vec()
    };
    if let Some(missing) = roots
        .iter()
        .find(|name| pool.get_file_by_name(name).is_none())
    {
        return Err(Error::DescriptorSet {
            reason: format!("it holds no file `{missing}`"),
        });
    }
    Ok(Parsed {
        pool,
        roots,
        sources: Sources::new(),
    })
}

/// Finds the directory that a file's imports are relative to, judging by its package and imports.
///
/// For `proto/shop/v1/catalog.proto` of package `shop.v1` that is `proto`.
pub(crate) fn proto_root(path: &Path, files: &Files) -> PathBuf {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let Some(text) = files.read(path).ok().flatten() else {
        return dir.to_owned();
    };
    if scan::scan(&text) != scan::Scan::default() {
        return dir.to_owned();
    }
    let Ok(file) = protox_parse::parse("root", &text) else {
        return dir.to_owned();
    };
    let package: PathBuf = file.package().split('.').collect();
    let by_package = dir.ancestors().nth(package.components().count());
    let root = match by_package {
        Some(root) if !file.package().is_empty() && dir.ends_with(&package) => root,
        _ => dir,
    };
    let root = if root.as_os_str().is_empty() {
        Path::new(".")
    } else {
        root
    };
    let lost = file
        .dependency
        .iter()
        .find(|import| !is_shipped(import) && !files.is_file(&root.join(import)));
    let holding =
        lost.and_then(|import| dir.ancestors().find(|up| files.is_file(&up.join(import))));
    match holding {
        Some(up) if up.as_os_str().is_empty() => PathBuf::from("."),
        Some(up) => up.to_owned(),
        None => root.to_owned(),
    }
}

fn parse_here(paths: &[PathBuf], finder: &Finder<'_>) -> Result<Parsed, Error> {
    let mut found = Diagnostics::default();
    let mut roots = Vec::new();
    for path in paths {
        match finder.name_of(path) {
            Some(name) if !roots.contains(&name) => roots.push(name),
            Some(_) => {}
            None => found.push(
                Diagnostic::error(format!("`{}` is in no include directory", path.display()))
                    .note(format!(
                        "the include directories are {:?}",
                        finder.includes()
                    ))
                    .help("name one of its parent directories with `Builder::include`, or `-I`"),
            ),
        }
    }
    let loaded = load::load(finder, &roots, &mut found)?;
    let pool = resolve(loaded.files, &loaded.sources, &mut found);
    if found.has_errors() {
        return Err(Error::Schema(found));
    }
    Ok(Parsed {
        pool,
        roots,
        sources: loaded.sources,
    })
}

/// Adds the files to a pool, which resolves names and options, and reports what does not resolve.
fn resolve(
    files: Vec<prost_reflect::prost_types::FileDescriptorProto>,
    sources: &Sources,
    found: &mut Diagnostics,
) -> DescriptorPool {
    let mut pool = DescriptorPool::new();
    for file in files {
        // Reporting a file whose import is already reported would only repeat the cause.
        if file
            .dependency
            .iter()
            .any(|import| pool.get_file_by_name(import).is_none())
        {
            continue;
        }
        let name = file.name().to_owned();
        let Err(error) = pool.add_file_descriptor_proto(file) else {
            continue;
        };
        let Some(source) = sources.get(&name) else {
            found.push(Diagnostic::error(format!("{name}: {error}")));
            continue;
        };
        let error = error.with_source_code(&source.text);
        report::push(found, source, &error);
        for related in error.related().into_iter().flatten() {
            report::push(found, source, related);
        }
    }
    pool
}

/// Finds the place of the element that `path` names in a file's descriptor, or of what it is in.
pub(crate) fn place_under(
    sources: &Sources,
    file: &FileDescriptor,
    path: &[i32],
    outer: &[i32],
) -> Option<Place> {
    let source = sources.get(file.name())?;
    let info = file.file_descriptor_proto().source_code_info.as_ref()?;
    let find = |wanted: &dyn Fn(&[i32]) -> bool| {
        info.location.iter().find(|location| wanted(&location.path))
    };
    let location = find(&|at| at == path)
        .or_else(|| find(&|at| at.starts_with(path)))
        .or_else(|| find(&|at| at == outer))?;
    source.place_of_info(&location.span)
}

/// The stack of the parsing thread. Only address space is reserved; what the deepest accepted input
/// takes is far below it even in a debug build, which the robustness test shows.
const STACK_BYTES: usize = 32 << 20;
