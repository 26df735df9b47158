//! The task of an attachment: opens streams, and moves what the machine says and the agent answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dreammesh_core::call::{CallError, Receiver, Sender};

use super::machine::{Machine, PATIENCE, Remembered, Site, Step};
use super::{Agents, Inner, Shared};
use crate::clock;
use crate::endpoint::Here;
use crate::instance::{Instance, Locality};
use crate::place::AgentSocket;
use crate::proto::{self, AgentClient};
use crate::{regular, state};

type Said = Sender<proto::FromApplication, CallError>;
type Heard = Receiver<proto::FromAgent, CallError>;

/// Keeps the attachment until it is dropped.
pub(super) async fn run(shared: Arc<Shared>, agents: Agents) {
    let agents = Arc::new(agents);
    loop {
        match shared.step(false) {
            Step::Open => {
                let opening = open(&agents);
                let reason = match keeping_time(&shared, &agents, opening).await {
                    Ok((said, heard)) => {
                        shared.act(|machine| machine.handle_opened(clock::now()));
                        converse(&shared, &agents, &said, heard).await
                    }
                    Err(reason) => reason,
                };
                shared.act(|machine| machine.handle_ended(&reason, clock::now()));
            }
            Step::Remember => remember(&shared, &agents).await,
            Step::Idle(due) => tokio::select! {
                () = shared.rung.notified() => {}
                () = until(due) => {}
            },
            // Nothing can be said, and nothing be ended, where there is no stream.
            Step::Say(_) | Step::End(_) => {}
        }
    }
}

/// Waits for a stream to open; meanwhile nobody waits too long for what was left on disk.
async fn keeping_time<T>(
    shared: &Shared,
    agents: &Arc<Agents>,
    opening: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let mut opening = std::pin::pin!(tokio::time::timeout(OPEN_PATIENCE, opening));
    loop {
        let due = match shared.step(false) {
            Step::Remember => {
                remember(shared, agents).await;
                continue;
            }
            Step::Idle(due) => due,
            Step::Open | Step::Say(_) | Step::End(_) => None,
        };
        tokio::select! {
            opened = &mut opening => {
                return opened.unwrap_or_else(|_| Err("the agent does not answer".to_owned()));
            }
            () = shared.rung.notified() => {}
            () = until(due) => {}
        }
    }
}

/// Opens a stream at the first socket where an agent may be.
async fn open(agents: &Agents) -> Result<(Said, Heard), String> {
    let mut reasons = Vec::new();
    for socket in &agents.sockets {
        if let Err(error) = socket.check(&socket.path, agents.user) {
            reasons.push(error.to_string());
            continue;
        }
        // A new channel each time: one that failed before would wait before it dials again.
        let channel = match (agents.dial)(&socket.target()) {
            Ok(channel) => channel,
            Err(error) => {
                reasons.push(error);
                continue;
            }
        };
        match AgentClient::new(channel).attach().await {
            Ok(stream) => return Ok(stream),
            Err(error) => reasons.push(error.message().to_owned()),
        }
    }
    Err(reasons.join("; "))
}

/// Moves messages both ways until the stream ends; gives the reason.
async fn converse(shared: &Shared, agents: &Arc<Agents>, said: &Said, mut heard: Heard) -> String {
    let mut sending = None;
    loop {
        let due = match shared.step(sending.is_none()) {
            Step::Say(say) => {
                let message = proto::FromApplication {
                    said: Some(say),
                    ..Default::default()
                };
                sending = Some(Box::pin(said.send(message)));
                continue;
            }
            Step::End(reason) => return reason,
            Step::Remember => {
                remember(shared, agents).await;
                continue;
            }
            Step::Idle(due) => due,
            Step::Open => None,
        };
        let sent = async {
            match &mut sending {
                Some(sending) => sending.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = heard.next() => match message {
                Ok(Some(message)) => {
                    let taken = shared.act(|machine| {
                        machine.handle_said(message.into_owned().said, clock::now())
                    });
                    if let Err(reason) = taken {
                        return reason;
                    }
                }
                Ok(None) => return "the agent has ended the stream".to_owned(),
                Err(error) => return error.message().to_owned(),
            },
            sent = sent => {
                sending = None;
                if let Err(error) = sent {
                    // The other half knows how the stream ended, and waits for nothing.
                    return match heard.next().await {
                        Err(error) => error.message().to_owned(),
                        Ok(_) => error.message().to_owned(),
                    };
                }
            }
            () = shared.rung.notified() => {}
            () = until(due) => {}
        }
    }
}

impl Shared {
    fn step(&self, can_say: bool) -> Step {
        self.act(|machine| machine.poll_step(can_say, clock::now()))
    }

    /// Does something with the machine, and tells others what came of it.
    fn act<R>(&self, act: impl FnOnce(&mut Machine) -> R) -> R {
        let mut inner = self.lock();
        let done = act(&mut inner.machine);
        self.publish(&mut inner);
        drop::<std::sync::MutexGuard<'_, Inner>>(inner);
        self.heard.send_replace(());
        done
    }
}

/// Reads what an agent left on disk, apart from the runtime's threads.
async fn remember(shared: &Shared, agents: &Arc<Agents>) {
    let agents = Arc::clone(agents);
    let reading = tokio::task::spawn_blocking(move || {
        let read = |socket: &AgentSocket| read(socket, agents.user);
        agents.sockets.iter().find_map(read)
    });
    let remembered = reading.await.unwrap_or_default();
    shared.act(|machine| machine.handle_remembered(remembered, clock::now()));
}

/// The state beside a socket, if there is one that may be believed and can be read.
fn read(socket: &AgentSocket, user: u32) -> Option<Remembered> {
    let file = socket.state();
    socket.check(&file, user).ok()?;
    match read_file(&file) {
        Ok(state) => Some(Remembered::new(state, clock::since_1970())),
        Err(reason) => {
            tracing::warn!(file = %file.display(), reason, "the agent's state is of no use");
            None
        }
    }
}

fn read_file(file: &Path) -> Result<proto::State, String> {
    let read = regular::read(file, state::FILE_BYTES_MAX);
    let (bytes, _) = read.map_err(|error| error.to_string())?;
    state::decode(&bytes).map_err(|error| error.to_string())
}

impl Remembered {
    /// What a state holds; instances that are none are left out.
    fn new(state: proto::State, since_1970: Duration) -> Self {
        let mut by_service = BTreeMap::<_, Vec<_>>::new();
        for said in state.instances {
            if let Ok(instance) = Instance::try_from(said) {
                let of_service = by_service.entry(instance.service.clone()).or_default();
                of_service.push(Arc::new(instance));
            }
        }
        let locality = Locality::new(state.region, state.zone);
        let written = Duration::from_millis(state.written_unix_ms);
        Self {
            site: Site {
                here: Here::new(state.host, locality),
                addresses: state
                    .addresses
                    .iter()
                    .filter_map(|it| it.parse().ok())
                    .collect(),
            },
            by_service,
            age: since_1970.saturating_sub(written),
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// A connection is there at once or its host is in trouble.
const OPEN_PATIENCE: Duration = PATIENCE.saturating_mul(20);
