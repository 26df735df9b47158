//! Call scope: by when a call must have ended.

use std::time::{Duration, Instant};

use crate::call::Deadline;

/// The deadline of a call: its own, else what its method declares, and never later than that of
/// the call in whose handler it is made.
///
/// `now` is asked only when a duration must become an instant.
pub(crate) fn effective(
    own: Option<Deadline>,
    timeout: Option<Duration>,
    declared: Option<Duration>,
    inherited: Option<Deadline>,
    now: impl FnOnce() -> Instant,
) -> Option<Deadline> {
    let relative = match (own, timeout) {
        (None, None) => declared,
        (_, timeout) => timeout,
    };
    let relative = relative.and_then(|timeout| Deadline::after(now(), timeout));
    Deadline::earlier(Deadline::earlier(own, relative), inherited)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(10);

    fn start() -> Instant {
        crate::clock::now()
    }

    #[test]
    fn nothing_said_reads_no_clock() {
        let no_clock = || unreachable!("the clock was read");
        assert_eq!(effective(None, None, None, None, no_clock), None);
        let inherited = Some(Deadline::at(start()));
        assert_eq!(effective(None, None, None, inherited, no_clock), inherited);
        assert_eq!(effective(inherited, None, None, None, no_clock), inherited);
    }

    #[test]
    fn the_callers_own_replaces_the_declared_one() {
        let now = start();
        let declared = effective(None, None, Some(SHORT), None, || now);
        assert_eq!(declared, Deadline::after(now, SHORT));
        let own = effective(None, Some(LONG), Some(SHORT), None, || now);
        assert_eq!(own, Deadline::after(now, LONG));
        let absolute = Deadline::after(now, LONG);
        assert_eq!(
            effective(absolute, None, Some(SHORT), None, || now),
            absolute
        );
    }

    #[test]
    fn the_inherited_one_is_never_exceeded() {
        let now = start();
        let inherited = Deadline::after(now, SHORT);
        assert_eq!(
            effective(None, Some(LONG), None, inherited, || now),
            inherited
        );
        let later = Deadline::after(now, LONG);
        assert_eq!(effective(None, Some(SHORT), None, later, || now), inherited);
    }
}
