//! Tests of when instances are checked.

use super::super::subject::Kind;
use super::super::verdict::Answer;
use super::*;
use crate::clock;

fn id(number: usize) -> InstanceId {
    InstanceId::new(format!("instance-{number}")).unwrap()
}

fn subject(target: &str) -> Subject {
    Subject {
        kind: Kind::Tcp,
        target: target.into(),
        service: Box::default(),
    }
}

fn outcome(result: Answer) -> Outcome {
    let said = result.as_str().into();
    Outcome { result, said }
}

fn plan_of(count: usize, now: Instant) -> Plan {
    let mut plan = Plan::default();
    for number in 0..count {
        plan.set(&id(number), subject("a"), now);
    }
    plan
}

fn begun(plan: &mut Plan, now: Instant) -> Vec<Ticket> {
    std::iter::from_fn(|| plan.poll_start(now)).collect()
}

/// The middle of what a draw may be, which moves nothing by more than a nanosecond.
const MIDDLE: u64 = 1 << 63;

#[test]
fn a_new_instance_is_checked_at_once_and_then_every_period() {
    let now = clock::now();
    let mut plan = plan_of(1, now);
    assert_eq!(plan.wakes(), Some(now));
    let tickets = begun(&mut plan, now);
    assert_eq!(tickets.len(), 1);
    assert_eq!(plan.wakes(), None, "its check runs");
    let later = now + Duration::from_millis(300);
    let news = plan.handle_result(&tickets[0], outcome(Answer::Passed), later, MIDDLE);
    assert!(!news.unwrap().is_down());
    for (random, due) in [(0, PERIOD.mul_f64(0.9)), (u64::MAX, PERIOD.mul_f64(1.1))] {
        assert_eq!(jittered(PERIOD, random), due);
    }
    // From beginning to beginning, whatever the check took.
    let due = plan.wakes().unwrap();
    assert!(due.duration_since(now + PERIOD) < Duration::from_micros(1));
    assert!(plan.poll_start(due - Duration::from_nanos(1)).is_none());
    let ticket = plan.poll_start(due).unwrap();
    let same = plan.handle_result(&ticket, outcome(Answer::Passed), due, MIDDLE);
    assert_eq!(same, None, "the registry knows that already");
}

#[test]
fn a_failure_is_confirmed_soon_and_a_refusal_needs_no_second_word() {
    let now = clock::now();
    let mut plan = plan_of(1, now);
    let first = plan.poll_start(now).unwrap();
    let verdict = plan.handle_result(&first, outcome(Answer::TimedOut), now, 0);
    assert!(!verdict.unwrap().is_down());
    let again = now + CONFIRM_AFTER;
    assert!(plan.poll_start(again - Duration::from_nanos(1)).is_none());
    let second = plan.poll_start(again).unwrap();
    let verdict = plan.handle_result(&second, outcome(Answer::TimedOut), again, 0);
    assert!(verdict.unwrap().is_down());
    assert_eq!((plan.down(), plan.len()), (1, 1));
    // Then it is asked in its turn, until it is back.
    let due = again + PERIOD.mul_f64(0.9);
    assert!(plan.poll_start(due - Duration::from_nanos(1)).is_none());
    let third = plan.poll_start(due).unwrap();
    let verdict = plan.handle_result(&third, outcome(Answer::Passed), due, MIDDLE);
    assert!(!verdict.unwrap().is_down());
    let fourth = plan.poll_start(due + PERIOD + PERIOD).unwrap();
    let verdict = plan.handle_result(&fourth, outcome(Answer::Refused), due, 0);
    assert!(verdict.unwrap().is_down());
}

#[test]
fn no_more_than_the_most_run_at_a_time() {
    let now = clock::now();
    let mut plan = plan_of(RUNNING_MAX + 1, now);
    let tickets = begun(&mut plan, now);
    assert_eq!(tickets.len(), RUNNING_MAX);
    let later = now + Duration::from_secs(10);
    assert!(plan.poll_start(later).is_none());
    assert_eq!(plan.wakes(), None);
    plan.handle_result(&tickets[0], outcome(Answer::Passed), later, 0);
    assert_eq!(
        plan.poll_start(later).unwrap().id,
        id(9),
        "the one that waited"
    );
    assert!(plan.poll_start(later).is_none());
}

#[test]
fn checks_begin_no_faster_than_the_pace_after_a_burst() {
    let now = clock::now();
    let mut plan = plan_of(1_000, now);
    let mut count = 0;
    let mut run = |plan: &mut Plan, at: Instant| {
        let mut begun = 0;
        while let Some(ticket) = plan.poll_start(at) {
            plan.handle_result(&ticket, outcome(Answer::Passed), at, 0);
            begun += 1;
        }
        count += begun;
        begun
    };
    assert_eq!(run(&mut plan, now), BURST);
    assert_eq!(run(&mut plan, now + SPACING - Duration::from_nanos(1)), 0);
    assert_eq!(plan.wakes(), Some(now + SPACING));
    assert_eq!(run(&mut plan, now + SPACING), 1);
    assert_eq!(run(&mut plan, now + 11 * SPACING), 10);
    assert_eq!(
        run(&mut plan, now + 1_000 * SPACING),
        BURST,
        "no more is saved up"
    );
}

#[test]
fn the_period_stretches_evenly_for_many() {
    let now = clock::now();
    assert_eq!(plan_of(2_000, now).period(), PERIOD);
    assert_eq!(plan_of(2_001, now).period(), PERIOD + SPACING);
    assert_eq!(plan_of(100_000, now).period(), Duration::from_secs(100));
    let count = 10_000;
    let mut plan = plan_of(count, now);
    let (mut random, mut at) = (dreammesh_core::balance::Random::seeded(7), now);
    let mut checked = vec![0_u32; count];
    // Two periods, in steps as a timer has them.
    while at < now + 2 * plan.period() {
        for ticket in begun(&mut plan, at) {
            let number: usize = ticket.id.as_str()["instance-".len()..].parse().unwrap();
            checked[number] += 1;
            plan.handle_result(&ticket, outcome(Answer::Passed), at, random.next_u64());
        }
        at += 10 * SPACING;
    }
    let (least, most) = (checked.iter().min(), checked.iter().max());
    assert!(
        least >= Some(&1) && most <= Some(&3),
        "{least:?} to {most:?}"
    );
    let total: u32 = checked.iter().sum();
    assert!(total as usize <= 2 * count + RUNNING_MAX, "{total}");
}

#[test]
fn what_is_urgent_goes_first_and_keeps_nobody_waiting() {
    let now = clock::now();
    let mut plan = plan_of(20, now);
    for ticket in begun(&mut plan, now) {
        plan.handle_result(&ticket, outcome(Answer::Passed), now, 0);
    }
    // All are due again, and half of them are asked for.
    let later = now + PERIOD;
    for number in 10..20 {
        assert!(plan.hasten(&id(number), later));
    }
    let order: Vec<_> = begun(&mut plan, later)
        .into_iter()
        .map(|it| it.id)
        .collect();
    let is_urgent = |id: &InstanceId| (10..20).any(|number| *id == self::id(number));
    let urgent: Vec<_> = order.iter().map(is_urgent).collect();
    assert_eq!(urgent, [true, false].repeat(10));
    assert!(!plan.hasten(&id(20), later), "it is not checked here");
}

#[test]
fn a_check_is_brought_forward_once_a_gap_and_no_result_by_it() {
    let (now, gap) = (clock::now(), Duration::from_secs(1));
    let mut plan = plan_of(1, now);
    assert!(!plan.bring_forward(&id(0), gap, now), "it is due anyway");
    let ticket = plan.poll_start(now).unwrap();
    assert!(!plan.bring_forward(&id(0), gap, now + gap), "it runs");
    plan.handle_result(&ticket, outcome(Answer::Passed), now, MIDDLE);
    let before = now + gap - Duration::from_nanos(1);
    assert!(!plan.bring_forward(&id(0), gap, before));
    assert!(plan.bring_forward(&id(0), gap, now + gap));
    assert!(
        !plan.bring_forward(&id(0), gap, now + gap),
        "it is about to be"
    );
    assert_eq!(plan.down(), 0);
    let ticket = plan.poll_start(now + gap).unwrap();
    let news = plan.handle_result(&ticket, outcome(Answer::Passed), now + gap, MIDDLE);
    assert_eq!(news, None);
    assert!(
        !plan.bring_forward(&id(1), gap, now),
        "it is not checked here"
    );
}

#[test]
fn a_result_of_what_it_was_before_says_nothing() {
    let now = clock::now();
    let mut plan = plan_of(1, now);
    let old = plan.poll_start(now).unwrap();
    plan.set(&id(0), subject("b"), now);
    let new = plan.poll_start(now).unwrap();
    assert_eq!(&*new.subject.target, "b");
    assert_eq!(
        plan.handle_result(&old, outcome(Answer::Refused), now, 0),
        None
    );
    assert_eq!(plan.down(), 0);
    plan.remove(&id(0));
    assert_eq!(
        plan.handle_result(&new, outcome(Answer::Refused), now, 0),
        None
    );
    assert_eq!((plan.len(), plan.running, plan.wakes()), (0, 0, None));
}

#[test]
fn what_is_asked_for_while_it_runs_is_checked_again_after_it() {
    let now = clock::now();
    let mut plan = plan_of(1, now);
    let ticket = plan.poll_start(now).unwrap();
    assert!(plan.hasten(&id(0), now));
    assert!(plan.poll_start(now).is_none());
    plan.handle_result(&ticket, outcome(Answer::Passed), now, 0);
    assert!(plan.poll_start(now).is_some());
}

#[test]
fn a_check_that_says_nothing_is_made_again_and_counts_for_nothing() {
    let now = clock::now();
    let mut plan = plan_of(1, now);
    let first = plan.poll_start(now).unwrap();
    plan.handle_result(&first, outcome(Answer::TimedOut), now, 0);
    let second = plan.poll_start(now + CONFIRM_AFTER).unwrap();
    let later = now + Duration::from_secs(60);
    plan.handle_void(&second, later);
    assert_eq!((plan.running, plan.is_down(&id(0))), (0, false));
    let third = plan.poll_start(later).unwrap();
    // One that is no longer checked so leaves nothing behind either.
    plan.remove(&id(0));
    plan.handle_void(&third, later);
    assert_eq!((plan.running, plan.wakes()), (0, None));
}
