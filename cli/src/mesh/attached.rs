//! A stream to the agent, made anew whenever it ends.

use std::time::Duration;

use dreammesh_agent_api::proto::{
    AgentClient, FromAgent, FromApplication, Heartbeat, Hello, Refused, Welcome, from_agent,
    from_application,
};
use dreammesh_core::call::{CallError, Code, Receiver, Sender};
use dreammesh_core::channel::Channel;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::outcome::{Failure, STATUS_BASE, call_failed};

/// A stream that was welcomed.
#[derive(Debug)]
pub(super) struct Attached {
    requests: Sender<FromApplication, CallError>,
    responses: Receiver<FromAgent, CallError>,
    pub(super) welcome: Welcome,
    beats: Interval,
    silence: Duration,
    heard: Instant,
}

impl Attached {
    /// Attaches, and tries again until there is an agent.
    pub(super) async fn again(channel: &Channel) -> Self {
        loop {
            if let Ok(Ok(attached)) = tokio::time::timeout(PATIENCE, Self::new(channel)).await {
                return attached;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Attaches to an agent that is there.
    pub(super) async fn once(channel: &Channel) -> Result<Self, Failure> {
        let attached = tokio::time::timeout(PATIENCE, Self::new(channel)).await;
        let late = |_| Failure::new(crate::connection::UNAVAILABLE, "the agent does not answer");
        attached.map_err(late)?
    }

    async fn new(channel: &Channel) -> Result<Self, Failure> {
        let failed = |error: CallError| call_failed(&error);
        let client = AgentClient::new(channel.clone());
        let (requests, mut responses) = client.attach().await.map_err(failed)?;
        let hello = Hello {
            version_min: 1,
            version_max: 1,
            program: "dreammesh".to_owned(),
            process: std::process::id(),
            library: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        let message = said(from_application::Said::Hello(hello));
        requests.send(message).await.map_err(failed)?;
        let welcome = loop {
            let message = responses.next().await.map_err(failed)?;
            let message = message.ok_or_else(ended)?.into_owned();
            if let Some(from_agent::Said::Welcome(welcome)) = message.said {
                break welcome;
            }
        };
        let silence = Duration::from_millis(welcome.silence_ms.clamp(300, 60_000).into());
        let mut beats = interval(silence / 3);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            requests,
            responses,
            welcome,
            beats,
            silence,
            heard: now(),
        })
    }

    pub(super) async fn say(&self, what: from_application::Said) -> Result<(), CallError> {
        self.requests.send(said(what)).await
    }

    /// What the agent says next; says meanwhile that this is alive. Dropping the future loses
    /// nothing.
    ///
    /// `None` when the stream is over, or nothing was heard of the agent for too long.
    pub(super) async fn next(&mut self) -> Option<from_agent::Said> {
        loop {
            tokio::select! {
                biased;
                message = self.responses.next() => {
                    let message = message.ok()??.into_owned();
                    self.heard = now();
                    match message.said {
                        Some(from_agent::Said::Heartbeat(_)) | None => {}
                        Some(from_agent::Said::Leaving(_)) => return None,
                        Some(said) => return Some(said),
                    }
                }
                _ = self.beats.tick() => {
                    if now() - self.heard > self.silence * SILENCES {
                        return None;
                    }
                    let beat = from_application::Said::Heartbeat(Heartbeat::default());
                    let sent = tokio::time::timeout(self.silence, self.say(beat)).await;
                    sent.ok()?.ok()?;
                }
            }
        }
    }
}

fn said(what: from_application::Said) -> FromApplication {
    FromApplication {
        said: Some(what),
        ..Default::default()
    }
}

/// The agent takes the stream, and not what was asked for on it.
pub(super) fn refused(refused: &Refused) -> Failure {
    let code = Code::from_number(refused.code);
    let status = STATUS_BASE.saturating_add(code as u8);
    Failure::new(status, format!("{code}: {}", refused.message))
}

fn ended() -> Failure {
    Failure::new(crate::connection::UNAVAILABLE, "the agent ended the stream")
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether an agent is silent is a matter of time"
)]
fn now() -> Instant {
    Instant::now()
}

/// An agent that was stopped for a while still has what is registered there, which another stream
/// would only disturb.
const SILENCES: u32 = 10;
/// How long an agent may take to welcome somebody.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an agent that is not there is left alone; its successor holds instances for 15 s.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_ends_with_the_status_of_its_code() {
        for (code, status) in [(6, 70), (8, 72), (1_000, 66)] {
            let refusal = Refused {
                code,
                message: "no".into(),
                ..Default::default()
            };
            assert_eq!(refused(&refusal).status(), status, "{code}");
        }
    }
}
