//! The command line of `load`.

use std::time::Duration;

use lexopt::Parser;
use lexopt::prelude::{Long, ValueExt as _};

use crate::failure::Failure;
use crate::system::{self, Link};
use crate::workload::Workload;

/// What `--help` prints.
pub const HELP: &str = "\
Loads RPC systems with unary calls, client and server process on one core, and compares them.

usage: load [options]
  --systems a,b       systems to measure (default: all)
  --links tcp,unix    links to measure (default: all a system has)
  --workloads a,b     64B, order-1KiB (default: both)
  --depth N           calls outstanding on the one connection (default 64)
  --rounds N          interleaved rounds; the median is reported (default 3)
  --seconds S         measured time per system, link, workload and round (default 2)
  --warm-up S         time before that (default 0.5)
  --core N|none       core that both processes are tied to (default 0)
  --json              print JSON instead of the table
";

/// A combination that is measured.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Case {
    /// What is measured.
    pub system: &'static dyn system::System,
    /// What it runs over.
    pub link: Link,
    /// What it exchanges.
    pub workload: Workload,
}

/// A measurement as asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Names of the systems, empty for all.
    pub systems: Vec<String>,
    /// Names of the links, empty for all.
    pub links: Vec<String>,
    /// Names of the workloads, empty for all.
    pub workloads: Vec<String>,
    /// Calls outstanding.
    pub depth: usize,
    /// Interleaved rounds.
    pub rounds: usize,
    /// Measured time per case and round.
    pub measured: Duration,
    /// Time before it.
    pub warm_up: Duration,
    /// The core both processes are tied to.
    pub core: Option<usize>,
    /// Whether to print JSON.
    pub json: bool,
    /// Whether only the help was asked for.
    pub help: bool,
    /// The role of a child process: `server`, or the address a client loads.
    pub role: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            systems: Vec::new(),
            links: Vec::new(),
            workloads: Vec::new(),
            depth: 64,
            rounds: 3,
            measured: Duration::from_secs(2),
            warm_up: Duration::from_millis(500),
            core: Some(0),
            json: false,
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
                Long("systems") => options.systems = list(&mut parser)?,
                Long("links") => options.links = list(&mut parser)?,
                Long("workloads") => options.workloads = list(&mut parser)?,
                Long("depth") => options.depth = parser.value()?.parse()?,
                Long("rounds") => options.rounds = parser.value()?.parse()?,
                Long("seconds") => options.measured = seconds(&mut parser)?,
                Long("warm-up") => options.warm_up = seconds(&mut parser)?,
                Long("core") => options.core = core(&mut parser)?,
                Long("json") => options.json = true,
                Long("help") => options.help = true,
                // Only for the processes that this binary starts of itself.
                Long("role") => options.role = Some(parser.value()?.string()?),
                other => return Err(other.unexpected()),
            }
        }
        if options.depth == 0 || options.rounds == 0 {
            return Err("depth and rounds must be at least 1".into());
        }
        Ok(options)
    }

    /// Every combination asked for, in the order in which a round visits them.
    ///
    /// # Errors
    /// When a name is unknown.
    pub fn cases(&self) -> Result<Vec<Case>, Failure> {
        for name in &self.systems {
            system::parse(name)?;
        }
        for name in &self.workloads {
            Workload::parse(name)?;
        }
        let wanted =
            |list: &[String], name: &str| list.is_empty() || list.iter().any(|n| n == name);
        let mut cases = Vec::new();
        for workload in Workload::ALL
            .into_iter()
            .filter(|w| wanted(&self.workloads, w.name()))
        {
            for system in system::ALL
                .into_iter()
                .filter(|s| wanted(&self.systems, s.name()))
            {
                let links = system
                    .links()
                    .iter()
                    .filter(|link| wanted(&self.links, link.name()));
                cases.extend(links.map(|&link| Case {
                    system,
                    link,
                    workload,
                }));
            }
        }
        if cases.is_empty() {
            return Err(Failure::Usage(
                "nothing to measure: no system has such a link".to_owned(),
            ));
        }
        Ok(cases)
    }
}

fn list(parser: &mut Parser) -> Result<Vec<String>, lexopt::Error> {
    Ok(parser
        .value()?
        .string()?
        .split(',')
        .map(str::to_owned)
        .collect())
}

fn seconds(parser: &mut Parser) -> Result<Duration, lexopt::Error> {
    let seconds: f64 = parser.value()?.parse()?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string().into())
}

fn core(parser: &mut Parser) -> Result<Option<usize>, lexopt::Error> {
    let value = parser.value()?;
    if value == "none" {
        Ok(None)
    } else {
        value.parse().map(Some)
    }
}
