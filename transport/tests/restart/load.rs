//! Calls that begin when they are due.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dreammesh_core::call::CallError;
use dreammesh_core::channel::{Channel, ServerStreamingCall, UnaryCall};
use dreammesh_core::wkt::Any;
use dreammesh_transport::Connector;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::service::{TAKE, WATCH, ask};

/// What became of the calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) begun: u64,
    /// Calls that were answered, by the process that did.
    pub(crate) answered: BTreeMap<String, u64>,
    pub(crate) failed: Vec<String>,
    pub(crate) slowest: Duration,
}

impl Tally {
    pub(crate) fn answered_all(&self) -> u64 {
        self.answered.values().sum()
    }
}

/// Calls that are being made.
#[derive(Debug)]
pub(crate) struct Load {
    tally: Arc<Tallied>,
    over: Arc<AtomicBool>,
    pacing: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Tallied {
    tally: Mutex<Tally>,
    /// How many calls have ended.
    ended: watch::Sender<u64>,
}

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) struct Callers {
    pub(crate) connector: Connector,
    pub(crate) target: String,
    /// Calls in a second.
    pub(crate) rate: u32,
}

impl Load {
    /// Begins with channels that are connected.
    pub(crate) async fn begin(callers: Callers) -> Self {
        let mut channels = Vec::new();
        for _ in 0..CHANNELS {
            channels.push(callers.connector.connect(&callers.target).await.unwrap());
        }
        let tally = Arc::<Tallied>::default();
        let over = Arc::new(AtomicBool::new(false));
        let paced = pace(callers, channels, Arc::clone(&tally), Arc::clone(&over));
        Self {
            tally,
            over,
            pacing: tokio::spawn(paced),
        }
    }

    /// Waits until so many more calls have ended.
    pub(crate) async fn go_on(&self, calls: u64) {
        let mut ended = self.tally.ended.subscribe();
        let goal = *ended.borrow_and_update() + calls;
        ended.wait_for(|ended| *ended >= goal).await.unwrap();
    }

    /// Begins no more calls, and waits for all that were begun.
    pub(crate) async fn end(self) -> Tally {
        self.over.store(true, Ordering::SeqCst);
        self.pacing.await.unwrap();
        let begun = self.tally.tally.lock().unwrap().begun;
        let mut ended = self.tally.ended.subscribe();
        ended.wait_for(|ended| *ended == begun).await.unwrap();
        self.tally.tally.lock().unwrap().clone()
    }
}

impl Tallied {
    fn note(&self, since: Instant, outcome: Result<String, CallError>) {
        {
            let mut tally = self.tally.lock().unwrap();
            tally.slowest = tally.slowest.max(since.elapsed());
            match outcome {
                Ok(process) => *tally.answered.entry(process).or_default() += 1,
                Err(error) => tally.failed.push(format!("{error} {:?}", error.begun())),
            }
        }
        self.ended.send_modify(|ended| *ended += 1);
    }
}

/// Begins as many calls as are due, until it is over.
async fn pace(
    callers: Callers,
    channels: Vec<Channel>,
    tally: Arc<Tallied>,
    over: Arc<AtomicBool>,
) {
    let since = Instant::now();
    let mut begun = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    while !over.load(Ordering::SeqCst) {
        ticks.tick().await;
        let due = (since.elapsed().as_secs_f64() * f64::from(callers.rate)) as u64;
        for number in begun..due {
            tally.tally.lock().unwrap().begun += 1;
            let channel = channels[number as usize % channels.len()].clone();
            let tally = Arc::clone(&tally);
            let fresh = (number % FRESH == 0).then(|| callers.clone());
            tokio::spawn(async move {
                let since = Instant::now();
                let outcome = match (fresh, number % STREAMS) {
                    (Some(callers), _) => {
                        // A channel of its own, whose connection is made for this call.
                        let channel = callers.connector.connect_lazy(&callers.target).unwrap();
                        take(&channel).await
                    }
                    (None, 1) => watched(&channel).await,
                    (None, _) => take(&channel).await,
                };
                tally.note(since, outcome);
            });
        }
        begun = due;
    }
}

async fn take(channel: &Channel) -> Result<String, CallError> {
    let answer = UnaryCall::<Any>::new(channel, &TAKE, ask(0)).await?;
    Ok(answer.view().type_url().to_owned())
}

/// A stream whose messages all come from the same process.
async fn watched(channel: &Channel) -> Result<String, CallError> {
    let call = ServerStreamingCall::<Any>::new(channel, &WATCH, ask(MESSAGES));
    let mut messages = call.await?;
    let mut from = Vec::new();
    while let Some(message) = messages.next().await? {
        from.push(message.view().type_url().to_owned());
    }
    assert_eq!(from.len(), MESSAGES as usize, "an ended stream is whole");
    from.dedup();
    assert_eq!(from.len(), 1);
    Ok(from.remove(0))
}

/// Connections that are kept.
const CHANNELS: usize = 8;
/// One of so many calls makes a connection of its own.
const FRESH: u64 = 250;
/// One of so many calls is a stream.
const STREAMS: u64 = 100;
/// How long a stream is; with the service's pace it takes half a second.
const MESSAGES: u32 = 25;
