//! How much of the calls goes to which distance.

/// For each tier, nearest first, what of 2^32 calls goes to it and those before it, by the weight
/// that is there and the weight that is available, which is not 0.
///
/// A tier takes all that reaches it while five sevenths of it are available, and what lacks of that
/// in proportion goes on: Envoy's rule for priority levels, with its factor of 1.4. What nobody
/// takes is given out in the same proportions.
pub(super) fn shares(tiers: impl Iterator<Item = (u64, u64)>) -> Vec<u32> {
    let mut rest = 1.0;
    let taken: Vec<f64> = tiers
        .map(|(all, available)| {
            let health = (OVERPROVISION * available as f64 / all as f64).min(1.0);
            let taken = health.min(rest);
            rest -= taken;
            taken
        })
        .collect();
    let total: f64 = taken.iter().sum();
    let upto = taken.iter().scan(0.0, |sum, taken| {
        *sum += taken / total;
        Some((*sum * f64::from(u32::MAX)).round() as u32)
    });
    upto.collect()
}

/// How much more than its part an endpoint can take.
const OVERPROVISION: f64 = 1.4;

#[cfg(test)]
mod tests {
    use super::*;

    /// What of a hundred calls goes to each.
    fn percent(tiers: &[(u64, u64)]) -> Vec<u32> {
        let upto = shares(tiers.iter().copied());
        let percent = |it: &u32| (f64::from(*it) / f64::from(u32::MAX) * 100.0).round() as u32;
        let upto: Vec<u32> = upto.iter().map(percent).collect();
        let before = [0].into_iter().chain(upto.iter().copied());
        upto.iter()
            .zip(before)
            .map(|(it, before)| it - before)
            .collect()
    }

    #[test]
    fn the_nearest_takes_all_while_most_of_it_is_available() {
        assert_eq!(percent(&[(10, 10), (10, 10)]), [100, 0]);
        assert_eq!(percent(&[(7, 5), (10, 10)]), [100, 0]);
        assert_eq!(percent(&[(7, 4), (10, 10)]), [80, 20]);
        assert_eq!(percent(&[(10, 1), (10, 10), (10, 10)]), [14, 86, 0]);
    }

    #[test]
    fn what_is_too_much_for_all_is_given_out_in_proportion() {
        assert_eq!(percent(&[(10, 1)]), [100]);
        assert_eq!(percent(&[(10, 1), (10, 1)]), [50, 50]);
        assert_eq!(percent(&[(10, 3), (10, 1)]), [75, 25]);
    }
}
