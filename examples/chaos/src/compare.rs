//! The comparison of what clients saw with what instances did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::history::{History, Span};
use crate::log::{At, Call, Event, Line, Method, Outcome};

#[cfg(test)]
mod tests;

/// Everything that was written down.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    pub(crate) events: Vec<Line>,
    /// Of the client of each host.
    pub(crate) clients: BTreeMap<usize, Vec<Line>>,
    /// Of each instance.
    pub(crate) instances: BTreeMap<String, Vec<Line>>,
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// A call that may be made again failed while somebody could have served it.
    IdempotentFailed,
    /// A call failed that provably had not begun while somebody could have served it.
    NotBegunFailed,
    /// A call that must not be made again ran more than once.
    RanTwice,
    /// A call was answered by an instance that did not run it.
    NeverRan,
    /// A call is said not to have begun, but ran.
    RanUnbegun,
    /// A call is in the logs of one side only.
    Lost,
}

impl Wrong {
    pub(crate) const ALL: [Self; 6] = [
        Self::IdempotentFailed,
        Self::NotBegunFailed,
        Self::RanTwice,
        Self::NeverRan,
        Self::RanUnbegun,
        Self::Lost,
    ];
}

/// What became of the calls of one method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    /// Those that failed though they may have begun.
    pub(crate) failed: u64,
    /// Those that failed and had not begun.
    pub(crate) not_begun: u64,
    /// How often callers asked once more.
    pub(crate) resumed: u64,
    pub(crate) longest: Duration,
}

/// Calls that were given to instances in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InVain {
    /// How many outages there were, each counted for each client.
    pub(crate) outages: usize,
    /// How long after the beginning of an outage a call was still given there, at the longest.
    pub(crate) longest: Duration,
    /// By whom, and to whom.
    pub(crate) by: String,
}

/// What the comparison has found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) tallies: BTreeMap<Method, Tally>,
    /// Calls a second, from the first to the last.
    pub(crate) rate: f64,
    pub(crate) wrong: BTreeMap<Wrong, Vec<String>>,
    /// By what happened, and whether the agents of both sides were well then.
    pub(crate) in_vain: BTreeMap<(&'static str, bool), InVain>,
    pub(crate) counts: BTreeMap<&'static str, usize>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub(crate) fn are_fine(&self) -> bool {
        self.wrong.is_empty()
    }

    fn wrong(&mut self, wrong: Wrong, what: String) {
        self.wrong.entry(wrong).or_default().push(what);
    }
}

/// Compares the logs.
///
/// # Errors
/// The line that does not belong where it is.
pub(crate) fn compare(logs: &Logs) -> Result<Findings, String> {
    let history = History::of(&logs.events)?;
    let ran = ran(logs)?;
    let mut findings = Findings {
        counts: history.counts(),
        ..Findings::default()
    };
    let mut made = BTreeSet::new();
    let mut span: Option<(At, At)> = None;
    for (host, lines) in &logs.clients {
        let mut said = None;
        let mut count = 0;
        for line in lines {
            match line {
                Line::Call(call) => {
                    count += 1;
                    if !made.insert(call.id) {
                        findings.wrong(Wrong::Lost, format!("{call} is there twice"));
                    }
                    let (first, last) = span.unwrap_or((call.begun, call.begun));
                    span = Some((first.min(call.begun), last.max(call.begun)));
                    let runs = ran.get(&call.id).map_or(&[][..], |runs| runs);
                    judge(call, *host, runs, &history, &mut findings);
                }
                Line::Made(calls) => said = Some(*calls),
                Line::Picked { .. } => {}
                other => return Err(format!("{other:?} is in the log of a client")),
            }
        }
        if said != Some(count) {
            let text = format!("client-{host} made {said:?} calls, of which {count} are there");
            findings.wrong(Wrong::Lost, text);
        }
    }
    for call in ran.keys().filter(|call| !made.contains(call)) {
        findings.wrong(Wrong::Lost, format!("{call} ran, but nobody has made it"));
    }
    if let Some((first, last)) = span {
        let seconds = last.saturating_sub(first).as_secs_f64();
        findings.rate = made.len() as f64 / seconds.max(f64::EPSILON);
    }
    in_vain(logs, &history, &mut findings);
    Ok(findings)
}

/// Which instances have run each call, one as often as it did.
type Runs<'a> = BTreeMap<u64, Vec<(&'a str, Method)>>;

fn ran(logs: &Logs) -> Result<Runs<'_>, String> {
    let mut ran = Runs::new();
    for (instance, lines) in &logs.instances {
        for line in lines {
            let Line::Ran { call, method, .. } = line else {
                return Err(format!("{line:?} is in the log of {instance}"));
            };
            ran.entry(*call).or_default().push((instance, *method));
        }
    }
    Ok(ran)
}

/// Judges one call, and counts it.
fn judge(
    call: &Call,
    host: usize,
    ran: &[(&str, Method)],
    history: &History,
    findings: &mut Findings,
) {
    let tally = findings.tallies.entry(call.method).or_default();
    tally.resumed += u64::from(call.resumed);
    tally.longest = tally.longest.max(call.ended.saturating_sub(call.begun));
    match &call.outcome {
        Outcome::Answered(_) => tally.answered += 1,
        Outcome::Failed {
            may_have_begun: true,
            ..
        } => tally.failed += 1,
        Outcome::Failed {
            may_have_begun: false,
            ..
        } => tally.not_begun += 1,
    }
    if ran.iter().any(|(_, method)| *method != call.method) {
        findings.wrong(Wrong::Lost, format!("{call} ran as {ran:?}"));
    }
    if !call.method.is_idempotent() && ran.len() > 1 {
        findings.wrong(Wrong::RanTwice, format!("{call} ran at {ran:?}"));
    }
    match &call.outcome {
        Outcome::Answered(instance) => {
            if !ran.iter().any(|(it, _)| it == instance) {
                findings.wrong(Wrong::NeverRan, format!("{call} ran at {ran:?}"));
            }
        }
        Outcome::Failed { may_have_begun, .. } => {
            if !may_have_begun && !ran.is_empty() && call.resumed == 0 {
                findings.wrong(Wrong::RanUnbegun, format!("{call} ran at {ran:?}"));
            }
            let life = Span {
                from: call.begun,
                to: call.ended,
            };
            if !history.could_serve(&call.service, host, life) {
                return;
            }
            if call.method.is_idempotent() {
                findings.wrong(Wrong::IdempotentFailed, call.to_string());
            } else if !may_have_begun {
                findings.wrong(Wrong::NotBegunFailed, call.to_string());
            }
        }
    }
}

/// Looks for calls that were given to instances which could not take them.
fn in_vain(logs: &Logs, history: &History, findings: &mut Findings) {
    for (host, lines) in &logs.clients {
        let mut outages = BTreeMap::new();
        for instance in history.instances() {
            let of_it = history.outages(instance, *host);
            for outage in &of_it {
                let key = (name(outage.event), outage.agents_well);
                findings.in_vain.entry(key).or_default().outages += 1;
            }
            outages.insert(instance, of_it);
        }
        for line in lines {
            let Line::Picked { at, instance } = line else {
                continue;
            };
            for outage in outages.get(&**instance).into_iter().flatten() {
                if !outage.span.has(*at) {
                    continue;
                }
                let key = (name(outage.event), outage.agents_well);
                let in_vain = findings.in_vain.entry(key).or_default();
                let after = *at - outage.span.from;
                if after > in_vain.longest {
                    in_vain.longest = after;
                    in_vain.by = format!("client-{host} to {instance}");
                }
            }
        }
    }
}

/// What an outage is called in the table.
const fn name(event: Event) -> &'static str {
    match event {
        Event::Killed => "killed",
        Event::Stopped => "stopped",
        Event::Finishing => "replaced",
        Event::Cut => "cut off",
        Event::Up => "up",
    }
}
