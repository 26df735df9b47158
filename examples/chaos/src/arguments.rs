//! What the program is told: by a person, or by itself where it starts itself as one of the
//! processes.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use dreammesh::balance::Random;

use crate::client::Client;
use crate::instance::Instance;
use crate::log::now;
use crate::schedule::{WHOLE_MAX, WHOLE_MIN};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Arguments {
    Drill(Plan),
    /// Compare the logs in a directory once more.
    Compare(PathBuf),
    Instance(Instance),
    Client(Client),
}

/// What happens, for how long, and where what is written down goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) whole: Duration,
    /// Calls a second, of all clients together.
    pub(crate) rate: u32,
    /// Where the logs stay; without it they go if everything was well.
    pub(crate) logs: Option<PathBuf>,
}

const USAGE: &str = "\
usage: chaos [--seed NUMBER] [--seconds NUMBER] [--rate NUMBER] [--logs DIR]
       chaos compare DIR

--seed     what happens, and when; drawn without it
--seconds  for how long, 60 without it, 30 to 1800
--rate     calls a second, 2000 without it, 3 to 100000
--logs     a new directory for the logs";

impl Arguments {
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let arguments: Vec<String> = arguments.collect();
        let words: Vec<&str> = arguments.iter().map(|it| &**it).collect();
        Ok(match words[..] {
            ["compare", directory] => Self::Compare(directory.into()),
            ["instance", service, name, address, log] => Self::Instance(Instance {
                service: service.to_owned(),
                name: name.to_owned(),
                address: address.to_owned(),
                log: log.into(),
            }),
            ["client", host, rate, log] => Self::Client(Client {
                host: host.parse()?,
                rate: rate.parse()?,
                log: log.into(),
            }),
            _ => Self::Drill(plan(&words)?),
        })
    }
}

fn plan(words: &[&str]) -> Result<Plan, Box<dyn Error>> {
    let mut plan = Plan {
        // Two runs at one nanosecond after the machine was started are one run.
        seed: Random::seeded(now().as_nanos() as u64).next_u64() >> 32,
        whole: Duration::from_secs(60),
        rate: 2_000,
        logs: None,
    };
    for said in words.chunks(2) {
        let [name, value] = *said else {
            return Err(USAGE.into());
        };
        let wrong = |_| format!("{name} {value}: expected a number\n\n{USAGE}");
        match name {
            "--seed" => plan.seed = value.parse().map_err(wrong)?,
            "--seconds" => plan.whole = Duration::from_secs(value.parse().map_err(wrong)?),
            "--rate" => plan.rate = value.parse().map_err(wrong)?,
            "--logs" => plan.logs = Some(value.into()),
            _ => return Err(USAGE.into()),
        }
    }
    if !(WHOLE_MIN..=WHOLE_MAX).contains(&plan.whole) || !(3..=100_000).contains(&plan.rate) {
        return Err(USAGE.into());
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(words: &[&str]) -> Option<Plan> {
        plan(words).ok()
    }

    #[test]
    fn a_plan_is_what_was_said_and_a_minute_otherwise() {
        let usual = planned(&[]).unwrap();
        assert_eq!((usual.whole.as_secs(), usual.rate), (60, 2_000));
        let said = [
            "--seed",
            "7",
            "--seconds",
            "30",
            "--rate",
            "3",
            "--logs",
            "d",
        ];
        let expected = Plan {
            seed: 7,
            whole: Duration::from_secs(30),
            rate: 3,
            logs: Some("d".into()),
        };
        assert_eq!(planned(&said), Some(expected));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for words in [
            &["--seed"][..],
            &["--seed", "x"],
            &["--speed", "1"],
            &["--seconds", "29"],
            &["--seconds", "1801"],
            &["--rate", "2"],
            &["--rate", "100001"],
            &["compare"],
        ] {
            assert_eq!(planned(words), None, "{words:?}");
        }
        assert!(planned(&["--seconds", "1800", "--rate", "100000"]).is_some());
    }
}
