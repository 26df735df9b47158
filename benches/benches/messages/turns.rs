//! Systems that take turns, so that whatever slows the machine down slows all of them down.

use std::fmt::Write as _;
use std::hint::black_box;
use std::rc::Rc;

use dreammesh_benches::machine::thread_cpu_spent;
use dreammesh_benches::message::Digest;

/// How often a body runs in one turn: long enough for the clock, short beside what disturbs it.
const TURN: u32 = 200;

/// Runs a body so many times.
type Body = Box<dyn Fn(u32)>;

/// The systems that are compared on one message; the first is what the others are compared with.
pub(crate) struct Turns {
    message: &'static str,
    expected: Digest,
    systems: Vec<Timed>,
}

struct Timed {
    name: &'static str,
    /// Writing, reading, and both.
    bodies: [Body; 3],
    /// Nanoseconds for one run of each body, by round.
    taken: [Vec<f64>; 3],
}

impl Turns {
    pub(crate) fn new(message: &'static str, expected: Digest) -> Self {
        Self {
            message,
            expected,
            systems: Vec::new(),
        }
    }

    /// Adds a system, with what it works on; what it reads must be what all of them read.
    pub(crate) fn add<T: 'static>(
        &mut self,
        name: &'static str,
        on: T,
        write: impl Fn(&T) + Copy + 'static,
        read: impl Fn(&T) -> Digest + Copy + 'static,
    ) {
        assert_eq!(read(&on), self.expected, "{name} reads something else");
        let on = Rc::new(on);
        let (written, seen, both) = (Rc::clone(&on), Rc::clone(&on), on);
        self.systems.push(Timed {
            name,
            bodies: [
                repeated(move || write(&written)),
                repeated(move || {
                    black_box(read(&seen));
                }),
                repeated(move || {
                    write(&both);
                    black_box(read(&both));
                }),
            ],
            taken: Default::default(),
        });
    }

    /// Lets all systems take their turns, and prints a row for each.
    pub(crate) fn run(mut self, rounds: usize) {
        for _ in 0..rounds {
            for system in &mut self.systems {
                for (body, taken) in system.bodies.iter().zip(&mut system.taken) {
                    let begun = thread_cpu_spent();
                    body(TURN);
                    let spent = thread_cpu_spent().saturating_sub(begun);
                    taken.push(spent.as_nanos() as f64 / f64::from(TURN));
                }
            }
        }
        let (first, _) = self.systems.split_first().expect("there are systems");
        for system in &self.systems {
            let mut row = format!("| {} | {} |", self.message, system.name);
            for (taken, base) in system.taken.iter().zip(&first.taken) {
                let ratios = taken.iter().zip(base).map(|(taken, base)| taken / base);
                let (time, ratio) = (median(taken.clone()), median(ratios.collect()));
                // Writing to a String cannot fail.
                let _ = write!(row, " {time:.0} ns | {ratio:.2} |");
            }
            println!("{row}");
        }
    }
}

/// The loop is within, so that what is called by a pointer is called once a turn.
fn repeated(body: impl Fn() + 'static) -> Body {
    Box::new(move |count| {
        for _ in 0..count {
            body();
        }
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
