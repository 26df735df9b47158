//! Who was well and could be reached when, as it was written down.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::log::{At, Event, Line};

/// A time from and up to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: At,
    pub(crate) to: At,
}

impl Span {
    /// One that has no end yet.
    const fn since(from: At) -> Self {
        Self { from, to: At::MAX }
    }

    pub(crate) fn has(self, at: At) -> bool {
        (self.from..self.to).contains(&at)
    }

    fn common(self, other: Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from < to).then_some(Self { from, to })
    }

    /// What is left of it without others.
    fn without(self, others: &[Self]) -> Vec<Self> {
        let mut left = vec![self];
        for other in others {
            let pieces = left.into_iter().flat_map(|span| {
                let before = Self {
                    from: span.from,
                    to: span.to.min(other.from),
                };
                let after = Self {
                    from: span.from.max(other.to),
                    to: span.to,
                };
                [before, after]
            });
            left = pieces.filter(|span| span.from < span.to).collect();
        }
        left
    }
}

/// What became of everybody.
#[derive(Debug, Default)]
pub(crate) struct History {
    instances: BTreeMap<String, Life>,
    /// When hosts were cut off.
    cuts: BTreeMap<usize, Vec<Span>>,
    /// When the agents of hosts were killed or stopped.
    agents_out: BTreeMap<usize, Vec<Span>>,
}

/// What became of an instance.
#[derive(Debug)]
struct Life {
    service: String,
    host: usize,
    /// From its beginning to its end.
    whole: Span,
    /// When it took calls.
    well: Vec<Span>,
    /// When it was killed, stopped or told to finish, and up to when that lasted.
    outages: Vec<Outage>,
}

/// A time in which an instance is not to be given calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) event: Event,
    pub(crate) span: Span,
    /// Whether the agents of both sides were well around its beginning.
    pub(crate) agents_well: bool,
}

impl History {
    /// # Errors
    /// The event that cannot be.
    pub(crate) fn of(events: &[Line]) -> Result<Self, String> {
        let mut history = Self::default();
        for line in events {
            let Line::Event { at, event, what } = line else {
                return Err(format!("{line:?} is no event"));
            };
            history
                .note(*at, *event, what)
                .ok_or_else(|| format!("{line:?} cannot be"))?;
        }
        Ok(history)
    }

    fn note(&mut self, at: At, event: Event, what: &str) -> Option<()> {
        let (before, number) = what.rsplit_once('-')?;
        let number = number.parse().ok()?;
        match before {
            "host" => note_outage(self.cuts.entry(number).or_default(), at, event),
            "agent" => note_outage(self.agents_out.entry(number).or_default(), at, event),
            _ => {
                let (service, host) = before.rsplit_once('-')?;
                let host = host.parse().ok()?;
                let life = self.instances.entry(what.to_owned());
                life.or_insert_with(|| Life {
                    service: service.to_owned(),
                    host,
                    whole: Span::since(at),
                    well: Vec::new(),
                    outages: Vec::new(),
                })
                .note(at, event);
            }
        }
        Some(())
    }

    /// Whether there was an instance of a service that somebody on a host could have called within
    /// a span, for long enough to find it.
    pub(crate) fn could_serve(&self, service: &str, host: usize, within: Span) -> bool {
        let enough = FOUND_WITHIN.min(within.to.saturating_sub(within.from));
        let of_service = self
            .instances
            .values()
            .filter(|life| life.service == service);
        let well = of_service.flat_map(|life| life.well.iter().map(move |well| (life, *well)));
        well.filter_map(|(life, well)| Some((life, well.common(within)?)))
            .flat_map(|(life, well)| well.without(&self.cuts_between(host, life.host)))
            .any(|left| left.to - left.from >= enough)
    }

    /// When an instance was not to be given calls by somebody on a host.
    pub(crate) fn outages(&self, instance: &str, host: usize) -> Vec<Outage> {
        let Some(life) = self.instances.get(instance) else {
            return Vec::new();
        };
        let cuts = self.cuts_between(host, life.host);
        let cuts = cuts.iter().filter_map(|cut| {
            Some(Outage {
                event: Event::Cut,
                span: cut.common(life.whole)?,
                agents_well: true,
            })
        });
        let outages = life.outages.iter().copied().chain(cuts);
        let outages = outages.map(|outage| Outage {
            agents_well: self.agents_were_well([host, life.host], outage.span),
            ..outage
        });
        outages.collect()
    }

    /// The names of all instances.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &str> {
        self.instances.keys().map(|name| &**name)
    }

    /// How often something happened to instances, agents and hosts.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for outage in self.instances.values().flat_map(|life| &life.outages) {
            let what = match outage.event {
                Event::Killed => "instances killed",
                Event::Stopped => "instances stopped",
                _ => "instances replaced",
            };
            *counts.entry(what).or_default() += 1;
        }
        let all = |spans: &BTreeMap<usize, Vec<Span>>| spans.values().map(Vec::len).sum();
        counts.insert("agents out", all(&self.agents_out));
        counts.insert("hosts cut off", all(&self.cuts));
        counts
    }

    fn cuts_between(&self, one: usize, other: usize) -> Vec<Span> {
        let of = |host| self.cuts.get(&host).into_iter().flatten().copied();
        match one == other {
            true => Vec::new(),
            false => of(one).chain(of(other)).collect(),
        }
    }

    fn agents_were_well(&self, hosts: [usize; 2], outage: Span) -> bool {
        let around = Span {
            from: outage.from.saturating_sub(AROUND),
            to: outage.to.min(outage.from.saturating_add(AROUND)),
        };
        let mut out = hosts
            .iter()
            .filter_map(|host| self.agents_out.get(host))
            .flatten();
        !out.any(|span| span.common(around).is_some())
    }
}

impl Life {
    fn note(&mut self, at: At, event: Event) {
        if let Some(last) = self.outages.last_mut() {
            last.span.to = last.span.to.min(at);
        }
        if event == Event::Up {
            self.well.push(Span::since(at));
            return;
        }
        if let Some(last) = self.well.last_mut() {
            last.to = last.to.min(at);
        }
        self.outages.push(Outage {
            event,
            span: Span::since(at),
            agents_well: true,
        });
    }
}

fn note_outage(spans: &mut Vec<Span>, at: At, event: Event) {
    if event != Event::Up {
        spans.push(Span::since(at));
    } else if let Some(last) = spans.last_mut() {
        last.to = last.to.min(at);
    }
}

/// How long an instance must have been there for a call to find it. A call that ended sooner could
/// have been served by one that was there all the time.
const FOUND_WITHIN: Duration = Duration::from_secs(1);

/// How long before and after the beginning of an outage agents must have been well for it to count
/// as one of which they could tell: they are found again within two seconds.
const AROUND: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn span(from: u64, to: u64) -> Span {
        Span {
            from: s(from),
            to: s(to),
        }
    }

    fn history(events: &[(u64, Event, &str)]) -> History {
        let line = |(at, event, what): &(u64, Event, &str)| Line::Event {
            at: s(*at),
            event: *event,
            what: (*what).to_owned(),
        };
        History::of(&events.iter().map(line).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn an_instance_could_serve_while_it_is_well() {
        let history = history(&[
            (10, Event::Up, "books-1-1"),
            (20, Event::Stopped, "books-1-1"),
            (30, Event::Up, "books-1-1"),
            (40, Event::Killed, "books-1-1"),
        ]);
        for (from, to, could) in [
            (0, 10, false),
            (0, 11, true),
            (12, 15, true),
            (20, 30, false),
            (20, 31, true),
            (39, 50, true),
            (40, 50, false),
        ] {
            assert_eq!(
                history.could_serve("books", 2, span(from, to)),
                could,
                "{from}"
            );
            assert!(!history.could_serve("stock", 2, span(from, to)));
        }
        // A moment of it is not enough to find it, unless the call took no longer.
        let moment = Span {
            from: s(5),
            to: s(10) + Duration::from_millis(999),
        };
        assert!(!history.could_serve("books", 2, moment));
        let brief = Span {
            from: s(12),
            to: s(12) + Duration::from_millis(1),
        };
        assert!(history.could_serve("books", 2, brief));
    }

    #[test]
    fn a_host_that_is_cut_off_reaches_its_own_instances_alone() {
        let history = history(&[
            (0, Event::Up, "books-1-1"),
            (10, Event::Cut, "host-1"),
            (20, Event::Up, "host-1"),
        ]);
        assert!(history.could_serve("books", 1, span(12, 15)));
        assert!(!history.could_serve("books", 2, span(12, 15)));
        assert!(!history.could_serve("books", 2, span(10, 20)));
        assert!(history.could_serve("books", 2, span(9, 12)));
        assert!(history.could_serve("books", 2, span(12, 21)));
        let seen = history.outages("books-1-1", 2);
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].event, seen[0].span), (Event::Cut, span(10, 20)));
        assert_eq!(history.outages("books-1-1", 1), []);
    }

    #[test]
    fn outages_are_told_apart_by_whether_agents_could_tell_of_them() {
        let history = history(&[
            (0, Event::Up, "books-1-1"),
            (0, Event::Up, "books-2-2"),
            (0, Event::Up, "agent-1"),
            (10, Event::Stopped, "agent-1"),
            (12, Event::Killed, "books-2-2"),
            (14, Event::Up, "agent-1"),
            (30, Event::Killed, "books-1-1"),
        ]);
        let well = |instance, host| history.outages(instance, host)[0].agents_well;
        assert!(!well("books-2-2", 1));
        assert!(well("books-2-2", 3));
        assert!(well("books-1-1", 1));
        let counts = history.counts();
        assert_eq!((counts["instances killed"], counts["agents out"]), (2, 1));
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let event = |what: &str| Line::Event {
            at: s(1),
            event: Event::Up,
            what: what.to_owned(),
        };
        for line in [
            event("host"),
            event("host-x"),
            event("books-1"),
            Line::Made(1),
        ] {
            assert!(History::of(&[line]).is_err());
        }
    }
}
