//! What this process sees of the endpoints that it calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use dreammesh_core::balance::Load;

use crate::proto;

/// The loads of endpoints, by instance; they go with the channels that they are of.
#[derive(Debug, Default)]
pub(super) struct Loads {
    by_id: BTreeMap<Arc<str>, Seen>,
    /// The last one of which a report had room.
    last: Option<Arc<str>>,
}

/// What was seen of an instance.
#[derive(Debug, Default)]
struct Seen {
    /// One for each channel that calls it.
    loads: Vec<Weak<Load>>,
    /// Failures of all of them that were reported.
    failures: u64,
    /// The order of magnitude of latency and outstanding calls that was reported.
    magnitude: (u32, u32),
}

impl Loads {
    /// Watches an endpoint.
    pub(super) fn add(&mut self, id: &str, load: &Arc<Load>) {
        let seen = match self.by_id.get_mut(id) {
            Some(seen) => seen,
            None => self.by_id.entry(id.into()).or_default(),
        };
        let is_it = |known: &Weak<Load>| std::ptr::eq(known.as_ptr(), Arc::as_ptr(load));
        if !seen.loads.iter().any(is_it) {
            seen.loads.push(Arc::downgrade(load));
        }
    }

    /// What has changed since the last report, of no more instances than one may have; the others
    /// are first in the next one.
    pub(super) fn report(&mut self, now: Instant) -> Option<proto::LoadReport> {
        self.by_id.retain(|_, seen| {
            seen.loads.retain(|load| load.strong_count() > 0);
            !seen.loads.is_empty()
        });
        let after = self.last.take();
        let (mut instances, mut last) = (Vec::new(), None);
        for (id, seen) in &mut self.by_id {
            if after.as_ref().is_some_and(|after| id <= after) {
                continue;
            }
            if instances.len() == REPORTED_MAX {
                self.last = last;
                break;
            }
            if let Some(load) = seen.report(id, now) {
                instances.push(load);
                last = Some(Arc::clone(id));
            }
        }
        (!instances.is_empty()).then(|| proto::LoadReport {
            instances,
            ..Default::default()
        })
    }
}

impl Seen {
    fn report(&mut self, id: &str, now: Instant) -> Option<proto::InstanceLoad> {
        let loads: Vec<_> = self.loads.iter().filter_map(Weak::upgrade).collect();
        let failures: u64 = loads.iter().map(|load| load.failures()).sum();
        let outstanding: u32 = loads.iter().map(|load| load.outstanding()).sum();
        let latency = loads.iter().map(|load| load.latency(now)).max()?;
        let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let magnitude = (magnitude(latency_us), magnitude(outstanding.into()));
        // One channel less is no call that did not fail.
        let new = failures.saturating_sub(self.failures);
        let is_new = new > 0 || magnitude != self.magnitude;
        self.failures = failures;
        self.magnitude = magnitude;
        is_new.then(|| proto::InstanceLoad {
            id: id.to_owned(),
            failures: new,
            latency_us,
            outstanding,
            ..Default::default()
        })
    }
}

/// The order of magnitude of a number, that of 0 being 0.
fn magnitude(number: u64) -> u32 {
    number.checked_ilog2().map_or(0, |log| log + 1)
}

/// Some 50 bytes each, so that a report is a small message.
const REPORTED_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(report: &proto::LoadReport) -> Vec<&str> {
        report.instances.iter().map(|it| &*it.id).collect()
    }

    #[test]
    fn only_what_changed_is_reported() {
        let now = crate::clock::now();
        let (mut loads, a, b) = (
            Loads::default(),
            Arc::new(Load::new(now)),
            Arc::new(Load::new(now)),
        );
        loads.add("a", &a);
        loads.add("a", &a);
        loads.add("b", &b);
        // What stands still is told once.
        loads.report(now);
        assert_eq!(loads.report(now), None);
        a.handle_unreachable(now);
        let report = loads.report(now).unwrap();
        assert_eq!((ids(&report), report.instances[0].failures), (vec!["a"], 1));
        assert_eq!(report.instances[0].latency_us, 1_000_000);
        assert_eq!(loads.report(now), None);
        b.handle_begun_stream();
        let report = loads.report(now).unwrap();
        assert_eq!(
            (ids(&report), report.instances[0].outstanding),
            (vec!["b"], 1)
        );
        drop((a, b));
        assert_eq!(loads.report(now), None);
        assert!(loads.by_id.is_empty());
    }

    #[test]
    fn a_report_is_bounded_and_what_has_no_room_is_in_the_next() {
        let now = crate::clock::now();
        let load = Arc::new(Load::new(now));
        load.handle_unreachable(now);
        let mut loads = Loads::default();
        for at in 0..=REPORTED_MAX {
            loads.add(&format!("{at:05}"), &load);
        }
        assert_eq!(loads.report(now).unwrap().instances.len(), REPORTED_MAX);
        assert_eq!(ids(&loads.report(now).unwrap()), ["01000"]);
        assert_eq!(loads.report(now), None);
    }
}
