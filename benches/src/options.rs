//! The command line of `compare`.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::Parser;
use lexopt::prelude::{Long, ValueExt as _};

use crate::failure::Failure;
use crate::matrix::Only;
use crate::run::Plan;

/// What `--help` prints.
pub const HELP: &str = "\
Measures RPC systems side by side: client and server as processes of their own, in interleaved rounds.

usage: compare [options]
  --only NAME      confine the run to a system, transport, workload or setting; may be repeated
  --quick          one short round: shows that everything runs, but measures nothing worth quoting
  --rounds N       interleaved rounds, of which the median is reported (default 3)
  --seconds S      measured time per case and round (default 1)
  --warm-up S      time before that (default 0.3)
  --through SCRIPT starts SCRIPT with the server's address before each client, which is sent to the
                   address in its first line; it is to end with its input (see benches/through)
  --json PATH      where the rows go (default results.json in the directory of --out)
  --out DIR        where the table and the charts go (default target/compare)
  --list           print what would be measured, and what would be skipped and why
";

/// A run as asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What the run is confined to.
    pub only: Only,
    /// Interleaved rounds.
    pub rounds: usize,
    /// Measured time per case and round, and the time before it.
    pub plan: Plan,
    /// What stands between client and server.
    pub through: Option<PathBuf>,
    /// Where the rows go, if not beside the rest.
    pub json: Option<PathBuf>,
    /// Where the table and the charts go.
    pub out: PathBuf,
    /// Whether only to say what would be measured.
    pub list: bool,
    /// Whether only the help was asked for.
    pub help: bool,
    /// The role of a child process.
    pub role: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            only: Only::default(),
            rounds: 3,
            plan: Plan::new(Duration::from_millis(300), Duration::from_secs(1)),
            through: None,
            json: None,
            out: PathBuf::from("target/compare"),
            list: false,
            help: false,
            role: None,
        }
    }
}

impl Options {
    /// Reads the process's arguments.
    ///
    /// # Errors
    /// When an argument is unknown, lacks its value or has one that makes no sense.
    pub fn from_arguments() -> Result<Self, Failure> {
        Self::parse(Parser::from_env())
            .map_err(|error| Failure::Usage(format!("{error}\n\n{HELP}")))
    }

    fn parse(mut parser: Parser) -> Result<Self, lexopt::Error> {
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("only") => options.confine(&parser.value()?.string()?)?,
                Long("quick") => options.hurry(),
                Long("rounds") => options.rounds = parser.value()?.parse()?,
                Long("seconds") => options.plan.measured = seconds(&mut parser)?,
                Long("warm-up") => options.plan.warm_up = seconds(&mut parser)?,
                Long("through") => options.through = Some(parser.value()?.into()),
                Long("json") => options.json = Some(parser.value()?.into()),
                Long("out") => options.out = parser.value()?.into(),
                Long("list") => options.list = true,
                Long("help") => options.help = true,
                // Only for the processes that this binary starts of itself.
                Long("role") => options.role = Some(parser.value()?.string()?),
                other => return Err(other.unexpected()),
            }
        }
        if options.rounds == 0 || options.plan.measured.is_zero() {
            return Err("rounds and seconds must be more than nothing".into());
        }
        Ok(options)
    }

    fn confine(&mut self, name: &str) -> Result<(), lexopt::Error> {
        self.only
            .add(name)
            .map_err(|failure| failure.to_string().into())
    }

    /// One round, each case just long enough to show that it runs.
    const fn hurry(&mut self) {
        self.rounds = 1;
        self.plan = Plan::new(Duration::from_millis(50), Duration::from_millis(150));
    }
}

fn seconds(parser: &mut Parser) -> Result<Duration, lexopt::Error> {
    let seconds: f64 = parser.value()?.parse()?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let all = std::iter::once("compare").chain(arguments.iter().copied());
        Options::parse(Parser::from_iter(all)).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_is_the_whole_matrix() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.rounds, options.only), (3, Only::default()));
        assert_eq!((options.json, options.through), (None, None));
    }

    #[test]
    fn what_follows_quick_is_more_precise_than_quick() {
        let options = parse(&["--quick", "--seconds", "0.5"]).unwrap();
        assert_eq!(options.rounds, 1);
        assert_eq!(options.plan.measured, Duration::from_millis(500));
    }

    #[test]
    fn only_adds_up() {
        let options = parse(&["--only", "tonic", "--only=tcp"]).unwrap();
        let mut only = Only::default();
        only.add("tonic").unwrap();
        only.add("tcp").unwrap();
        assert_eq!(options.only, only);
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            &["--rounds", "0"] as &[&str],
            &["--rounds", "many"],
            &["--seconds", "-1"],
            &["--seconds", "0"],
            &["--seconds", "inf"],
            &["--only", "nobody"],
            &["--only"],
            &["--through"],
            &["--depth", "64"],
            &["stray"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
