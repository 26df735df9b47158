//! What the program can be told.

use std::error::Error;
use std::time::Duration;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Measures an agent and holds it against the bars of this project; ends with 1 if one is missed.

usage: agent-bars [options] [part…]
  many           100 services of 10 instances, 100 programs attached: memory, idle CPU, changes
  calls          the agent while calls are made: its CPU and its sockets
  path           the CPU of a call through the mesh beside one to a fixed address
  first          from an empty directory to the first call
                 (all four without any)
  --quiet S      how long nothing changes in `many` (default 30)
  --phase S      how long each rate of calls is kept up in `calls` (default 10)
  --watched N    how many services each program of `many` watches, 1 to 100 (default 10)
  --rounds N     rounds of `path` (default 21)
  --busy         other programs run on the machine: times are shown, and no bar on them is judged
";

/// What it is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    Help,
    Measure(Plan),
    /// Only for the processes that this program starts of itself.
    Serve(Server),
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) parts: Vec<Part>,
    pub(crate) quiet: Duration,
    pub(crate) phase: Duration,
    pub(crate) watched: usize,
    pub(crate) rounds: usize,
    pub(crate) busy: bool,
}

/// A part of what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Many,
    Calls,
    Path,
    First,
}

/// A server that is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// The service that it is an instance of.
    pub(crate) service: String,
    /// The core that it is tied to, if it is.
    pub(crate) core: Option<usize>,
}

/// How many services there are.
pub(crate) const SERVICES: usize = 100;

impl Arguments {
    /// Reads the command line.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub(crate) fn read(words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut words = words.peekable();
        if words.next_if(|word| word == "serve").is_some() {
            let service = words.next().ok_or("serve takes the name of a service")?;
            let core = words.next().map(|core| core.parse()).transpose()?;
            return Ok(Self::Serve(Server { service, core }));
        }
        let mut plan = Plan {
            parts: Vec::new(),
            quiet: Duration::from_secs(30),
            phase: Duration::from_secs(10),
            watched: 10,
            rounds: 21,
            busy: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} takes a value"));
            match &*word {
                "many" => plan.parts.push(Part::Many),
                "calls" => plan.parts.push(Part::Calls),
                "path" => plan.parts.push(Part::Path),
                "first" => plan.parts.push(Part::First),
                "--quiet" => plan.quiet = seconds(&value()?)?,
                "--phase" => plan.phase = seconds(&value()?)?,
                "--watched" => plan.watched = within(&value()?, SERVICES)?,
                "--rounds" => plan.rounds = within(&value()?, 10_000)?,
                "--busy" => plan.busy = true,
                "--help" => return Ok(Self::Help),
                _ => return Err(format!("{word:?} is not known\n\n{HELP}").into()),
            }
        }
        if plan.parts.is_empty() {
            plan.parts = vec![Part::Many, Part::Calls, Part::Path, Part::First];
        }
        Ok(Self::Measure(plan))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=3_600) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("{text:?} is no number of seconds from 1 to 3600")),
    }
}

fn within(text: &str, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("{text:?} is no number from 1 to {max}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Arguments, String> {
        let words = words.iter().map(|&word| word.to_owned());
        Arguments::read(words).map_err(|error| error.to_string())
    }

    fn plan(words: &[&str]) -> Plan {
        match read(words) {
            Ok(Arguments::Measure(plan)) => plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_said_measures_all() {
        let plan = plan(&[]);
        assert_eq!(plan.parts.len(), 4);
        assert!(!plan.busy);
    }

    #[test]
    fn parts_and_options_come_in_any_order() {
        let plan = plan(&[
            "--busy",
            "many",
            "--quiet",
            "5",
            "calls",
            "--watched",
            "100",
        ]);
        assert_eq!(plan.parts, [Part::Many, Part::Calls]);
        assert_eq!((plan.quiet.as_secs(), plan.watched), (5, 100));
        assert!(plan.busy);
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            &["some"] as &[&str],
            &["--quiet"],
            &["--quiet", "0"],
            &["--phase", "3601"],
            &["--watched", "0"],
            &["--watched", "101"],
            &["--rounds", "0"],
            &["serve"],
            &["serve", "echo", "first"],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
