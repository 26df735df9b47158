//! Latencies in ranges.

use hdrhistogram::Histogram;

/// How wide the ranges are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Spacing {
    /// Each as many times as long as the one before.
    Log,
    /// All the same.
    Linear,
}

/// How many latencies are in a range.
#[derive(Debug, PartialEq)]
pub(super) struct Bucket {
    /// In nanoseconds; the first range begins at the shortest latency.
    pub(super) from: f64,
    /// The last range ends at the longest one.
    pub(super) to: f64,
    pub(super) count: u64,
}

/// Divides what was recorded between the shortest and the longest.
pub(super) fn divide(
    recorded: &Histogram<u64>,
    shortest: u64,
    longest: u64,
    spacing: Spacing,
) -> Vec<Bucket> {
    if recorded.is_empty() {
        return Vec::new();
    }
    let (from, to) = (shortest.max(1) as f64, longest.max(1) as f64);
    let ranges = if to <= from { 1 } else { RANGES };
    let edge = |index: usize| match (index, spacing) {
        (0, _) => from,
        (index, _) if index == ranges => to.max(from),
        (index, Spacing::Linear) => from + (to - from) * index as f64 / ranges as f64,
        (index, Spacing::Log) => from * (to / from).powf(index as f64 / ranges as f64),
    };
    let mut buckets: Vec<Bucket> = (0..ranges)
        .map(|index| Bucket {
            from: edge(index),
            to: edge(index + 1),
            count: 0,
        })
        .collect();
    let mut index = 0;
    for value in recorded.iter_recorded() {
        let latency = value.value_iterated_to() as f64;
        // The last range takes what the histogram rounds up beyond the longest.
        while index + 1 < ranges && latency > buckets[index].to {
            index += 1;
        }
        buckets[index].count += value.count_at_value();
    }
    buckets
}

/// What one sees at a glance.
const RANGES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for value in values {
            histogram.record(*value).unwrap();
        }
        histogram
    }

    #[test]
    fn every_latency_is_in_one_range() {
        for spacing in [Spacing::Log, Spacing::Linear] {
            let values: Vec<u64> = (1..=5000).map(|step| step * 977).collect();
            let buckets = divide(&recorded(&values), 977, 5000 * 977, spacing);
            assert_eq!(buckets.len(), RANGES);
            assert_eq!(buckets.iter().map(|it| it.count).sum::<u64>(), 5000);
            assert!(buckets.windows(2).all(|two| two[0].to == two[1].from));
            assert_eq!((buckets[0].from, buckets[11].to), (977.0, 4_885_000.0));
        }
        let linear = divide(&recorded(&[10, 11, 130]), 10, 130, Spacing::Linear);
        assert_eq!((linear[0].count, linear[11].count), (2, 1));
        let log = divide(&recorded(&[1, 2, 4096]), 1, 4096, Spacing::Log);
        assert_eq!((log[0].count, log[11].count), (2, 1));
    }

    #[test]
    fn latencies_that_are_all_the_same_are_one_range() {
        let buckets = divide(&recorded(&[7, 7]), 7, 7, Spacing::Log);
        let expected = Bucket {
            from: 7.0,
            to: 7.0,
            count: 2,
        };
        assert_eq!(buckets, [expected]);
        assert_eq!(divide(&recorded(&[]), u64::MAX, 0, Spacing::Log), []);
        assert_eq!(divide(&recorded(&[0]), 0, 0, Spacing::Log).len(), 1);
    }
}
