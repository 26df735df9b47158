//! From options and paths to files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::check;
use crate::diagnostic::{Diagnostics, Severity};
use crate::emit;
use crate::error::Error;
use crate::model::{self, Schema};
use crate::options::Builder;
use crate::parse::{self, Parsed};
use crate::report::LayoutReport;

/// Compiles the schema files at `paths` for use with `dreammesh::include_proto!`.
///
/// Call it from `build.rs`. Each file's imports are looked up below the directory that its package
/// path is relative to; [`Builder`] sets that and everything else.
///
/// # Errors
///
/// [`Error::Schema`] if a schema is at fault, with every finding's place; other variants if files
/// cannot be read or written.
pub fn compile<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<(), Error> {
    Builder::new().compile(paths)
}

/// What a compilation produces.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Output {
    /// The generated files, sorted by name.
    pub files: Vec<GeneratedFile>,
    /// What the schema states and nothing enforces.
    pub warnings: Diagnostics,
    /// The schema files read, imports included.
    pub inputs: Vec<PathBuf>,
}

/// One generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GeneratedFile {
    /// Its name in the output directory: the package's name with `.rs`, or with `.fds` for the
    /// encoded descriptor set beside it.
    pub name: String,
    /// Its contents.
    pub contents: Vec<u8>,
}

impl Builder {
    /// Compiles the schema files at `paths` and writes the result.
    ///
    /// # Errors
    ///
    /// As for [`compile`].
    pub fn compile<P: AsRef<Path>>(self, paths: impl IntoIterator<Item = P>) -> Result<(), Error> {
        let directory = match &self.options.out_dir {
            Some(directory) => directory.clone(),
            None => std::env::var_os("OUT_DIR")
                .map(PathBuf::from)
                .ok_or(Error::MissingOutDir)?,
        };
        let cargo = self
            .options
            .cargo
            .unwrap_or_else(|| self.options.out_dir.is_none());
        let paths = owned(paths);
        if cargo {
            // Said before anything can fail, so that a broken schema is looked at again.
            let watched = self.watched(&paths).into_iter();
            tell_cargo(watched.map(|path| format!("rerun-if-changed={}", path.display())));
        }
        let output = self.generate(&paths)?;
        for file in &output.files {
            write_if_changed(&directory.join(&file.name), &file.contents)?;
        }
        if cargo {
            let inputs = output.inputs.iter();
            tell_cargo(inputs.map(|path| format!("rerun-if-changed={}", path.display())));
            tell_cargo(
                output
                    .warnings
                    .iter()
                    .map(|w| format!("warning={}", w.one_line())),
            );
        }
        Ok(())
    }

    /// Compiles the schema files at `paths` and returns the result without writing it.
    ///
    /// # Errors
    ///
    /// As for [`compile`], except that nothing is written.
    pub fn generate<P: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Output, Error> {
        let (parsed, schema, warnings) = self.front(&owned(paths))?;
        let files = emit::emit(&schema, &self.options)?;
        let inputs = parsed
            .sources
            .values()
            .filter_map(|source| source.path.clone())
            .collect();
        Ok(Output {
            files,
            warnings,
            inputs,
        })
    }

    /// Parses and checks the schema files at `paths`, and returns the warnings.
    ///
    /// # Errors
    ///
    /// As for [`compile`], except that nothing is written.
    pub fn check<P: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Diagnostics, Error> {
        self.front(&owned(paths)).map(|(_, _, warnings)| warnings)
    }

    /// Reports where each value of each message lies, and the hashes that revisions are told apart
    /// by.
    ///
    /// # Errors
    ///
    /// As for [`compile`], except that nothing is written.
    pub fn layouts<P: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<LayoutReport, Error> {
        self.front(&owned(paths))
            .map(|(parsed, schema, _)| LayoutReport::of(&parsed, &schema))
    }

    pub(crate) fn parse(&self, paths: &[PathBuf]) -> Result<Parsed, Error> {
        match &self.options.descriptor_set {
            Some(bytes) => {
                let names = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect::<Vec<_>>();
                parse::parse_descriptor_set(bytes, &names)
            }
            None => parse::parse_files(paths, &self.includes(paths), &self.options.files),
        }
    }

    /// Parses, checks and models, which every use begins with.
    pub(crate) fn front(&self, paths: &[PathBuf]) -> Result<(Parsed, Schema, Diagnostics), Error> {
        let parsed = self.parse(paths)?;
        let mut found = Diagnostics::default();
        check::check(&parsed, &mut found);
        if found.has_errors() {
            return Err(Error::Schema(found));
        }
        let schema = model::build(&parsed, &mut found);
        if found.has_errors() {
            return Err(Error::Schema(found));
        }
        debug_assert!(
            found
                .iter()
                .all(|finding| finding.severity == Severity::Warning)
        );
        Ok((parsed, schema, found))
    }

    /// The files that `paths` name, as they are or below a directory of includes.
    ///
    /// Cargo runs a build script each time if it watches a file that is not there. That is right
    /// for a file that is missing, which is kept as it is named, and for nothing else.
    fn watched(&self, paths: &[PathBuf]) -> Vec<PathBuf> {
        if self.options.descriptor_set.is_some() {
            return Vec::new();
        }
        let find = |path: &PathBuf| {
            let includes = &self.options.includes;
            let whole = includes.iter().any(|root| path.starts_with(root));
            let below = includes.iter().map(|root| root.join(path));
            let mut places = below.filter(|_| !whole).chain([path.clone()]);
            places.find(|place| place.is_file())
        };
        let found = |path| find(path).unwrap_or_else(|| path.clone());
        paths.iter().map(found).collect()
    }

    fn includes(&self, paths: &[PathBuf]) -> Vec<PathBuf> {
        if !self.options.includes.is_empty() {
            return self.options.includes.clone();
        }
        let mut seen = BTreeSet::new();
        let roots = paths
            .iter()
            .map(|path| parse::proto_root(path, &self.options.files));
        roots.filter(|root| seen.insert(root.clone())).collect()
    }
}

pub(crate) fn owned<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Vec<PathBuf> {
    paths
        .into_iter()
        .map(|path| path.as_ref().to_owned())
        .collect()
}

/// Leaves an unchanged file alone, so that what depends on it is not built again.
fn write_if_changed(path: &Path, contents: &[u8]) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|present| present == contents) {
        return Ok(());
    }
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(path, contents).map_err(failed)
}

#[expect(
    clippy::print_stdout,
    reason = "standard output is how a build script talks to cargo"
)]
fn tell_cargo(lines: impl Iterator<Item = String>) {
    for line in lines {
        println!("cargo:{}", line.replace('\n', " "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_watches_the_files_themselves() {
        // A unit test runs in the directory of its package.
        let file = PathBuf::from("proto/dreammesh/options.proto");
        let (given, missing) = (
            PathBuf::from("dreammesh/options.proto"),
            PathBuf::from("no.proto"),
        );
        let names = [file.clone(), given, missing.clone()];
        let builder = Builder::new().include("proto");
        assert_eq!(builder.watched(&names), [file.clone(), file, missing]);
        assert!(
            builder
                .descriptor_set(Vec::new())
                .watched(&names)
                .is_empty()
        );
    }
}
