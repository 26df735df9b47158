//! What an endpoint is doing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the answers of an endpoint take and how many are outstanding, as one client sees it.
///
/// The latency is a moving average that follows every rise at once and forgets it exponentially:
/// the peak-sensitive EWMA of Finagle. Three things are added to it. An endpoint that owes answers
/// and has given none for longer than its average is as slow as that silence is long, so that one
/// which hangs is avoided before the first deadline passes. A peak is forgotten by what follows on
/// it too, not by time alone: every answer counts for at least a twentieth, and that to the first
/// call after a rest takes the average three quarters of the way to it, by ratio, so that an
/// endpoint that had to pause for a moment has its calls back after a few answers. And below 50 µs
/// all are equally fast, so that noise decides nothing.
///
/// Every call that begins has to end by one of the other methods, once. All of it is a few atomic
/// operations.
#[derive(Debug)]
pub struct Load {
    /// What the times are counted from.
    origin: Instant,
    /// The average in seconds as the bits of an `f32`, and behind it the milliseconds from the
    /// origin to when it was computed, which wrap.
    average: AtomicU64,
    /// How many calls are outstanding, and in the lower half, how many of them owe one answer.
    calls: AtomicU64,
    /// The nanoseconds from the origin to when an answer came last, or to when the first of those
    /// that are owed was asked for.
    moved: AtomicU64,
    /// How many calls have failed because of it, those that could not reach it among them.
    failures: AtomicU64,
}

impl Load {
    /// That of an endpoint of which nothing is known.
    pub fn new(now: Instant) -> Self {
        Self::with_latency(now, Duration::ZERO)
    }

    /// That of an endpoint that is expected to answer in so much time, such as the others do.
    pub fn with_latency(now: Instant, latency: Duration) -> Self {
        Self {
            origin: now,
            average: AtomicU64::new(Average::new(latency.as_secs_f32(), 0).bits()),
            calls: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// A call with one answer began.
    #[inline]
    pub fn handle_begun(&self, now: Instant) {
        let before = self.calls.fetch_add(OUTSTANDING | 1, Ordering::Relaxed);
        if before as u32 == 0 {
            self.moved.store(self.nanos(now), Ordering::Relaxed);
        }
    }

    /// A call began whose answers come as they like, of which only the number counts.
    pub fn handle_begun_stream(&self) {
        self.calls.fetch_add(OUTSTANDING, Ordering::Relaxed);
    }

    /// A call of many answers has ended.
    pub fn handle_ended_stream(&self) {
        self.calls.fetch_sub(OUTSTANDING, Ordering::Relaxed);
    }

    /// The answer came to a call that began then.
    #[inline]
    pub fn handle_answered(&self, began: Instant, now: Instant) {
        let nanos = self.nanos(now);
        self.handle_ended(nanos);
        self.observe(now.saturating_duration_since(began), nanos);
    }

    /// A call that began then has failed in a way that says something of the endpoint: it could
    /// not take it, or was lost with its connection.
    ///
    /// That counts as an answer after a second or more. To fail is quick, and would attract calls.
    pub fn handle_failed(&self, began: Instant, now: Instant) {
        let nanos = self.nanos(now);
        self.handle_ended(nanos);
        self.failures.fetch_add(1, Ordering::Relaxed);
        let elapsed = now.saturating_duration_since(began);
        self.observe(elapsed.max(FAILURE), nanos);
    }

    /// It could not be reached, so that no call began there; that counts as a failure does.
    pub fn handle_unreachable(&self, now: Instant) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.observe(FAILURE, self.nanos(now));
    }

    /// The caller of a call that began then has given up, or its time was over.
    ///
    /// An answer would have taken longer than that; if it is less than usual it says nothing.
    pub fn handle_given_up(&self, began: Instant, now: Instant) {
        self.calls.fetch_sub(OUTSTANDING | 1, Ordering::Relaxed);
        let elapsed = now.saturating_duration_since(began);
        if elapsed > self.average(now) {
            self.observe(elapsed, self.nanos(now));
        }
    }

    /// How many calls are outstanding.
    pub fn outstanding(&self) -> u32 {
        (self.calls.load(Ordering::Relaxed) >> 32) as u32
    }

    /// How many calls have failed because of the endpoint, those that could not reach it among them.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How long an answer is expected to take.
    pub fn latency(&self, now: Instant) -> Duration {
        Duration::from_secs_f32(self.seconds(now, self.calls.load(Ordering::Relaxed)))
    }

    /// What one more call costs here: the latency, times what is outstanding and this one.
    ///
    /// `relief` is how much less than the mean an endpoint can take: what is outstanding at one of
    /// twice the weight counts half.
    #[inline]
    pub(super) fn cost(&self, now: Instant, relief: f32) -> f32 {
        let calls = self.calls.load(Ordering::Relaxed);
        let outstanding = (calls >> 32) as f32 * relief;
        self.seconds(now, calls) * (1.0 + outstanding)
    }

    /// Whether nothing is outstanding and no answer has come for a while, so that it may be doing
    /// better than what is remembered.
    #[cold]
    pub(super) fn is_rested(&self, now: Instant) -> bool {
        let average = Average::from_bits(self.average.load(Ordering::Relaxed));
        self.outstanding() == 0 && average.age(millis(self.nanos(now))) > REST_MS
    }

    #[inline]
    fn seconds(&self, now: Instant, calls: u64) -> f32 {
        let nanos = self.nanos(now);
        let average = Average::from_bits(self.average.load(Ordering::Relaxed));
        let average = average.after(millis(nanos)).max(FLOOR);
        if calls as u32 == 0 {
            return average;
        }
        let silence = nanos.saturating_sub(self.moved.load(Ordering::Relaxed));
        average.max(silence as f32 / 1e9)
    }

    fn average(&self, now: Instant) -> Duration {
        let average = Average::from_bits(self.average.load(Ordering::Relaxed));
        Duration::from_secs_f32(average.after(millis(self.nanos(now))))
    }

    fn handle_ended(&self, nanos: u64) {
        self.calls.fetch_sub(OUTSTANDING | 1, Ordering::Relaxed);
        self.moved.store(nanos, Ordering::Relaxed);
    }

    fn observe(&self, latency: Duration, nanos: u64) {
        let (latency, at) = (latency.as_secs_f32(), millis(nanos));
        // It always gives a new value, so there is nothing to be told of the old one.
        let _ = self
            .average
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
                Some(Average::from_bits(bits).with(latency, at).bits())
            });
    }

    fn nanos(&self, now: Instant) -> u64 {
        let nanos = now.saturating_duration_since(self.origin).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

/// An average and when it was computed.
#[derive(Clone, Copy)]
struct Average {
    seconds: f32,
    at_millis: u32,
}

impl Average {
    const fn new(seconds: f32, at_millis: u32) -> Self {
        Self { seconds, at_millis }
    }

    const fn from_bits(bits: u64) -> Self {
        Self::new(f32::from_bits((bits >> 32) as u32), bits as u32)
    }

    const fn bits(self) -> u64 {
        (self.seconds.to_bits() as u64) << 32 | self.at_millis as u64
    }

    /// What is left of it when nothing has been observed since.
    fn after(self, at_millis: u32) -> f32 {
        self.seconds * self.remembered(at_millis)
    }

    /// The average with one more observation.
    fn with(self, seconds: f32, at_millis: u32) -> Self {
        let remembered = self.remembered(at_millis);
        // An observation counts for at least so much, however close to the last one: a hundred
        // answers in a moment say more than the moment.
        let remembered = remembered.min(REMEMBERED_MAX);
        let seconds = if seconds >= self.seconds {
            seconds
        } else if self.age(at_millis).saturating_sub((seconds * 1e3) as u32) > REST_MS {
            // The first call after a rest says more than what is remembered of before.
            let seconds = seconds.max(FLOOR);
            seconds * (self.after(at_millis) / seconds).sqrt().sqrt()
        } else {
            self.seconds * remembered + seconds * (1.0 - remembered)
        };
        Self::new(seconds, self.at_millis.wrapping_add(self.age(at_millis)))
    }

    fn remembered(self, at_millis: u32) -> f32 {
        match self.age(at_millis) {
            0 => 1.0,
            age => (-(age as f32) / DECAY_MS).exp(),
        }
    }

    /// How long ago it was computed; a time before that, of another thread that looked at the clock
    /// a moment earlier, is the same moment.
    const fn age(self, at_millis: u32) -> u32 {
        let age = at_millis.wrapping_sub(self.at_millis);
        if age > u32::MAX / 2 { 0 } else { age }
    }
}

/// The milliseconds that so many nanoseconds are; they wrap after 49 days.
const fn millis(nanos: u64) -> u32 {
    (nanos / 1_000_000) as u32
}

/// One outstanding call, whether it owes one answer or not.
const OUTSTANDING: u64 = 1 << 32;
/// How long it takes to forget all but a third of a peak: Finagle's and Linkerd's default.
const DECAY_MS: f32 = 10_000.0;
/// After how long without an answer an endpoint is rested.
const REST_MS: u32 = 100;
/// What is left of an average after an observation, at most.
const REMEMBERED_MAX: f32 = 0.95;
/// What an endpoint takes at the least, in seconds: below it, one that is as good as another may
/// differ by its core's clock.
const FLOOR: f32 = 50e-6;
/// What a failure counts as.
const FAILURE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
