//! No call is lost when servers take turns.

use dreammesh_transport::{Connector, Medium};

use crate::load::{Callers, Load};
use crate::process::{Process, Settings};

/// How the servers are bound and called.
struct Case {
    name: &'static str,
    address: &'static str,
    /// What clients call otherwise than the server.
    names: (&'static str, &'static str),
    media: &'static [Medium],
}

impl Case {
    const fn new(name: &'static str, address: &'static str) -> Self {
        Self {
            name,
            address,
            names: ("", ""),
            media: &[],
        }
    }

    const fn called(mut self, server: &'static str, client: &'static str) -> Self {
        self.names = (server, client);
        self
    }

    const fn by(mut self, media: &'static [Medium]) -> Self {
        self.media = media;
        self
    }
}

const CASES: [Case; 7] = [
    Case::new("tcp", "dreammesh+tcp://127.0.0.1:0"),
    Case::new("tls", "dreammesh+tls://127.0.0.1:0"),
    Case::new("quic", "dreammesh+quic://127.0.0.1:0"),
    // One number for TCP and UDP, which changes hands for both.
    Case::new("both", "127.0.0.1:0"),
    // All addresses of the host, of both families.
    Case::new("both, all addresses, QUIC first", "[::]:0")
        .called("[::]", "127.0.0.1")
        .by(&[Medium::Quic, Medium::Tls]),
    Case::new("unix", "unix:///"),
    Case::new("tunnel", "dreammesh+tcp://127.0.0.1:0").called("+tcp:", "+h2c:"),
];

/// One after the other, so that each has the machine to itself; `RESTART_CASE` chooses one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_when_servers_take_turns() {
    let only = std::env::var("RESTART_CASE").ok();
    for case in CASES {
        if only.as_ref().is_none_or(|only| only == case.name) {
            take_turns(&case).await;
        }
    }
}

/// Replaces the server of an address again and again while it is called.
async fn take_turns(case: &Case) {
    let settings = Settings::new();
    let address = match case.address {
        "unix:///" => {
            let name = format!("dreammesh-restart-{}.sock", std::process::id());
            format!("unix://{}", std::env::temp_dir().join(name).display())
        }
        address => address.to_owned(),
    };
    let mut current = Process::start(&address, false, &settings).unwrap();
    let address = current.target.clone();
    let target = address.replacen(case.names.0, case.names.1, 1);
    let rate = set("RESTART_RATE", RATE);
    let connector = Connector::new().tls(settings.made.client());
    let connector = connector.media(case.media.iter().copied());
    let load = Load::begin(Callers {
        connector,
        target,
        rate,
    })
    .await;
    let a_while = u64::from(rate) / 5;
    let (mut done, mut processes) = (0, 0);
    for _ in 0..set("RESTART_TURNS", 2) {
        load.go_on(a_while).await;
        let successor = start(&address, settings.clone()).await;
        load.go_on(a_while).await;
        current.stop();
        let ended = std::mem::replace(&mut current, successor);
        load.go_on(a_while).await;
        let report = ended.ended().await;
        assert_eq!(report.cut, 0, "calls shorter than the drain are not cut");
        (done, processes) = (done + report.done, processes + 1);
    }
    load.go_on(a_while).await;
    let tally = load.end().await;
    current.stop();
    let report = current.ended().await;
    (done, processes) = (done + report.done, processes + 1);
    println!(
        "{}: {} calls, {rate} in a second, by {processes} servers: {:?}; slowest {:?}",
        case.name, tally.begun, tally.answered, tally.slowest
    );
    let failed = tally.failed.len();
    for failure in tally.failed.iter().take(20) {
        println!("{failure}");
    }
    assert_eq!(failed, 0, "of {} calls", tally.begun);
    assert_eq!(tally.answered_all(), tally.begun);
    assert_eq!(tally.answered.len(), processes, "each server served some");
    assert_eq!(done, tally.begun, "no call was done twice");
}

/// What an unoptimised build can do beside other tests, and what is to be shown.
const RATE: u32 = if cfg!(debug_assertions) { 1_000 } else { 5_000 };

async fn start(address: &str, settings: Settings) -> Process {
    let address = address.to_owned();
    let started = tokio::task::spawn_blocking(move || Process::start(&address, true, &settings));
    started.await.unwrap().unwrap()
}

/// A number that may be set from outside.
fn set(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |set| set.parse().unwrap())
}
