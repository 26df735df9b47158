use super::*;
use crate::clock;

const MS: Duration = Duration::from_millis(1);

fn answer(load: &Load, began: Instant, latency: Duration) -> Instant {
    load.handle_begun(began);
    load.handle_answered(began, began + latency);
    began + latency
}

fn close(actual: Duration, expected: Duration) -> bool {
    actual.abs_diff(expected) <= expected / 1_000
}

#[test]
fn a_peak_is_followed_at_once_and_forgotten_exponentially() {
    let (start, load) = (clock::now(), Load::new(clock::now()));
    let now = answer(&load, start, 5 * MS);
    assert!(close(load.latency(now), 5 * MS));
    let now = answer(&load, now, 400 * MS);
    assert!(close(load.latency(now), 400 * MS));
    let third = Duration::from_secs_f32(0.4 / std::f32::consts::E);
    let later = now + Duration::from_secs(10);
    assert!(
        close(load.latency(later), third),
        "{:?}",
        load.latency(later)
    );
}

#[test]
fn every_answer_counts_for_at_least_a_twentieth() {
    let start = clock::now();
    let load = Load::with_latency(start, 400 * MS);
    answer(&load, start, Duration::ZERO);
    assert!(close(load.latency(start), 380 * MS));
    // Who takes long to answer is not at rest.
    let now = answer(&load, start, 190 * MS);
    let mixed = 0.38 * 0.95 + 0.19 * 0.05;
    assert!(close(load.latency(now), Duration::from_secs_f32(mixed)));
}

#[test]
fn an_answer_after_a_rest_takes_it_three_quarters_of_the_way() {
    let start = clock::now();
    let load = Load::with_latency(start, Duration::from_secs(10));
    let rest = Duration::from_millis(u64::from(REST_MS));
    assert!(!load.is_rested(start + rest));
    assert!(load.is_rested(start + rest + MS));
    load.handle_begun(start);
    assert!(!load.is_rested(start + rest + MS));
    let now = start + rest + 2 * MS;
    load.handle_answered(now - MS, now);
    let before = 10.0 * (-(rest + 2 * MS).as_secs_f32() / 10.0).exp();
    let expected = Duration::from_secs_f32(0.001 * (before / 0.001_f32).powf(0.25));
    assert!(
        close(load.latency(now), expected),
        "{:?}",
        load.latency(now)
    );
}

#[test]
fn many_answers_within_a_millisecond_are_seen_too() {
    let start = clock::now();
    let load = Load::with_latency(start, Duration::from_secs(1));
    for _ in 0..200 {
        answer(&load, start, Duration::from_micros(100));
    }
    assert!(load.latency(start) < MS, "{:?}", load.latency(start));
}

#[test]
fn who_owes_an_answer_for_longer_than_usual_is_as_slow_as_that() {
    let load = Load::new(clock::now());
    let now = answer(&load, clock::now(), 2 * MS);
    load.handle_begun(now);
    assert!(close(load.latency(now + MS), 2 * MS));
    assert!(close(load.latency(now + 300 * MS), 300 * MS));
    // An answer to another call says that it lives.
    load.handle_begun(now);
    load.handle_answered(now, now + 300 * MS);
    assert!(close(load.latency(now + 301 * MS), 300 * MS));
    load.handle_given_up(now, now + 301 * MS);
    assert_eq!(load.outstanding(), 0);
    // Who owes nothing is not slow, however long ago the last answer came.
    let later = now + Duration::from_secs(100);
    assert!(load.latency(later) < MS);
    load.handle_begun(later);
    assert!(load.latency(later) < MS);
}

#[test]
fn a_stream_counts_and_owes_nothing() {
    let now = clock::now();
    let load = Load::new(now);
    load.handle_begun_stream();
    assert_eq!(load.outstanding(), 1);
    let later = now + Duration::from_secs(3_600);
    assert!(load.latency(later) < MS);
    assert!(load.cost(later, 1.0) > Load::new(now).cost(later, 1.0));
    load.handle_ended_stream();
    assert_eq!(load.outstanding(), 0);
}

#[test]
fn to_fail_is_slow_and_to_be_given_up_soon_says_nothing() {
    let now = clock::now();
    let load = Load::new(now);
    load.handle_begun(now);
    load.handle_failed(now, now + MS);
    assert!(close(load.latency(now + MS), FAILURE));
    load.handle_begun(now);
    load.handle_given_up(now, now + 2 * MS);
    assert!(close(load.latency(now + 2 * MS), FAILURE));
    let fast = Load::with_latency(now, MS);
    fast.handle_begun(now);
    fast.handle_given_up(now, now + 50 * MS);
    assert!(close(fast.latency(now + 50 * MS), 50 * MS));
}

#[test]
fn what_is_outstanding_costs_by_the_weight() {
    let now = clock::now();
    let load = Load::with_latency(now, MS);
    assert!((load.cost(now, 1.0) / 0.001 - 1.0).abs() < 1e-3);
    load.handle_begun(now);
    load.handle_begun(now);
    assert!((load.cost(now, 1.0) / 0.003 - 1.0).abs() < 1e-3);
    assert!((load.cost(now, 0.5) / 0.002 - 1.0).abs() < 1e-3);
}

#[test]
fn time_wraps_and_may_be_told_in_the_wrong_order() {
    let now = clock::now();
    let load = Load::with_latency(now, 100 * MS);
    // The millisecond count wraps in this span.
    let wrapped = now + Duration::from_millis(u64::from(u32::MAX) + 5);
    load.observe(100 * MS, load.nanos(wrapped));
    assert!(close(load.latency(wrapped), 100 * MS));
    load.observe(50 * MS, load.nanos(wrapped - 3 * MS));
    assert!(load.latency(wrapped) <= 100 * MS);
    assert!(load.latency(wrapped - 3 * MS) >= 97 * MS);
    let average = Average::from_bits(load.average.load(Ordering::Relaxed));
    assert_eq!(average.at_millis, millis(load.nanos(wrapped)));
}
