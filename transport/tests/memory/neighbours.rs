//! How long others' calls take while a server is flooded: figures, for a build with optimisation.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures, and says what it found"
)]

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dreammesh_core::channel::UnaryCall;
use dreammesh_core::wkt::FieldMask;
use dreammesh_transport::Connector;
use dreammesh_transport::tls::{ClientTls, Roots};

use crate::quic_floods::CLOSED_WITHIN;
use crate::watched::Watched;
use crate::{child, floods, quic_floods};

/// Makes a call a millisecond, one after the other, and says how long each took, in order.
fn call_until(over: &AtomicBool, ready: &Barrier, target: &str, roots: &str) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let tls = ClientTls::new(Roots::from_pem(roots).unwrap());
        let channel = Connector::new().tls(tls).connect(target).await.unwrap();
        let request = FieldMask {
            paths: vec!["oak".to_owned()],
            ..FieldMask::default()
        };
        let call = || UnaryCall::<FieldMask>::new(&channel, &child::MASK, &request);
        call().await.unwrap();
        ready.wait();
        let mut took = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            call().await.unwrap();
            took.push(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.sort_unstable();
        took
    })
}

/// A row of the table: what neighbours over TCP and over QUIC waited while one who floods came back
/// again and again.
fn beside(watched: &mut Watched, name: &str, mut flood: impl FnMut(&str) + Send) {
    let (address, roots) = (watched.address.clone(), watched.roots.clone());
    let over = AtomicBool::new(false);
    let ready = Barrier::new(3);
    let mut cells = Vec::new();
    let mut closed_after = Duration::ZERO;
    let (most, _) = watched.growth(|_| {
        thread::scope(|scope| {
            let calling = ["dreammesh+tcp", "dreammesh+quic"].map(|scheme| {
                let target = format!("{scheme}://{address}");
                let (over, ready, roots) = (&over, &ready, &roots);
                scope.spawn(move || call_until(over, ready, &target, roots))
            });
            ready.wait();
            let begun = Instant::now();
            while begun.elapsed() < FLOODED_FOR {
                let again = Instant::now();
                flood(&address);
                closed_after = closed_after.max(again.elapsed());
            }
            over.store(true, Ordering::Relaxed);
            for calling in calling {
                let took = calling.join().unwrap();
                let ms = |at: usize| took[at].as_secs_f64() * 1e3;
                let (p99, max) = (ms(took.len() * 99 / 100), ms(took.len() - 1));
                cells.push(format!("{p99:.1} | {max:.1}"));
            }
        });
    });
    let (grown, after) = (most as f64 / f64::from(1 << 20), closed_after.as_secs_f64());
    println!(
        "| {name} | {} | {grown:.1} | {after:.1} |",
        cells.join(" | ")
    );
}

/// At least so long; most are closed within five seconds.
const FLOODED_FOR: Duration = Duration::from_secs(2);

#[test]
#[ignore = "figures of a build without optimisation say nothing"]
fn neighbours_of_a_flood_over_tcp_are_served() {
    let mut watched = Watched::start(child::SECURE_BOTH);
    println!("{HEAD}");
    beside(&mut watched, "(warming up)", |_| thread::sleep(FLOODED_FOR));
    beside(&mut watched, "none", |_| thread::sleep(FLOODED_FOR));
    for (name, flood) in floods::floods() {
        beside(&mut watched, &format!("HTTP/2: {name}"), |address| {
            assert!(floods::send(address, &flood), "{name}");
        });
    }
}

#[test]
#[ignore = "figures of a build without optimisation say nothing"]
fn neighbours_of_a_flood_over_quic_are_served() {
    let mut watched = Watched::start(child::SECURE_BOTH);
    println!("{HEAD}");
    beside(&mut watched, "(warming up)", |_| thread::sleep(FLOODED_FOR));
    beside(&mut watched, "none", |_| thread::sleep(FLOODED_FOR));
    let mut numbers = 1..;
    for flood in quic_floods::floods() {
        beside(&mut watched, &format!("QUIC: {}", flood.name), |address| {
            let close = quic_floods::send(address, &flood, numbers.next().unwrap());
            assert!(close.is_some(), "{} after {CLOSED_WITHIN:?}", flood.name);
        });
    }
}

const HEAD: &str =
    "| Flood | TCP p99, ms | max | QUIC p99, ms | max | grown, MiB | closed after, s |";
