//! What the processes write down, a line each, and how it is read again.
//!
//! A line is written as a whole by one call of the kernel, so that a process that is killed leaves
//! no half of one and has lost none. All processes of a machine have one monotonic clock.

use std::error::Error;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A time of the machine's monotonic clock, since it was started.
pub(crate) type At = Duration;

/// What the clock shows.
pub(crate) fn now() -> At {
    // Every Linux has this clock.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// A method of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    Look,
    Put,
    Add,
    List,
}

impl Method {
    pub(crate) const ALL: [Self; 4] = [Self::Look, Self::Put, Self::Add, Self::List];

    /// Whether it does no harm to run it twice.
    pub(crate) fn is_idempotent(self) -> bool {
        self != Self::Add
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Put => "put",
            Self::Add => "add",
            Self::List => "list",
        }
    }
}

/// How a call ended for its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An instance has answered.
    Answered(String),
    /// It failed; whether a server may have begun it, and the words.
    Failed { may_have_begun: bool, text: String },
}

/// A call as its caller saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) service: String,
    pub(crate) method: Method,
    pub(crate) begun: At,
    pub(crate) ended: At,
    /// How often its caller, not the library, has asked once more.
    pub(crate) resumed: u32,
    pub(crate) outcome: Outcome,
}

/// What befalls an instance, an agent or a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It works from now on, or again.
    Up,
    /// It was killed.
    Killed,
    /// It was stopped.
    Stopped,
    /// An instance was told to finish.
    Finishing,
    /// A host was cut off from the others.
    Cut,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A client's call has ended.
    Call(Call),
    /// A client gave a call to an instance, or would have if that could be reached.
    Picked { at: At, instance: String },
    /// A client has made so many calls, and ends.
    Made(u64),
    /// An instance runs a call.
    Ran { at: At, call: u64, method: Method },
    /// Something happened to an instance, to `agent-N` or to `host-N`.
    Event { at: At, event: Event, what: String },
}

/// A log that is written.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn append(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(file))
    }

    pub(crate) fn write(&self, line: &Line) -> io::Result<()> {
        (&self.0).write_all(format!("{line}\n").as_bytes())
    }
}

/// Reads a log.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)?;
    let wrong = |number: usize, line: &str| format!("{}:{number}: {line:?}", path.display());
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(wrong(text.lines().count(), "the last line is torn").into());
    }
    let lines = (1..).zip(text.lines());
    let parsed =
        lines.map(|(number, line)| line.parse().map_err(|Torn| wrong(number, line).into()));
    parsed.collect()
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(call) => call.fmt(f),
            Self::Picked { at, instance } => write!(f, "picked {} {instance}", at.as_nanos()),
            Self::Made(calls) => write!(f, "made {calls}"),
            Self::Ran { at, call, method } => {
                write!(f, "ran {} {call} {}", at.as_nanos(), method.name())
            }
            Self::Event { at, event, what } => {
                write!(f, "event {} {} {what}", at.as_nanos(), event.name())
            }
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begun, ended) = (self.begun.as_nanos(), self.ended.as_nanos());
        let (id, service, resumed) = (self.id, &self.service, self.resumed);
        let method = self.method.name();
        write!(f, "call {id} {service} {method} {begun} {ended} {resumed} ")?;
        match &self.outcome {
            Outcome::Answered(instance) => write!(f, "answered {instance}"),
            Outcome::Failed {
                may_have_begun,
                text,
            } => {
                let begun = if *may_have_begun {
                    "begun"
                } else {
                    "not-begun"
                };
                write!(f, "failed {begun} {}", text.replace(['\n', '\r'], " "))
            }
        }
    }
}

/// A line that is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Torn;

impl FromStr for Line {
    type Err = Torn;

    fn from_str(line: &str) -> Result<Self, Torn> {
        let mut words = line.split(' ');
        let parsed = match word(&mut words)? {
            "call" => return Ok(Self::Call(call(words)?)),
            "picked" => Self::Picked {
                at: at(&mut words)?,
                instance: word(&mut words)?.to_owned(),
            },
            "made" => Self::Made(number(&mut words)?),
            "ran" => Self::Ran {
                at: at(&mut words)?,
                call: number(&mut words)?,
                method: method(&mut words)?,
            },
            "event" => Self::Event {
                at: at(&mut words)?,
                event: Event::named(word(&mut words)?).ok_or(Torn)?,
                what: word(&mut words)?.to_owned(),
            },
            _ => return Err(Torn),
        };
        match words.next() {
            None => Ok(parsed),
            Some(_) => Err(Torn),
        }
    }
}

fn call(mut words: std::str::Split<'_, char>) -> Result<Call, Torn> {
    Ok(Call {
        id: number(&mut words)?,
        service: word(&mut words)?.to_owned(),
        method: method(&mut words)?,
        begun: at(&mut words)?,
        ended: at(&mut words)?,
        resumed: number(&mut words)?,
        outcome: match (word(&mut words)?, word(&mut words)?) {
            ("answered", instance) => Outcome::Answered(instance.to_owned()),
            ("failed", begun @ ("begun" | "not-begun")) => Outcome::Failed {
                may_have_begun: begun == "begun",
                text: words.collect::<Vec<_>>().join(" "),
            },
            _ => return Err(Torn),
        },
    })
}

fn word<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<&'a str, Torn> {
    words.next().filter(|word| !word.is_empty()).ok_or(Torn)
}

fn number<'a, N: FromStr>(words: &mut impl Iterator<Item = &'a str>) -> Result<N, Torn> {
    word(words)?.parse().map_err(|_| Torn)
}

fn at<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<At, Torn> {
    number(words).map(Duration::from_nanos)
}

fn method<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Method, Torn> {
    let name = word(words)?;
    let found = Method::ALL.into_iter().find(|method| method.name() == name);
    found.ok_or(Torn)
}

impl Event {
    const ALL: [Self; 5] = [
        Self::Up,
        Self::Killed,
        Self::Stopped,
        Self::Finishing,
        Self::Cut,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::Finishing => "finishing",
            Self::Cut => "cut",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let at = Duration::from_nanos(7);
        let (instance, what) = ("books-1.2".to_owned(), "agent-2".to_owned());
        let call = |outcome| {
            Line::Call(Call {
                id: 3,
                service: "books".to_owned(),
                method: Method::Put,
                begun: at,
                ended: 2 * at,
                resumed: 1,
                outcome,
            })
        };
        let text = "UNAVAILABLE: no one  there".to_owned();
        let failed = |may_have_begun, text| Outcome::Failed {
            may_have_begun,
            text,
        };
        let mut lines = vec![
            call(Outcome::Answered(instance.clone())),
            call(failed(true, text)),
            call(failed(false, String::new())),
            Line::Picked { at, instance },
            Line::Made(9),
        ];
        lines.extend(Method::ALL.map(|method| Line::Ran {
            at,
            call: 3,
            method,
        }));
        lines.extend(Event::ALL.map(|event| Line::Event {
            at,
            event,
            what: what.clone(),
        }));
        for line in lines {
            assert_eq!(line.to_string().parse(), Ok(line));
        }
    }

    #[test]
    fn what_is_torn_is_not_read() {
        for line in [
            "",
            "cal",
            "ran 1 2",
            "ran 1 2 read",
            "ran 1 2 put more",
            "ran -1 2 put",
            "made",
            "made 1 2",
            "event 1 gone agent-1",
            "picked 1",
            "call 1 books put 1 2 0 answered",
            "call 1 books put 1 2 0 failed perhaps x",
        ] {
            assert_eq!(line.parse::<Line>(), Err(Torn), "{line:?}");
        }
    }

    #[test]
    fn a_file_that_ends_within_a_line_is_wrong() {
        let path = std::env::temp_dir().join(format!("chaos-torn-{}.log", std::process::id()));
        for (text, read_lines) in [
            ("made 1\nmade 2\n", Some(2)),
            ("made 1\nmade 2", None),
            ("", Some(0)),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).ok().map(|lines| lines.len()), read_lines);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
