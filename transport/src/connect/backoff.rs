//! How long to leave an endpoint alone that could not be reached.

use std::time::Duration;

/// Exponential backoff with jitter: a pure function of the failures so far and a random number.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure.
    ///
    /// The jitter spreads the clients of a server that restarts; `random` is uniform over `u32`.
    pub(super) fn fail(&mut self, random: u32) -> Duration {
        let full = PAUSE_MIN
            .saturating_mul(1 << self.failures.min(16))
            .min(PAUSE_MAX);
        self.failures += 1;
        full.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
    }

    /// Forgets the failures, once the peer has proved to speak the protocol.
    pub(super) fn succeed(&mut self) {
        self.failures = 0;
    }
}

/// A server process that restarts is back after about so long; gRPC's first pause of a second is
/// too long for a mesh, where the same address usually comes back at once.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// A host that is down for long is asked a few times a minute.
const PAUSE_MAX: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_between_half_and_full_up_to_the_bound() {
        let (mut low, mut high) = (Backoff::default(), Backoff::default());
        for step in 0..40 {
            let full = PAUSE_MIN.saturating_mul(1 << step.min(16)).min(PAUSE_MAX);
            assert_eq!(low.fail(0), full.mul_f64(0.5));
            assert_eq!(high.fail(u32::MAX), full);
        }
        high.succeed();
        assert_eq!(high.fail(u32::MAX), PAUSE_MIN);
    }
}
