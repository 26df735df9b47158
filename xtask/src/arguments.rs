//! The command line of `cargo xtask`.

/// What is printed for `--help` and after a mistake.
pub(crate) const USAGE: &str = "\
usage: cargo xtask test [--quick] [--only WORD]... [--fuzz-seconds N] [--list]
       cargo xtask tidy
       cargo xtask fuzz [--seconds N] [TARGET]
       cargo xtask perf [--bless]

test   runs every check, as CI does, and ends with a summary
       --quick           only what needs no network: fmt, clippy, tests, doc tests, tidy
       --only WORD       only the steps whose name contains WORD (may be repeated)
       --fuzz-seconds N  seconds for each fuzz target (15 when not given)
       --list            names the steps and runs none
tidy   holds the walls: dependencies between the rooms, pure modules, file ceilings, names, links
fuzz   runs one fuzz target, or all of them, under AddressSanitizer (300 seconds each when not given)
perf   counts the instructions of the hot paths and compares them with the baseline
       --bless           makes the counts the baseline";

const FUZZ_SECONDS_IN_TEST: u64 = 15;
const FUZZ_SECONDS_ALONE: u64 = 300;

/// One parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Test(TestOptions),
    Tidy,
    Perf {
        /// Renew the baseline instead of comparing with it.
        bless: bool,
    },
    Fuzz {
        seconds: u64,
        target: Option<String>,
    },
}

/// What `cargo xtask test` was asked to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Leave out every step that needs the network or more than a few minutes.
    pub(crate) quick: bool,
    /// Name the steps instead of running them.
    pub(crate) list: bool,
    /// Words of which a step's name must contain one; empty means every step.
    pub(crate) only: Vec<String>,
    /// Seconds that each fuzz target runs.
    pub(crate) fuzz_seconds: u64,
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, String> {
    match words.next().as_deref() {
        Some("test") => parse_test(words),
        Some("tidy") => match words.next() {
            None => Ok(Command::Tidy),
            Some(word) => Err(format!("tidy takes no `{word}`")),
        },
        Some("fuzz") => parse_fuzz(words),
        Some("perf") => match (words.next().as_deref(), words.next()) {
            (None, _) => Ok(Command::Perf { bless: false }),
            (Some("--bless"), None) => Ok(Command::Perf { bless: true }),
            _ => Err("perf takes nothing but --bless".to_owned()),
        },
        Some("help" | "--help" | "-h") => Ok(Command::Help),
        Some(word) => Err(format!("there is no command `{word}`")),
        None => Err("which command?".to_owned()),
    }
}

fn parse_test(mut words: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = TestOptions {
        quick: false,
        list: false,
        only: Vec::new(),
        fuzz_seconds: FUZZ_SECONDS_IN_TEST,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => options.quick = true,
            "--list" => options.list = true,
            "--only" => options
                .only
                .push(words.next().ok_or("--only needs a word")?),
            "--fuzz-seconds" => options.fuzz_seconds = number(&word, words.next())?,
            other => return Err(format!("test takes no `{other}`")),
        }
    }
    Ok(Command::Test(options))
}

fn parse_fuzz(mut words: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut seconds = FUZZ_SECONDS_ALONE;
    let mut target = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => seconds = number(&word, words.next())?,
            other if !other.starts_with('-') && target.is_none() => target = Some(word),
            other => return Err(format!("fuzz takes no `{other}`")),
        }
    }
    Ok(Command::Fuzz { seconds, target })
}

fn number(flag: &str, word: Option<String>) -> Result<u64, String> {
    word.and_then(|word| word.parse().ok())
        .filter(|&seconds| seconds > 0)
        .ok_or_else(|| format!("{flag} needs a number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn reads_every_command() {
        assert_eq!(parsed("tidy"), Ok(Command::Tidy));
        assert_eq!(parsed("--help"), Ok(Command::Help));
        assert_eq!(parsed("perf"), Ok(Command::Perf { bless: false }));
        assert_eq!(parsed("perf --bless"), Ok(Command::Perf { bless: true }));
        assert_eq!(
            parsed("fuzz --seconds 7 validate"),
            Ok(Command::Fuzz {
                seconds: 7,
                target: Some("validate".to_owned())
            })
        );
        assert_eq!(
            parsed("test --quick --only fmt --only clippy --fuzz-seconds 3"),
            Ok(Command::Test(TestOptions {
                quick: true,
                list: false,
                only: vec!["fmt".to_owned(), "clippy".to_owned()],
                fuzz_seconds: 3,
            }))
        );
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for line in [
            "",
            "tset",
            "test --fast",
            "tidy now",
            "fuzz a b",
            "perf all",
            "perf --bless twice",
            "test --fuzz-seconds 0",
            "fuzz --seconds x",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
