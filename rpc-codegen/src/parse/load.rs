//! Reads the files asked for and everything they import, each once.

use std::collections::{BTreeMap, BTreeSet};

use miette::Diagnostic as _;
use prost_reflect::prost_types::FileDescriptorProto;
use protox::file::{FileResolver as _, GoogleFileResolver};

use super::report;
use super::scan::{NESTING_MAX, scan};
use super::source::{Finder, Source, Sources};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::error::Error;

/// Every file reached, in an order in which each follows its imports.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) sources: Sources,
    pub(super) files: Vec<FileDescriptorProto>,
}

/// Loads `names` and their imports, and reports every file that cannot be used.
pub(super) fn load(
    finder: &Finder<'_>,
    names: &[String],
    found: &mut Diagnostics,
) -> Result<Loaded, Error> {
    let mut loader = Loader {
        finder,
        sources: Sources::new(),
        parsed: BTreeMap::new(),
        found,
    };
    for name in names {
        loader.reach(name)?;
    }
    let order = loader.order(names);
    let Loader {
        sources,
        mut parsed,
        ..
    } = loader;
    let files = order
        .iter()
        .filter_map(|name| parsed.remove(name).flatten())
        .collect();
    Ok(Loaded { sources, files })
}

struct Loader<'a> {
    finder: &'a Finder<'a>,
    sources: Sources,
    /// Files by import name; `None` marks one that is reported and unusable.
    parsed: BTreeMap<String, Option<FileDescriptorProto>>,
    found: &'a mut Diagnostics,
}

impl Loader<'_> {
    /// Parses a file and everything below it. The work list replaces recursion, so that a chain of
    /// imports cannot exhaust the stack.
    fn reach(&mut self, root: &str) -> Result<(), Error> {
        let mut waiting: Vec<(String, Option<Place>)> = vec![(root.to_owned(), None)];
        while let Some((name, imported_at)) = waiting.pop() {
            if self.parsed.contains_key(&name) {
                continue;
            }
            let file = self.open(&name, imported_at)?;
            if let Some(file) = &file {
                let source = self.sources.get(&name);
                for (index, import) in file.dependency.iter().enumerate() {
                    let at = source.and_then(|source| import_place(source, file, index));
                    waiting.push((import.clone(), at));
                }
            }
            self.parsed.insert(name, file);
        }
        Ok(())
    }

    fn open(
        &mut self,
        name: &str,
        imported_at: Option<Place>,
    ) -> Result<Option<FileDescriptorProto>, Error> {
        if let Some(source) = self.finder.read(name)? {
            let file = self.parse(name, &source);
            self.sources.insert(name.to_owned(), source);
            return Ok(file);
        }
        if let Ok(file) = GoogleFileResolver::new().open_file(name) {
            return Ok(Some(file.into()));
        }
        self.found.push(
            Diagnostic::error(format!("cannot find `{name}`"))
                .at(imported_at)
                .label("imported here")
                .help("imports are looked up below the include directories, in their order"),
        );
        Ok(None)
    }

    fn parse(&mut self, name: &str, source: &Source) -> Option<FileDescriptorProto> {
        let seen = scan(&source.text);
        if let Some(span) = seen.edition {
            self.found.push(
                Diagnostic::error("an edition cannot be compiled from source")
                    .at(Some(source.place(span)))
                    .label("expected `syntax = \"proto3\";`")
                    .help(
                        "run `protoc --include_imports --descriptor_set_out=…` and give the result \
                         to `Builder::descriptor_set`",
                    ),
            );
            return None;
        }
        if let Some(span) = seen.too_deep {
            self.found.push(
                Diagnostic::error("this nests too deeply")
                    .at(Some(source.place(span)))
                    .label(format!("expected at most {NESTING_MAX} levels of brackets")),
            );
            return None;
        }
        match protox_parse::parse(name, &source.text) {
            Ok(file) => Some(file),
            Err(error) => {
                report::push(self.found, source, &error);
                for related in error.related().into_iter().flatten() {
                    report::push(self.found, source, related);
                }
                None
            }
        }
    }

    /// Orders the files so that imports come first, and reports cycles.
    fn order(&mut self, names: &[String]) -> Vec<String> {
        let mut order = Vec::new();
        let mut done = BTreeSet::new();
        for name in names {
            // Each entry is a file being visited and how many of its imports are behind us.
            let mut path = vec![(name.clone(), 0_usize)];
            while let Some((name, next)) = path.last_mut() {
                let file = self.parsed.get(name.as_str()).and_then(Option::as_ref);
                let Some(import) = file.and_then(|file| file.dependency.get(*next)).cloned() else {
                    if file.is_some() && done.insert(name.clone()) {
                        order.push(name.clone());
                    }
                    path.pop();
                    continue;
                };
                let (name, index) = (name.clone(), *next);
                *next += 1;
                if path.iter().any(|(visited, _)| *visited == import) {
                    self.report_cycle(&path, &name, index, &import);
                } else if !done.contains(&import) {
                    path.push((import, 0));
                }
            }
        }
        order
    }

    fn report_cycle(&mut self, path: &[(String, usize)], name: &str, index: usize, import: &str) {
        let cycle = path.iter().map(|(name, _)| name.as_str());
        let cycle: Vec<&str> = cycle
            .skip_while(|name| *name != import)
            .chain([import])
            .collect();
        let file = self.parsed.get(name).and_then(Option::as_ref);
        let source = self.sources.get(name);
        let place = source
            .zip(file)
            .and_then(|(source, file)| import_place(source, file, index));
        self.found.push(
            Diagnostic::error("these files import each other")
                .at(place)
                .label("this import closes the cycle")
                .note(cycle.join(" -> ")),
        );
    }
}

/// Finds where a file states its import number `index`.
fn import_place(source: &Source, file: &FileDescriptorProto, index: usize) -> Option<Place> {
    const DEPENDENCY: i32 = 3;
    let path = [DEPENDENCY, i32::try_from(index).ok()?];
    let info = file.source_code_info.as_ref()?;
    let location = info
        .location
        .iter()
        .find(|location| location.path == path)?;
    source.place_of_info(&location.span)
}
