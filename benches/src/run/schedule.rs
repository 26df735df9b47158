//! When the calls of an open loop are meant to begin, and a timer fine enough to keep to it.

use std::time::Duration;

/// Evenly spaced calls at a fixed rate, numbered from zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    rate_per_s: f64,
    warm_up: Duration,
    measured: Duration,
}

/// How long calls are not timed after counting has begun, or half of it where there is less.
const SETTLE: Duration = Duration::from_millis(20);

impl Schedule {
    /// `rate_per_s` must be above zero.
    pub(super) const fn new(rate_per_s: f64, warm_up: Duration, measured: Duration) -> Self {
        Self {
            rate_per_s,
            warm_up,
            measured,
        }
    }

    /// When counting begins.
    pub(super) const fn warm_up(&self) -> Duration {
        self.warm_up
    }

    /// When the plan is over.
    pub(super) fn end(&self) -> Duration {
        self.warm_up + self.measured
    }

    /// When a call is meant to begin.
    pub(super) fn at(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate_per_s)
    }

    /// How many calls are meant to have begun by then; all of them once the plan is over.
    pub(super) fn due(&self, elapsed: Duration) -> u64 {
        if elapsed >= self.end() {
            return self.total();
        }
        // The call numbered zero is due at once.
        let due = (elapsed.as_secs_f64() * self.rate_per_s).floor() as u64 + 1;
        due.min(self.total())
    }

    /// How many calls the plan has: all that begin before its end.
    pub(super) fn total(&self) -> u64 {
        (self.end().as_secs_f64() * self.rate_per_s).ceil() as u64
    }

    /// Whether a call is meant to begin within the measured time, beyond the pause in which both
    /// processes' usage is read, which may delay it.
    pub(super) fn is_timed(&self, number: u64) -> bool {
        self.at(number) >= self.warm_up + SETTLE.min(self.measured / 2)
    }
}

/// The shortest wait: calls that become due within it begin together, their latency counting
/// from when each was meant to begin.
///
/// Waking for every single call would spend more on waiting than on calls, and more the faster
/// the system under measurement is.
const STEP: Duration = Duration::from_micros(50);

/// A timer that is as precise as the system's; the runtime's own counts in milliseconds.
#[cfg(target_os = "linux")]
pub(super) struct Ticker(tokio::io::unix::AsyncFd<Timer>);

/// The system's timer, as the runtime wants it.
#[cfg(target_os = "linux")]
struct Timer(nix::sys::timerfd::TimerFd);

#[cfg(target_os = "linux")]
impl std::os::fd::AsRawFd for Timer {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsFd as _;
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(target_os = "linux")]
impl Ticker {
    /// A timer of this runtime.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for descriptors that change hands; this one never does"
    )]
    pub(super) fn new() -> std::io::Result<Self> {
        use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        tokio::io::unix::AsyncFd::new(Timer(timer)).map(Self)
    }

    /// Waits that long, or [`STEP`] if that is longer.
    pub(super) async fn wait(&self, time: Duration) -> std::io::Result<()> {
        use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};
        let expiration = Expiration::OneShot(time.max(STEP).into());
        let timer = &self.0.get_ref().0;
        timer.set(expiration, TimerSetTimeFlags::empty())?;
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|timer| timer.get_ref().0.wait().map_err(Into::into)) {
                Ok(expired) => return expired,
                Err(_not_yet) => {}
            }
        }
    }
}

/// The runtime's timer, where the system has no finer one that it could wait for.
#[cfg(not(target_os = "linux"))]
pub(super) struct Ticker;

#[cfg(not(target_os = "linux"))]
impl Ticker {
    /// A timer of this runtime.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits that long, or [`STEP`] if that is longer.
    pub(super) async fn wait(&self, time: Duration) -> std::io::Result<()> {
        tokio::time::sleep(time.max(STEP)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn calls_are_due_when_they_are_meant_to_begin_and_not_before() {
        let schedule = Schedule::new(1_000.0, 100 * MS, 200 * MS);
        assert_eq!(schedule.total(), 300);
        assert_eq!(schedule.due(Duration::ZERO), 1);
        assert_eq!(schedule.due(MS - Duration::from_nanos(1)), 1);
        assert_eq!(schedule.due(MS), 2);
        for number in 0..schedule.total() {
            assert!(schedule.due(schedule.at(number) + MS / 10) > number);
            assert!(schedule.due(schedule.at(number).saturating_sub(MS / 10)) <= number.max(1));
        }
    }

    #[test]
    fn the_plan_ends() {
        let schedule = Schedule::new(333.3, 10 * MS, 90 * MS);
        assert_eq!(schedule.due(100 * MS), schedule.total());
        assert_eq!(schedule.due(Duration::from_secs(3600)), schedule.total());
        assert!(schedule.at(schedule.total() - 1) < 100 * MS);
        assert!(schedule.at(schedule.total()) >= 100 * MS);
    }

    #[test]
    fn what_the_reading_of_usage_may_delay_is_not_timed() {
        let schedule = Schedule::new(1_000.0, 100 * MS, 200 * MS);
        let timed = [0, 99, 100, 119, 120, 299].map(|number| schedule.is_timed(number));
        assert_eq!(timed, [false, false, false, false, true, true]);
        let short = Schedule::new(1_000.0, Duration::ZERO, 10 * MS);
        assert_eq!((short.is_timed(4), short.is_timed(5)), (false, true));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_ticker_ends_its_wait() {
        let ticker = Ticker::new().unwrap();
        for _ in 0..3 {
            ticker.wait(Duration::ZERO).await.unwrap();
        }
    }
}
