//! `dreammesh-codegen`: checks schemas and shows their layouts.
//!
//! Exit status: 0 if all is well, warnings included; 1 if a schema is at fault; 2 if the command
//! line is; 3 if a file cannot be read or written.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use dreammesh_codegen::{Builder, Error};

const USAGE: &str = "\
usage: dreammesh-codegen check  [-I <dir>]... <file>...
       dreammesh-codegen layout [-I <dir>]... [--json] <file>...
       dreammesh-codegen help | version

check   parses the files and all they import, and reports what is wrong with its place
layout  prints each message's offsets, presence bits and hashes

  -I <dir>   look imports up below <dir>; may be repeated, the first that has the file wins.
             Without any, each file's imports are relative to the root of its package.
  --json     print the layout for a script

exit status: 0 all is well, warnings included; 1 a schema is at fault;
             2 the command line is wrong; 3 a file cannot be read or written
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(text) => {
            // A reader that went away, as `head` does, is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Failure::Usage(what)) => {
            eprintln!("error: {what}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(Failure::Compile(error)) => {
            eprintln!("{error}");
            match error {
                Error::Schema(_) | Error::DescriptorSet { .. } => ExitCode::from(1),
                _ => ExitCode::from(3),
            }
        }
    }
}

enum Failure {
    Usage(String),
    Compile(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Compile(error)
    }
}

struct Arguments {
    builder: Builder,
    files: Vec<PathBuf>,
    json: bool,
}

fn run(args: &[String]) -> Result<String, Failure> {
    let (command, rest) = args
        .split_first()
        .ok_or_else(|| usage("a command is missing"))?;
    match command.as_str() {
        "check" => {
            let arguments = arguments(rest, false)?;
            let warnings = arguments.builder.check(&arguments.files)?;
            for warning in warnings.iter() {
                eprintln!("{warning}\n");
            }
            Ok(String::new())
        }
        "layout" => {
            let arguments = arguments(rest, true)?;
            let report = arguments.builder.layouts(&arguments.files)?;
            Ok(if arguments.json {
                report.to_json()
            } else {
                report.to_string()
            })
        }
        "help" | "-h" | "--help" => Ok(USAGE.to_owned()),
        "version" | "-V" | "--version" => {
            Ok(format!("dreammesh-codegen {}\n", env!("CARGO_PKG_VERSION")))
        }
        other => Err(usage(format!("`{other}` is no command"))),
    }
}

fn arguments(args: &[String], takes_json: bool) -> Result<Arguments, Failure> {
    let mut read = Arguments {
        builder: Builder::new(),
        files: Vec::new(),
        json: false,
    };
    let mut args = args.iter();
    let mut only_files = false;
    while let Some(arg) = args.next() {
        if only_files || !arg.starts_with('-') {
            read.files.push(PathBuf::from(arg));
        } else if arg == "--" {
            only_files = true;
        } else if arg == "--json" && takes_json {
            read.json = true;
        } else if let Some(directory) = arg.strip_prefix("-I") {
            let directory = if directory.is_empty() {
                args.next().ok_or_else(|| usage("`-I` needs a directory"))?
            } else {
                directory
            };
            read.builder = read.builder.include(directory);
        } else {
            return Err(usage(format!("`{arg}` is no option here")));
        }
    }
    if read.files.is_empty() {
        return Err(usage("a file is missing"));
    }
    Ok(read)
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::Usage(what.into())
}
