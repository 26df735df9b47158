//! Random scripts: delay, cut and cancel at any point, all kinds of calls, slow consumers.

use dreammesh_core::call::{Begun, Code};
use dreammesh_session::{Config, Stats};

use crate::app::{App, Plan};
use crate::rng::Rng;
use crate::world::World;

/// The seeds of the ordinary run, in four parts so that they use the cores there are.
const SEEDS: u64 = 1200;

#[test]
fn seeds_first_quarter() {
    run_seeds(0);
}

#[test]
fn seeds_second_quarter() {
    run_seeds(1);
}

#[test]
fn seeds_third_quarter() {
    run_seeds(2);
}

#[test]
fn seeds_last_quarter() {
    run_seeds(3);
}

/// `DREAMMESH_TEST_SEED` replays one seed; `DREAMMESH_TEST_SEEDS` sets how many are run.
fn run_seeds(part: u64) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    if let Some(seed) = number("DREAMMESH_TEST_SEED") {
        if part == 0 {
            run_twice(seed);
        }
        return;
    }
    let seeds = number("DREAMMESH_TEST_SEEDS").unwrap_or(SEEDS);
    for seed in (part..seeds).step_by(4) {
        run_twice(seed);
    }
}

fn run_twice(seed: u64) {
    let first = std::panic::catch_unwind(|| run(seed));
    let Ok(first) = first else {
        panic!("seed {seed}: see above")
    };
    assert_eq!(first, run(seed), "seed {seed} does not replay");
}

fn config(rng: &mut Rng) -> Config {
    let mut config = Config::default();
    config.calls_max = 64;
    config.read_buffer_bytes = [1024, 256 * 1024][rng.below(2) as usize];
    config.output_bytes_max = [1000, 1 << 20][rng.below(2) as usize];
    config.connection_credit = 4 << 20;
    config.generations_max = [3, u32::MAX][rng.below(2) as usize];
    config
}

fn run(seed: u64) -> u64 {
    let mut rng = Rng::new(!seed);
    let mut world = World::new(seed, config(&mut rng));
    let mut app = App::default();
    for _ in 0..1 + rng.below(14) {
        app.add(Plan::random(&mut rng));
    }
    let cut_at = rng.chance(15).then(|| rng.below(300));
    let drain_at = rng.chance(20).then(|| rng.below(200));
    for step in 0..100_000_u64 {
        if cut_at == Some(step) {
            world.cut_link();
        }
        if drain_at == Some(step) {
            let now = world.now();
            world.server.drain(now);
        }
        random_step(&mut world, &mut app);
        if app.done() && settle(&mut world, &mut app) {
            break;
        }
    }
    assert!(app.done(), "seed {seed}: calls hang: {:?}", app.callers);
    check_end(&world, &app, cut_at.is_some() && world.cut);
    world.trace()
}

fn random_step(world: &mut World, app: &mut App) {
    match world.rng.below(12) {
        0..=1 => {
            world.pump(true);
        }
        2..=3 => {
            world.pump(false);
        }
        4..=5 => {
            world.deliver(true);
        }
        6..=7 => {
            world.deliver(false);
        }
        8 => {
            let micros = world.rng.below(1500);
            world.advance(micros);
        }
        9..=10 => {
            let index = world.rng.below(app.callers.len() as u64) as usize;
            app.step_caller(world, index);
        }
        _ => {
            let which = world.rng.below(app.handlers_running() as u64) as usize;
            app.step_handler(world, which);
        }
    }
    app.events(world);
}

/// Lets everything that is under way arrive; true when nothing moves any more.
fn settle(world: &mut World, app: &mut App) -> bool {
    for _ in 0..100_000 {
        let mut moved = world.pump(true) | world.pump(false);
        world.advance(1000);
        moved |= world.deliver(true) | world.deliver(false);
        app.events(world);
        for which in 0..app.handlers_running() {
            moved |= app.step_handler(world, which);
        }
        if !moved && (world.idle() || world.cut) && app.handlers_running() == 0 {
            return true;
        }
    }
    panic!(
        "does not settle: {:?} {:?}",
        world.client.stats(),
        world.server.stats()
    );
}

/// Whatever happened, nothing is held at the end and all credit is back.
fn check_end(world: &World, app: &App, was_cut: bool) {
    for (side, stats) in [
        ("client", world.client.stats()),
        ("server", world.server.stats()),
    ] {
        let nothing = held_nothing(stats);
        assert_eq!(stats, nothing, "{side}");
    }
    if !was_cut && !world.client.is_closed() {
        assert_eq!(world.client.stats().credit_used, 0);
        assert_eq!(world.server.stats().credit_used, 0);
    }
    for (index, caller) in app.callers.iter().enumerate() {
        let planned = caller.plan.status;
        let outcome = caller.outcome.as_ref().expect("every call ended");
        let plain = caller.plan.deadline_us.is_none() && caller.plan.cancel_at.is_none();
        if plain && !was_cut && !world.client.is_closed() && world.client.is_open() {
            match outcome {
                Ok(()) => assert_eq!(planned, Code::Ok, "call {index}"),
                Err(ended) => {
                    assert_eq!(ended.status.code(), planned, "call {index}: {ended:?}");
                    assert_eq!(ended.begun, Begun::Maybe);
                }
            }
        }
    }
}

/// The same counters with everything that is held at zero.
fn held_nothing(stats: Stats) -> Stats {
    let mut nothing = stats;
    nothing.calls_live = 0;
    nothing.streams_held = 0;
    nothing.credit_held = 0;
    nothing.queued_bytes = 0;
    nothing
}
