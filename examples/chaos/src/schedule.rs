//! What happens when: a function of a seed.
//!
//! The time is divided into slots. In each of them one thing befalls the instances of one host or
//! one service, and in most of them another the agents, at about the same time; both are over when
//! the slot is. So at any time two of three instances are well, and of a host that is cut off, its
//! own. Nothing happens to agents while a service is replaced, since nobody else could tell clients
//! of the successors.

use std::time::Duration;

use dreammesh::balance::Random;

/// How many hosts there are.
pub(crate) const HOSTS: usize = 3;
/// The services, each of which has one instance on each host.
pub(crate) const SERVICES: [&str; 3] = ["books", "stock", "tills"];

/// Something that is done; hosts are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    KillInstance(&'static str, usize),
    /// In place of one that was killed.
    StartInstance(&'static str, usize),
    StopInstance(&'static str, usize),
    ResumeInstance(&'static str, usize),
    /// Replaces all instances of a service, one after the other.
    Roll(&'static str),
    Cut(usize),
    Heal(usize),
    KillAgent(usize),
    StartAgent(usize),
    StopAgent(usize),
    ResumeAgent(usize),
}

/// Something that is done at a time after the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) act: Act,
}

/// What befalls instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Roll,
    Cut,
    Kill,
    Stop,
}

/// What befalls agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgentFault {
    KillAll,
    Kill,
    Stop,
    None,
}

/// The least time in which everything happens once.
pub(crate) const WHOLE_MIN: Duration = Duration::from_secs(30);
/// The most: all logs are compared in memory.
pub(crate) const WHOLE_MAX: Duration = Duration::from_secs(1_800);

/// Everything that happens in so much time, the first first.
pub(crate) fn schedule(seed: u64, whole: Duration) -> Vec<Step> {
    let mut chance = Chance(Random::seeded(seed));
    let within = whole.saturating_sub(BEFORE + AFTER);
    let slots = (within.as_secs_f64() / SLOT.as_secs_f64()).round().max(4.0) as usize;
    let slot = within / slots as u32;
    let mut faults: Vec<_> = FAULTS.into_iter().cycle().take(slots).collect();
    chance.shuffle(&mut faults);
    let rolls = faults.iter().filter(|fault| **fault == Fault::Roll).count();
    let agent_faults = AGENT_FAULTS.into_iter().cycle();
    let mut agent_faults: Vec<_> = agent_faults.take(slots - rolls).collect();
    chance.shuffle(&mut agent_faults);
    let mut steps = Vec::new();
    for (number, fault) in (0..).zip(faults) {
        let begins = BEFORE + slot * number;
        let time = |chance: &mut Chance, share: (u64, u64)| {
            begins + slot.mul_f64(chance.between(share.0, share.1) as f64 / 100.0)
        };
        let (from, to) = (time(&mut chance, (5, 20)), time(&mut chance, (55, 75)));
        let (first, last) = befalls_instances(fault, &mut chance);
        steps.push(Step {
            at: from,
            act: first,
        });
        steps.extend(last.map(|act| Step { at: to, act }));
        if fault == Fault::Roll {
            continue;
        }
        let (from, to) = (time(&mut chance, (0, 35)), time(&mut chance, (45, 70)));
        let fault = agent_faults.pop().unwrap_or(AgentFault::None);
        for [first, last] in befalls_agents(fault, &mut chance) {
            steps.push(Step {
                at: from,
                act: first,
            });
            steps.push(Step { at: to, act: last });
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
}

fn befalls_instances(fault: Fault, chance: &mut Chance) -> (Act, Option<Act>) {
    let service = SERVICES[chance.below(SERVICES.len() as u64) as usize];
    let host = chance.host();
    match fault {
        Fault::Roll => (Act::Roll(service), None),
        Fault::Cut => (Act::Cut(host), Some(Act::Heal(host))),
        Fault::Kill => (
            Act::KillInstance(service, host),
            Some(Act::StartInstance(service, host)),
        ),
        Fault::Stop => (
            Act::StopInstance(service, host),
            Some(Act::ResumeInstance(service, host)),
        ),
    }
}

fn befalls_agents(fault: AgentFault, chance: &mut Chance) -> Vec<[Act; 2]> {
    let host = chance.host();
    match fault {
        AgentFault::None => Vec::new(),
        AgentFault::Kill => vec![[Act::KillAgent(host), Act::StartAgent(host)]],
        AgentFault::Stop => vec![[Act::StopAgent(host), Act::ResumeAgent(host)]],
        AgentFault::KillAll => {
            let each = |host| [Act::KillAgent(host), Act::StartAgent(host)];
            (1..=HOSTS).map(each).collect()
        }
    }
}

/// Numbers that follow from the seed.
struct Chance(Random);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        // That the first numbers are drawn a little more often than the last matters to nobody.
        self.0.next_u64() % bound
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    fn host(&mut self) -> usize {
        1 + self.below(HOSTS as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// The faults of eight slots; each kind is among the first four.
const FAULTS: [Fault; 8] = [
    Fault::Roll,
    Fault::Cut,
    Fault::Kill,
    Fault::Stop,
    Fault::Cut,
    Fault::Kill,
    Fault::Stop,
    Fault::Kill,
];
/// The faults of the seven of them in which no service is replaced; each kind is among the first
/// three.
const AGENT_FAULTS: [AgentFault; 7] = [
    AgentFault::KillAll,
    AgentFault::Kill,
    AgentFault::Stop,
    AgentFault::None,
    AgentFault::Kill,
    AgentFault::Stop,
    AgentFault::None,
];
/// About how long a slot is: agents take a host for dead after two seconds and have found out that
/// its instances do not answer after about as long again.
const SLOT: Duration = Duration::from_millis(6_750);
/// Nothing happens at first.
const BEFORE: Duration = Duration::from_secs(2);
/// Nothing happens in the end.
const AFTER: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn has(steps: &[Step], is_it: impl Fn(Act) -> bool) -> bool {
        steps.iter().any(|step| is_it(step.act))
    }

    #[test]
    fn a_seed_gives_one_schedule_and_another_seed_another() {
        assert_eq!(schedule(7, MINUTE), schedule(7, MINUTE));
        assert_ne!(schedule(7, MINUTE), schedule(8, MINUTE));
    }

    #[test]
    fn everything_happens_however_short_it_is() {
        for seed in 0..200 {
            for whole in [WHOLE_MIN, MINUTE, 10 * MINUTE] {
                let steps = schedule(seed, whole);
                assert!(steps.is_sorted_by_key(|step| step.at));
                assert!(
                    steps
                        .iter()
                        .all(|it| it.at >= BEFORE && it.at <= whole - AFTER)
                );
                assert!(has(&steps, |act| matches!(act, Act::Roll(_))));
                assert!(has(&steps, |act| matches!(act, Act::Cut(_))));
                assert!(has(&steps, |act| matches!(act, Act::KillInstance(..))));
                assert!(has(&steps, |act| matches!(act, Act::StopInstance(..))));
                assert!(has(&steps, |act| matches!(act, Act::StopAgent(_))));
                let killed = steps
                    .iter()
                    .filter(|it| matches!(it.act, Act::KillAgent(_)));
                assert!(killed.count() > HOSTS);
            }
        }
    }

    /// What is out at a time, of instances and of agents.
    #[derive(Default)]
    struct Out {
        instances: Vec<Act>,
        agents: Vec<Act>,
    }

    #[test]
    fn one_thing_befalls_instances_at_a_time_and_none_agents_while_a_service_is_replaced() {
        for seed in 0..200 {
            let mut out = Out::default();
            for step in schedule(seed, MINUTE) {
                match step.act {
                    Act::Roll(_) => assert!(out.instances.is_empty() && out.agents.is_empty()),
                    Act::KillInstance(..) | Act::StopInstance(..) | Act::Cut(_) => {
                        assert!(out.instances.is_empty(), "seed {seed}");
                        out.instances.push(step.act);
                    }
                    Act::StartInstance(service, host) => {
                        assert_eq!(out.instances, [Act::KillInstance(service, host)]);
                        out.instances.clear();
                    }
                    Act::ResumeInstance(service, host) => {
                        assert_eq!(out.instances, [Act::StopInstance(service, host)]);
                        out.instances.clear();
                    }
                    Act::Heal(host) => {
                        assert_eq!(out.instances, [Act::Cut(host)]);
                        out.instances.clear();
                    }
                    Act::KillAgent(_) | Act::StopAgent(_) => out.agents.push(step.act),
                    Act::StartAgent(host) => out.agents.retain(|it| *it != Act::KillAgent(host)),
                    Act::ResumeAgent(host) => out.agents.retain(|it| *it != Act::StopAgent(host)),
                }
            }
            assert!(out.instances.is_empty() && out.agents.is_empty());
        }
    }
}
