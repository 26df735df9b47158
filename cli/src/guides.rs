//! Completions and the manual page, which the table of commands is all there is to.

use clap::ArgMatches;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::arguments;
use crate::outcome::{FINE, Failure, Outcome, print};

/// Prints the completions for a shell.
pub(crate) fn completions(matches: &ArgMatches) -> Outcome {
    let shell = match matches.get_one::<String>("shell").map(String::as_str) {
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(), "dreammesh", &mut out);
    written(&out)
}

/// Prints the manual: a page for the program, and one after another for its commands.
pub(crate) fn manual() -> Outcome {
    let mut out = Vec::new();
    let mut root = arguments::command();
    // A command learns its whole name, and what it has from the one above it, only here.
    root.build();
    let mut waiting = vec![root];
    while let Some(command) = waiting.pop() {
        let rendered = Man::new(command.clone()).render(&mut out);
        rendered.map_err(|error| Failure::input(format!("cannot write the manual: {error}")))?;
        let mut below: Vec<clap::Command> = command.get_subcommands().cloned().collect();
        below.reverse();
        waiting.append(&mut below);
    }
    written(&out)
}

fn written(bytes: &[u8]) -> Outcome {
    print(&String::from_utf8_lossy(bytes))?;
    Ok(FINE)
}
