//! A process that calls all services, at a constant rate whatever becomes of its calls.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dreammesh::{Begun, CallError, Code, Connector, Mesh, Response};
use tokio::task::{JoinError, JoinSet};

use crate::instance::ITEMS;
use crate::log::{At, Call, Line, Log, Method, Outcome, now};
use crate::process::input_ended;
use crate::proto::{Done, JobArgs, WorkClient};
use crate::schedule::SERVICES;
use crate::spy::Watched;

/// What a client is told.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) host: usize,
    /// Calls a second.
    pub(crate) rate: u32,
    pub(crate) log: PathBuf,
}

/// How long a call may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);

/// How long a list may take before it is asked for once more.
const PATIENCE: Duration = Duration::from_millis(500);

/// Calls until standard input ends, and waits for the calls that are under way.
pub(crate) fn run(told: &Client) -> Result<(), Box<dyn Error>> {
    dreammesh::block_on(async {
        let log = Arc::new(Log::append(&told.log)?);
        let watched = Watched::new(Mesh::attach()?);
        let connector = Connector::new().mesh(&watched);
        let mut clients = Vec::new();
        for service in SERVICES {
            let channel = connector.connect(&format!("mesh://{service}")).await?;
            clients.push((service, WorkClient::new(channel)));
        }
        writeln!(io::stdout(), "ready")?;
        tokio::select! {
            ended = call(told, &clients, &log) => ended,
            ended = watched.watch(&log) => ended,
        }
    })
}

async fn call(
    told: &Client,
    clients: &[(&'static str, WorkClient)],
    log: &Arc<Log>,
) -> Result<(), Box<dyn Error>> {
    let first = (told.host as u64) << 48;
    let mut number = 0;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / told.rate.max(1));
    let mut calls = JoinSet::new();
    let mut ended = pin!(input_ended());
    loop {
        tokio::select! {
            () = &mut ended => break,
            _ = ticks.tick() => {
                let (service, client) = &clients[(number % clients.len() as u64) as usize];
                let id = first + number;
                calls.spawn(one(id, service, client.clone(), Arc::clone(log)));
                number += 1;
            }
            Some(done) = calls.join_next(), if !calls.is_empty() => written(done)?,
        }
    }
    while let Some(done) = calls.join_next().await {
        written(done)?;
    }
    Ok(log.write(&Line::Made(number))?)
}

fn written(done: Result<io::Result<()>, JoinError>) -> io::Result<()> {
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Makes one call and writes down what became of it.
async fn one(id: u64, service: &'static str, client: WorkClient, log: Arc<Log>) -> io::Result<()> {
    let (method, begun) = (method(id), now());
    let mut resumed = 0;
    let answer = match method {
        Method::Look => client.look(job(id)).timeout(DEADLINE).await.map(unary),
        Method::Put => client.put(job(id)).timeout(DEADLINE).await.map(unary),
        Method::Add => client.add(job(id)).timeout(DEADLINE).await.map(unary),
        Method::List => resuming(id, &client, begun, &mut resumed).await,
    };
    log.write(&Line::Call(Call {
        id,
        service: service.to_owned(),
        method,
        begun,
        ended: now(),
        resumed,
        outcome: outcome(id, answer),
    }))
}

fn job(call: u64) -> JobArgs<'static> {
    JobArgs {
        call,
        ..Default::default()
    }
}

/// Who has answered, and which call.
type Answer = (u64, String);

fn unary(done: Response<Done>) -> Answer {
    let done = done.view();
    (done.call(), done.instance().to_owned())
}

/// Asks for a list again until it came whole. Only the caller knows what it has seen of it.
async fn resuming(
    id: u64,
    client: &WorkClient,
    begun: At,
    resumed: &mut u32,
) -> Result<Answer, CallError> {
    loop {
        let left = DEADLINE.saturating_sub(now().saturating_sub(begun));
        match list(id, client, left.min(PATIENCE)).await {
            Err(error) if is_passing(&error) && left > PATIENCE => *resumed += 1,
            ended => return ended,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_passing(error: &CallError) -> bool {
    matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded)
}

/// Asks for a list; one that is too short or not of one call is that of call 0, which there is not.
async fn list(id: u64, client: &WorkClient, within: Duration) -> Result<Answer, CallError> {
    let mut items = client.list(job(id)).timeout(within).await?;
    let (mut count, mut answer) = (0, (id, String::new()));
    while let Some(item) = items.next().await? {
        let item = item.view();
        count += 1;
        if item.call() != id {
            answer.0 = 0;
        }
        item.instance().clone_into(&mut answer.1);
    }
    if count != ITEMS {
        answer.0 = 0;
    }
    Ok(answer)
}

fn outcome(id: u64, answer: Result<Answer, CallError>) -> Outcome {
    match answer {
        Ok((call, instance)) if call == id => Outcome::Answered(instance),
        Ok((call, instance)) => Outcome::Failed {
            may_have_begun: true,
            text: format!("{instance} gave a wrong answer, to {call}"),
        },
        Err(error) => Outcome::Failed {
            may_have_begun: error.begun() == Begun::Maybe,
            text: match error.endpoint() {
                Some(endpoint) => format!("{endpoint}: {error}"),
                None => error.to_string(),
            },
        },
    }
}

/// Half of the calls only look, three of ten must not be made twice.
const fn method(id: u64) -> Method {
    match id % 20 {
        0..10 => Method::Look,
        10..13 => Method::Put,
        13..19 => Method::Add,
        _ => Method::List,
    }
}

/// How long a caller waits before it asks for a list once more.
const PAUSE: Duration = Duration::from_millis(20);
