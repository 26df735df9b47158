//! One slow replica among three.

use std::time::Duration;

use dreammesh_core::balance::Policy;

use crate::picture;
use crate::replicas::{Report, Service, World, run};

/// Replica 0 takes ten times as long as the others.
fn one_is_slow(replica: usize, _: Duration) -> (Duration, Duration) {
    let millis = if replica == 0 { 20 } else { 2 };
    (Duration::ZERO, Duration::from_millis(millis))
}

/// Replica 0 stands still from 20 s to 30 s: it takes nothing up and gives nothing out.
fn one_stands_still(replica: usize, at: Duration) -> (Duration, Duration) {
    let (from, to) = (Duration::from_secs(20), Duration::from_secs(30));
    let still = replica == 0 && (from..to).contains(&at);
    let rest = if still { to - at } else { Duration::ZERO };
    (rest, Duration::from_millis(2))
}

/// Every replica stands still for 20 ms once in five seconds, each at its own time, as one whose
/// process was not given a core or collects what it has thrown away.
fn all_pause(replica: usize, at: Duration) -> (Duration, Duration) {
    let (every, pause) = (Duration::from_secs(5), Duration::from_millis(20));
    let into = (at + every / 3 * replica as u32).as_nanos() % every.as_nanos();
    let into = Duration::from_nanos(into as u64);
    (pause.saturating_sub(into), Duration::from_micros(100))
}

fn world(policy: Policy, clients: usize, rate: f64, service: Service) -> World {
    World {
        policy,
        seed: SEED,
        clients,
        rate,
        run: Duration::from_secs(60),
        service,
        replicas: 3,
        workers: 8,
    }
}

/// Runs and prints each policy; the first is [`Policy::PeakEwma`], the second round robin.
fn table(title: &str, clients: usize, rate: f64, service: Service) -> [Report; 3] {
    eprintln!("{title}, {rate} calls a second, seed {SEED:#x}");
    eprintln!("| Policy | p50 | p99 | p99.9 | longest | calls to the first | least share in 2 s |");
    eprintln!("|---|---|---|---|---|---|---|");
    [Policy::PeakEwma, Policy::RoundRobin, Policy::Random].map(|policy| {
        let report = run(&world(policy, clients, rate, service));
        let ms = |part| format!("{:.1} ms", report.quantile(part).as_secs_f64() * 1e3);
        let (p50, p99, p999, longest) = (ms(0.5), ms(0.99), ms(0.999), ms(1.0));
        let share = report.share(0) * 100.0;
        let least = report.least_share() * 100.0;
        eprintln!(
            "| {policy:?} | {p50} | {p99} | {p999} | {longest} | {share:.1} % | {least:.1} % |"
        );
        report
    })
}

const SEED: u64 = 0xd4ea;

#[test]
fn a_slow_replica_does_not_show_in_the_tail() {
    let mut groups = Vec::new();
    for rate in [300.0, 1_000.0] {
        let reports = table(
            "One of three takes 20 ms, the others 2 ms",
            10,
            rate,
            one_is_slow,
        );
        groups.push(picture::Group {
            title: format!("{rate} calls a second"),
            bars: [&reports[0], &reports[1], &reports[2]].map(|it| it.quantile(0.99)),
        });
        let [ewma, rotation, _] = reports;
        assert!(ewma.quantile(0.99) * 4 < rotation.quantile(0.99));
        assert!(ewma.share(0) < 0.03, "{}", ewma.share(0));
    }
    picture::compare("slow-replica.svg", &picture::draw(&groups));
}

#[test]
fn a_replica_that_stands_still_is_avoided_at_once_and_comes_back() {
    let title = "One of three stands still from 20 s to 30 s of 60 s";
    let [ewma, rotation, _] = table(title, 10, 1_000.0, one_stands_still);
    assert!(ewma.quantile(0.99) < Duration::from_millis(20));
    assert!(rotation.quantile(0.99) > Duration::from_secs(5));
    // It is due a third of the calls in 50 s of 60; in 10 of those it is still on trial.
    assert!(ewma.share(0) > 0.2, "{}", ewma.share(0));
}

#[test]
fn a_pause_now_and_then_costs_a_replica_few_of_its_calls() {
    let title = "Each of three stands still for 20 ms in 5 s";
    for (rate, least) in [(300.0, 0.04), (2_000.0, 0.2)] {
        let [ewma, ..] = table(title, 1, rate, all_pause);
        assert!(ewma.least_share() > least, "{}", ewma.least_share());
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let world = world(Policy::PeakEwma, 10, 1_000.0, one_is_slow);
    let first = run(&world);
    assert_eq!(first, run(&world));
    let other = World {
        seed: SEED + 1,
        ..world
    };
    assert_ne!(first, run(&other));
}
