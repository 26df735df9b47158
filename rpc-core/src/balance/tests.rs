use super::*;
use crate::clock;

/// How many of the calls went to each, none of which ever ends.
fn counts(picker: &Picker, calls: u32, now: Instant) -> Vec<u32> {
    let mut random = Random::seeded(SEED);
    let mut counts = vec![0; picker.members().len()];
    for _ in 0..calls {
        counts[picker.pick(now, &mut random).unwrap()] += 1;
    }
    counts
}

fn member(now: Instant) -> Member {
    Member::new(Arc::new(Load::new(now)))
}

fn weighted(policy: Policy, weights: &[u32], now: Instant) -> Picker {
    let members = weights.iter().map(|weight| member(now).weight(*weight));
    Picker::new(policy, members.collect(), SEED)
}

/// Whether a count of so many calls is what a share of them says, within four deviations.
fn is_share(count: u32, share: f64, calls: u32) -> bool {
    let calls = f64::from(calls);
    let deviation = (calls * share * (1.0 - share)).sqrt();
    (f64::from(count) - calls * share).abs() <= 4.0 * deviation + 1.0
}

const SEED: u64 = 0x5eed;
const CALLS: u32 = 100_000;
const POLICIES: [Policy; 3] = [Policy::PeakEwma, Policy::RoundRobin, Policy::Random];

#[test]
fn endpoints_that_do_equally_well_get_calls_by_their_weights() {
    let now = clock::now();
    for policy in POLICIES {
        for weights in [&[1, 1, 1][..], &[9, 1], &[5, 0, 3, 2], &[1]] {
            let total: u32 = weights.iter().sum();
            let counts = counts(&weighted(policy, weights, now), CALLS, now);
            for (weight, count) in weights.iter().zip(&counts) {
                let share = f64::from(*weight) / f64::from(total);
                assert!(
                    is_share(*count, share, CALLS),
                    "{policy:?} {weights:?} {counts:?}"
                );
            }
        }
    }
}

#[test]
fn there_is_nothing_to_pick_from_nobody_and_from_no_weight() {
    let now = clock::now();
    for policy in POLICIES {
        let mut random = Random::seeded(SEED);
        let nobody = Picker::new(policy, Vec::new(), SEED);
        assert_eq!(nobody.pick(now, &mut random), None);
        let weightless = weighted(policy, &[0, 0], now);
        assert_eq!(weightless.pick(now, &mut random), None);
        assert_eq!(weightless.pick_other(now, &mut random, |_| false), None);
    }
}

#[test]
fn the_slow_one_of_three_gets_next_to_nothing() {
    let now = clock::now();
    let slow = Arc::new(Load::with_latency(now, Duration::from_millis(20)));
    let fast = || Member::new(Arc::new(Load::with_latency(now, Duration::from_millis(2))));
    let picker = Picker::new(
        Policy::PeakEwma,
        vec![Member::new(slow), fast(), fast()],
        SEED,
    );
    let counts = counts(&picker, CALLS, now);
    assert!(counts[0] < CALLS / 1_000, "{counts:?}");
    assert!(counts[1].abs_diff(counts[2]) < CALLS / 50, "{counts:?}");
}

#[test]
fn what_is_outstanding_evens_out_by_the_weights() {
    let now = clock::now();
    let picker = weighted(Policy::PeakEwma, &[6, 3, 1], now);
    let mut random = Random::seeded(SEED);
    for _ in 0..1_000 {
        let picked = picker.pick(now, &mut random).unwrap();
        picker.members()[picked].load().handle_begun(now);
    }
    for (member, expected) in picker.members().iter().zip([600, 300, 100_u32]) {
        let outstanding = member.load().outstanding();
        assert!(
            outstanding.abs_diff(expected) < 40,
            "{outstanding} for {expected}"
        );
    }
}

#[test]
fn the_unavailable_get_calls_only_if_nobody_is_available() {
    let now = clock::now();
    for policy in POLICIES {
        let members = vec![member(now), member(now).available(false), member(now)];
        let counts_of_two = counts(&Picker::new(policy, members, SEED), CALLS, now);
        assert_eq!(counts_of_two[1], 0);
        let nobody = (0..3).map(|_| member(now).available(false)).collect();
        let counts_of_all = counts(&Picker::new(policy, nobody, SEED), CALLS, now);
        for count in &counts_of_all {
            assert!(
                is_share(*count, 1.0 / 3.0, CALLS),
                "{policy:?} {counts_of_all:?}"
            );
        }
    }
}

#[test]
fn calls_stay_in_the_zone_until_too_little_of_it_is_left() {
    let now = clock::now();
    let at = |nearness| move |_| member(now).nearness(nearness);
    for policy in POLICIES {
        for (gone, shares) in [
            (0, [1.0, 0.0]),
            (1, [1.0, 0.0]),
            (3, [0.56, 0.44]),
            (5, [0.0, 1.0]),
        ] {
            let near = (0..5).map(at(Nearness::Zone));
            let near = near.enumerate().map(|(at, it)| it.available(at >= gone));
            let far = (0..5).map(at(Nearness::Elsewhere));
            let picker = Picker::new(policy, near.chain(far).collect(), SEED);
            let counts = counts(&picker, CALLS, now);
            let sums = [counts[..5].iter().sum(), counts[5..].iter().sum()];
            for (count, share) in sums.into_iter().zip(shares) {
                assert!(is_share(count, share, CALLS), "{policy:?} {gone} {sums:?}");
            }
        }
    }
}

#[test]
fn a_newcomer_is_given_more_and_more() {
    let start = clock::now();
    let period = Duration::from_secs(10);
    for policy in POLICIES {
        let newcomer = member(start).starting(start, period);
        let picker = Picker::new(policy, vec![member(start), newcomer], SEED);
        let part = |after: u64| {
            let counts = counts(&picker, CALLS, start + Duration::from_secs(after));
            f64::from(counts[1]) / f64::from(counts[0])
        };
        let parts = [part(0), part(1), part(5), part(10), part(100)];
        for (part, expected) in parts.iter().zip([0.1, 0.1, 0.5, 1.0, 1.0]) {
            assert!((part / expected - 1.0).abs() < 0.25, "{policy:?} {parts:?}");
        }
    }
}

#[test]
fn newcomers_alone_are_given_all() {
    let start = clock::now();
    for policy in POLICIES {
        let newcomers = (0..3).map(|_| member(start).starting(start, Duration::from_secs(10)));
        let counts = counts(
            &Picker::new(policy, newcomers.collect(), SEED),
            CALLS,
            start,
        );
        for count in &counts {
            assert!(is_share(*count, 1.0 / 3.0, CALLS), "{policy:?} {counts:?}");
        }
    }
}

#[test]
fn another_one_is_found_as_long_as_there_is_one() {
    let now = clock::now();
    let mut random = Random::seeded(SEED);
    for policy in POLICIES {
        // Nobody would draw the last one by chance.
        let picker = weighted(policy, &[1_000_000, 1_000_000, 1], now);
        for _ in 0..1_000 {
            let other = picker.pick_other(now, &mut random, |at| at != 2);
            assert_eq!(other, Some(2));
            assert!(picker.pick_other(now, &mut random, |_| true).is_some());
        }
    }
}
