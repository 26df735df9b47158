//! A weighted rotation.

use std::sync::atomic::{AtomicU64, Ordering};

/// Weights to rotate by.
///
/// Time goes round by round; in each, every place is asked once and says whether the calls it is
/// due have come to one more since the last round. The heaviest is due one in every round. As in
/// the static stride scheduler of gRPC's proposal A58, a number that is counted up is all that
/// changes, and how far the places have come is computed from it.
#[derive(Debug)]
pub(super) struct Strides {
    /// What of [`WHOLE`] calls a round each is due; the heaviest is due [`WHOLE`].
    strides: Box<[u16]>,
    sequence: AtomicU64,
}

impl Strides {
    /// Rotates by weights, none of which may be 0; there is at least one. The first is that at
    /// `start`, if its weight says so, with all places taken round by round.
    pub(super) fn new(weights: &[u32], start: u64) -> Self {
        let most = weights.iter().copied().max().unwrap_or(1);
        let stride = |weight: &u32| {
            let stride = u64::from(*weight) * u64::from(WHOLE) / u64::from(most);
            // One that is next to nothing is rounded up rather than forgotten.
            stride.max(1) as u16
        };
        Self {
            strides: weights.iter().map(stride).collect(),
            // Far from where it wraps, which would skip a part of a round.
            sequence: AtomicU64::new(start >> 1),
        }
    }

    /// The next place, found within a round: the heaviest is due in each.
    pub(super) fn next(&self) -> usize {
        let count = self.strides.len() as u64;
        loop {
            let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
            let (round, place) = (sequence / count, (sequence % count) as usize);
            let stride = u64::from(self.strides[place]);
            // The places begin at different points of their strides, so that those of one weight
            // are not all due in the same round.
            let offset = (place as u64).wrapping_mul(PHASE) % u64::from(WHOLE);
            let before = round.wrapping_mul(stride).wrapping_add(offset);
            if before % u64::from(WHOLE) + stride >= u64::from(WHOLE) {
                return place;
            }
        }
    }
}

/// What strides are parts of.
const WHOLE: u16 = u16::MAX;
/// The golden ratio's part of [`WHOLE`], which spreads any number of points evenly.
const PHASE: u64 = 40_503;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(weights: &[u32], calls: usize) -> Vec<usize> {
        let strides = Strides::new(weights, 0);
        let mut counts = vec![0; weights.len()];
        (0..calls).for_each(|_| counts[strides.next()] += 1);
        counts
    }

    #[test]
    fn equal_weights_take_turns() {
        let strides = Strides::new(&[7, 7, 7], 0);
        let first: Vec<_> = (0..6).map(|_| strides.next()).collect();
        assert_eq!(first, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn each_comes_up_as_often_as_its_weight_says() {
        for weights in [&[1, 2, 3, 4][..], &[9, 1], &[100, 1, 1], &[1]] {
            let total: u32 = weights.iter().sum();
            let calls = 10_000 * total as usize;
            for (weight, count) in weights.iter().zip(counts(weights, calls)) {
                let expected = 10_000 * *weight as usize;
                assert!(
                    count.abs_diff(expected) <= expected / 1_000 + 2,
                    "{weights:?}"
                );
            }
        }
    }

    #[test]
    fn the_light_come_up_between_the_heavy_and_not_in_a_row() {
        let strides = Strides::new(&[3, 1, 1], 0);
        let picked: Vec<_> = (0..1_000).map(|_| strides.next()).collect();
        let longest = picked.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
        assert!(longest <= Some(4), "{longest:?}");
    }

    #[test]
    fn a_weight_that_is_next_to_nothing_still_comes_up() {
        let counts = counts(&[u32::MAX, 1], 2 * usize::from(WHOLE));
        assert!(counts[1] > 0, "{counts:?}");
    }
}
