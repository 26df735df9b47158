//! What the checks of an instance come to.

use std::sync::Arc;

/// After how many failures in a row an instance is down. One may be a lost packet or a pause.
pub(super) const FAILURES: u8 = 2;

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) result: Answer,
    /// In a few words, for people.
    pub(super) said: Arc<str>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    /// It answers.
    Passed,
    /// Nobody listens there, which nothing but the end of a server explains.
    Refused,
    /// It is not reached, or says that it does not serve.
    Failed,
    /// It was silent for as long as a check may take.
    TimedOut,
}

impl Answer {
    pub(super) const ALL: [Self; 4] = [Self::Passed, Self::Refused, Self::Failed, Self::TimedOut];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
        }
    }
}

/// What the checks of an instance come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// In a row, up to [`FAILURES`].
    failures: u8,
    /// What the last check said.
    said: Arc<str>,
}

impl Verdict {
    pub(super) fn handle(&mut self, outcome: Outcome) {
        self.failures = match outcome.result {
            Answer::Passed => 0,
            Answer::Refused => FAILURES,
            Answer::Failed | Answer::TimedOut => (self.failures + 1).min(FAILURES),
        };
        self.said = outcome.said;
    }

    /// Whether calls are to be kept away.
    pub(super) const fn is_down(&self) -> bool {
        self.failures >= FAILURES
    }

    /// Whether another check would not be needed to be sure.
    pub(super) const fn is_sure(&self) -> bool {
        self.failures == 0 || self.is_down()
    }

    /// The last check, for people.
    pub(super) fn said(&self) -> Arc<str> {
        if self.is_sure() {
            self.said.clone()
        } else {
            format!("{} (not yet down)", self.said).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(results: &[Answer]) -> Verdict {
        let mut verdict = Verdict::default();
        for result in results {
            let said = result.as_str().into();
            verdict.handle(Outcome {
                result: *result,
                said,
            });
        }
        verdict
    }

    #[test]
    fn two_failures_in_a_row_or_one_refusal_are_down_and_one_success_is_up() {
        use Answer::{Failed, Passed, Refused, TimedOut};
        for (results, down) in [
            (&[][..], false),
            (&[Failed], false),
            (&[TimedOut], false),
            (&[Failed, TimedOut], true),
            (&[Failed, Passed, Failed], false),
            (&[Refused], true),
            (&[Refused, Passed], false),
            (&[Failed, Failed, Passed], false),
            (&[Refused, Passed, Failed], false),
            (&[Refused, Failed], true),
        ] {
            assert_eq!(after(results).is_down(), down, "{results:?}");
        }
        // No count runs over.
        assert!(after(&[Failed; 1_000]).is_down());
        assert!(!after(&[&[Failed; 1_000][..], &[Passed]].concat()).is_down());
    }

    #[test]
    fn a_first_failure_says_that_it_is_not_the_last_word() {
        assert_eq!(
            &*after(&[Answer::TimedOut]).said(),
            "timed out (not yet down)"
        );
        assert_eq!(&*after(&[Answer::TimedOut; 2]).said(), "timed out");
        assert_eq!(&*after(&[Answer::Passed]).said(), "passed");
    }
}
