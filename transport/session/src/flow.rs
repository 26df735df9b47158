//! Credit: who may send how much (PROTOCOL.md §5), and the budget for frames that do no work.

use crate::frame::{CHUNK_BYTES_MAX, CloseCode, Violation};

/// What a message costs on a stream besides its bytes, so that empty ones are bounded too
/// (PROTOCOL.md §5.2).
pub const MESSAGE_OVERHEAD: i64 = 64;

/// What a message of `length` bytes costs on a stream.
#[inline]
pub(crate) const fn charge(length: usize) -> i64 {
    length as i64 + MESSAGE_OVERHEAD
}

/// Whether a message needs connection credit and chunks.
#[inline]
pub(crate) const fn is_large(length: usize) -> bool {
    length > CHUNK_BYTES_MAX
}

/// Whether a message may be sent on a stream that has `credit` of `window` left.
///
/// A small one needs its charge. A large one may take the stream into debt, but only when less
/// than half of the window is in use: so each stream holds at most one that is not taken, and a
/// receiver that returns credit late, by half windows, never stalls it (PROTOCOL.md §5.3).
#[inline]
pub(crate) const fn admits(credit: i64, window: i64, length: usize) -> bool {
    if is_large(length) {
        credit > window / 2
    } else {
        credit >= charge(length)
    }
}

/// The receiving half of a stream's credit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Receiving {
    /// What the peer may still send; below zero only after one large message.
    credit: i64,
    /// What the consumer took and CREDIT has not returned yet.
    unreturned: i64,
}

impl Receiving {
    #[inline]
    pub(crate) fn new(window: u32) -> Self {
        Self {
            credit: i64::from(window),
            unreturned: 0,
        }
    }

    /// Takes the charge of an arriving message.
    #[inline]
    pub(crate) fn arrive(&mut self, window: u32, length: usize) -> Result<(), Violation> {
        if !admits(self.credit, i64::from(window), length) {
            return Err(Violation::new(
                CloseCode::CREDIT,
                "a stream sent beyond its credit",
            ));
        }
        self.credit -= charge(length);
        Ok(())
    }

    /// Notes that the consumer took a message; gives the amount that is worth a CREDIT frame.
    #[inline]
    pub(crate) fn taken(&mut self, window: u32, length: usize) -> Option<u64> {
        self.unreturned += charge(length);
        if self.unreturned < i64::from(window / 2) {
            return None;
        }
        self.credit += self.unreturned;
        Some(std::mem::take(&mut self.unreturned) as u64)
    }
}

/// The connection's credit for large messages, seen from either end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    /// All there is.
    total: u64,
    /// What is left; `left <= total`.
    left: u64,
}

impl Pool {
    pub(crate) const fn new(total: u64) -> Self {
        Self { total, left: total }
    }

    /// Raises the total, when the peer's HELLO announces more than the minimum.
    pub(crate) fn raise_to(&mut self, total: u64) {
        self.left += total.saturating_sub(self.total);
        self.total = self.total.max(total);
    }

    /// Takes `amount` if it is there.
    pub(crate) fn reserve(&mut self, amount: u64) -> bool {
        let enough = amount <= self.left;
        if enough {
            self.left -= amount;
        }
        enough
    }

    /// Takes `amount` back.
    pub(crate) fn restore(&mut self, amount: u64) -> Result<(), Violation> {
        if amount > self.total - self.left {
            return Err(Violation::new(
                CloseCode::CREDIT,
                "more credit returned than was used",
            ));
        }
        self.left += amount;
        Ok(())
    }

    pub(crate) const fn in_use(&self) -> u64 {
        self.total - self.left
    }
}

/// The allowance for frames that cost work and do none (PROTOCOL.md §6.4).
///
/// A leaky bucket: calls that are served refill it, and so does time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    tokens: u32,
    tokens_max: u32,
    refilled_us: u64,
}

impl Budget {
    pub(crate) const fn new(calls_max: u32) -> Self {
        let tokens_max = BUDGET_BASE + 2 * calls_max;
        Self {
            tokens: tokens_max,
            tokens_max,
            refilled_us: 0,
        }
    }

    /// Pays for one frame.
    pub(crate) fn spend(&mut self, now_us: u64) -> Result<(), Violation> {
        let earned = (now_us - self.refilled_us) / BUDGET_REFILL_US;
        if earned > 0 {
            self.refilled_us += earned * BUDGET_REFILL_US;
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(earned).min(self.tokens_max);
        }
        match self.tokens.checked_sub(1) {
            Some(left) => self.tokens = left,
            None => {
                return Err(Violation::new(
                    CloseCode::FLOOD,
                    "too many frames without work",
                ));
            }
        }
        Ok(())
    }

    /// Refills by one, since work was done.
    #[inline]
    pub(crate) fn earn(&mut self) {
        self.tokens = (self.tokens + 1).min(self.tokens_max);
    }
}

/// Tokens besides two for each call the server serves: a burst no working peer reaches.
const BUDGET_BASE: u32 = 1000;

/// One token in two milliseconds: 500 a second, far above any keepalive.
const BUDGET_REFILL_US: u64 = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u32 = 128 * 1024;

    #[test]
    fn a_stream_is_charged_to_the_byte() {
        let mut stream = Receiving::new(WINDOW);
        let fill = 64 * 1024 - 64;
        stream.arrive(WINDOW, fill).unwrap();
        stream.arrive(WINDOW, fill).unwrap();
        assert_eq!(
            stream.arrive(WINDOW, 0).unwrap_err().code,
            CloseCode::CREDIT
        );
        assert_eq!(stream.taken(WINDOW, fill), Some(64 * 1024));
        stream.arrive(WINDOW, fill).unwrap();
        assert!(stream.arrive(WINDOW, 0).is_err());
    }

    #[test]
    fn credit_comes_back_by_half_windows() {
        let mut stream = Receiving::new(WINDOW);
        stream.arrive(WINDOW, 32 * 1024).unwrap();
        assert_eq!(stream.taken(WINDOW, 32 * 1024), None);
        stream.arrive(WINDOW, 32 * 1024 - 128).unwrap();
        assert_eq!(stream.taken(WINDOW, 32 * 1024 - 128), Some(64 * 1024));
    }

    #[test]
    fn one_large_message_at_a_time() {
        let mut stream = Receiving::new(WINDOW);
        stream.arrive(WINDOW, 1 << 20).unwrap();
        assert!(stream.arrive(WINDOW, 1 << 20).is_err());
        assert!(stream.arrive(WINDOW, 0).is_err());
        assert_eq!(stream.taken(WINDOW, 1 << 20), Some((1 << 20) + 64));
        stream.arrive(WINDOW, 1 << 20).unwrap();
        let half = i64::from(WINDOW) / 2;
        assert!(!admits(half, i64::from(WINDOW), 1 << 20) && admits(half + 1, half * 2, 1 << 20));
    }

    #[test]
    fn the_pool_neither_overdraws_nor_overflows() {
        let mut pool = Pool::new(10);
        assert!(pool.reserve(10) && !pool.reserve(1));
        pool.raise_to(12);
        assert!(pool.reserve(2) && !pool.reserve(1));
        assert_eq!(pool.restore(12), Ok(()));
        assert_eq!(pool.restore(1).unwrap_err().code, CloseCode::CREDIT);
    }

    #[test]
    fn the_budget_ends_one_past_its_limit_and_refills() {
        let mut budget = Budget::new(0);
        for _ in 0..1000 {
            budget.spend(0).unwrap();
        }
        assert_eq!(budget.spend(1999).unwrap_err().code, CloseCode::FLOOD);
        budget.spend(2000).unwrap();
        assert!(budget.spend(2001).is_err());
        budget.earn();
        budget.spend(2001).unwrap();
        assert!(budget.spend(2001).is_err());
    }
}
