//! What a terminal shows: colours, and so many columns.

use std::env;
use std::io::IsTerminal;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};

/// The option of every command.
pub(crate) fn option() -> Arg {
    Arg::new("color")
        .long("color")
        .value_name("WHEN")
        .global(true)
        .value_parser(PossibleValuesParser::new(["auto", "always", "never"]))
        .default_value("auto")
        .help("Colour what is written; auto does on a terminal, unless NO_COLOR is set")
}

/// Colours text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    #[cfg(test)]
    pub(crate) const NONE: Self = Self(false);
    #[cfg(test)]
    pub(crate) const ALL: Self = Self(true);

    /// For text that goes there.
    pub(crate) fn of(matches: &ArgMatches, stream: &impl IsTerminal) -> Self {
        let when = matches.get_one::<String>("color").map(String::as_str);
        Self(match when {
            Some("always") => true,
            Some("never") => false,
            _ => stream.is_terminal() && wanted(),
        })
    }

    /// What all is about.
    pub(crate) fn strong(self, text: &str) -> String {
        self.painted("1", text)
    }

    /// What is as it should be.
    pub(crate) fn good(self, text: &str) -> String {
        self.painted("32", text)
    }

    /// What is not.
    pub(crate) fn bad(self, text: &str) -> String {
        self.painted("31", text)
    }

    /// A name or keyword.
    pub(crate) fn word(self, text: &str) -> String {
        self.painted("36", text)
    }

    /// What one may pass over.
    pub(crate) fn faint(self, text: &str) -> String {
        self.painted("2", text)
    }

    fn painted(self, colour: &str, text: &str) -> String {
        if self.0 && !text.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Whether the user's environment has nothing against colours (see no-color.org).
fn wanted() -> bool {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The columns of the terminal, or what is usual.
pub(crate) fn width() -> usize {
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    width.unwrap_or(80).clamp(40, 160)
}
