//! Finds the earlier revision that files are compared with.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use dreammesh_codegen::Builder;

use super::git::Revision;
use super::{including, paths};
use crate::outcome::{Failure, note};

/// An earlier revision: who reads it, and what of it.
pub(super) struct Earlier {
    pub(super) builder: Builder,
    pub(super) files: Vec<PathBuf>,
}

/// Finds what `--against` means: a file if there is one of this name, else a revision.
pub(super) fn find(matches: &ArgMatches, files: &[PathBuf]) -> Result<Earlier, Failure> {
    let Some(against) = matches.get_one::<String>("against") else {
        return Err(Failure::input("an earlier revision is missing"));
    };
    let path = Path::new(against);
    if path.is_file() {
        return file(path, &paths(matches, "against-include"));
    }
    let looks_like_a_file = path.extension().is_some() && !against.contains(['~', '^', '@']);
    if path.is_dir() {
        let text = format!("`{against}` is a directory: name a file in it, or a git revision");
        return Err(Failure::input(text));
    }
    revision(against, files, &paths(matches, "include")).map_err(|failure| {
        if looks_like_a_file {
            return Failure::input(format!("there is no file `{against}`, and {failure}"));
        }
        Failure::input(failure)
    })
}

fn file(path: &Path, includes: &[PathBuf]) -> Result<Earlier, Failure> {
    if path
        .extension()
        .is_some_and(|extension| extension == "proto")
    {
        return Ok(Earlier {
            builder: including(includes),
            files: vec![path.to_owned()],
        });
    }
    let encoded = fs::read(path)
        .map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))?;
    Ok(Earlier {
        builder: Builder::new().descriptor_set(encoded),
        files: Vec::new(),
    })
}

/// The same files as they were in a revision; those that are new since have nothing to break.
fn revision(name: &str, files: &[PathBuf], includes: &[PathBuf]) -> Result<Earlier, String> {
    let revision = Revision::open(name)?;
    let mut there = Vec::new();
    let mut missing = Vec::new();
    for path in files {
        // A file may be named relative to an include directory, as the compiler takes it.
        let below = includes.iter().map(|include| include.join(path));
        let mut found = false;
        for place in [path.clone()].into_iter().chain(below) {
            found |= revision
                .read(&place)
                .map_err(|error| error.to_string())?
                .is_some();
        }
        if found {
            there.push(path.clone());
        } else {
            missing.push(path.display().to_string());
        }
    }
    if there.is_empty() {
        let missing = missing.join("`, `");
        return Err(format!("`{missing}` is not in the revision `{name}`"));
    }
    for path in missing {
        note(&format!("note: `{path}` is new since `{name}`"));
    }
    let builder =
        including(includes).read_with(format!("{name}:"), move |path: &Path| revision.read(path));
    Ok(Earlier {
        builder,
        files: there,
    })
}
