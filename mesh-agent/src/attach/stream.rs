//! One stream, from its hello to its end.

use std::sync::Arc;

use dreammesh_agent_api::instance::Instance;
use dreammesh_agent_api::name::ServiceName;
use dreammesh_agent_api::proto;
use dreammesh_agent_api::proto::{from_agent, from_application};
use dreammesh_core::call::{Receiver, Sender, Sending, Status};
use tokio::sync::watch;

use super::outgoing::{Outgoing, Since};
use super::owners::Program;
use super::registrations::Registrations;
use super::seats::Use;
use super::{Attachments, TICKS_OF_SILENCE, VERSIONS, WATCH_BYTES, size};
use crate::settling::Awaited;

/// One stream that has said hello.
#[derive(Debug)]
pub(super) struct Stream {
    attachments: Attachments,
    registrations: Registrations,
    outgoing: Outgoing,
    ticks: watch::Receiver<u64>,
    leaving: watch::Receiver<bool>,
    /// Ticks since something was heard.
    silent: u32,
    /// Messages since the last tick.
    heard: usize,
    /// Ticks for which something has waited to be read; none while nothing does.
    unread: Option<u32>,
    /// Whether the agent has read its files and heard others since it started.
    settled: bool,
}

impl Stream {
    /// Waits for the hello and takes the stream in.
    pub(super) async fn begin(
        attachments: &Attachments,
        requests: &mut Receiver<proto::FromApplication>,
    ) -> Result<Self, Status> {
        let shared = &attachments.0;
        let process = requests.peer().process();
        // Whoever says no hello has a place as well while that is waited for.
        let seat = shared.seats.enter(process, &shared.bounds)?;
        let hello = tokio::time::timeout(shared.bounds.silence, requests.next());
        let hello = hello
            .await
            .map_err(|_| Status::deadline_exceeded("no hello came"))??;
        let said = hello.and_then(|message| message.into_owned().said);
        let Some(from_application::Said::Hello(hello)) = said else {
            return Err(Status::invalid_argument("a stream begins with a hello"));
        };
        let version = negotiated(&hello)?;
        if *shared.leaving.borrow() {
            return Err(Status::unavailable("the agent is about to end"));
        }
        let name = printable(&hello.program);
        let program = Program::new(seat.number(), process, &name, hello.process);
        let program = Arc::new(program);
        seat.set_name(&name);
        if attachments.notes(&program) {
            let (user, id) = (process.map(|it| it.user), process.and_then(|it| it.id));
            tracing::info!(program = %program.name, user, process = id, version, "attached");
        }
        let mut outgoing = Outgoing::new(attachments.knowledge());
        let welcome = proto::Welcome {
            version,
            ..attachments.welcome()
        };
        outgoing.answer(from_agent::Said::Welcome(welcome), 0);
        let mut ticks = shared.ticks.subscribe();
        ticks.mark_unchanged();
        Ok(Self {
            attachments: attachments.clone(),
            registrations: Registrations::new(attachments.clone(), program, seat),
            outgoing,
            ticks,
            leaving: shared.leaving.subscribe(),
            silent: 0,
            heard: 0,
            unread: None,
            settled: attachments.knowledge().settling().is_over(&SETTLED),
        })
    }

    /// Serves the stream to its end.
    pub(super) async fn run(
        &mut self,
        requests: &mut Receiver<proto::FromApplication>,
        responses: &Sender<proto::FromAgent>,
    ) -> Result<(), Status> {
        let mut sending = None;
        let settling = self.attachments.knowledge().settling().clone();
        let mut settling = std::pin::pin!(settling.over(&SETTLED));
        loop {
            if sending.is_none() {
                if self.outgoing.has_left() {
                    return Ok(());
                }
                sending = self.outgoing.next().map(|said| {
                    let message = proto::FromAgent {
                        said: Some(said),
                        ..Default::default()
                    };
                    responses.send(message)
                });
            }
            if sending.is_none() {
                self.unread = None;
            } else {
                self.unread.get_or_insert(0);
            }
            let hears = self.hears();
            tokio::select! {
                // What an application said counts before the tick that would call it silent.
                biased;
                message = requests.next(), if hears => match message? {
                    Some(message) => self.heard(message.into_owned())?,
                    None => return Ok(()),
                },
                sent = sent(&mut sending), if sending.is_some() => {
                    sending = None;
                    sent?;
                    // When all programs are told of a change, what one is told is on its way before
                    // it is told more; all that is due to all would be there at once otherwise.
                    tokio::task::yield_now().await;
                }
                () = self.outgoing.rung() => self.outgoing.ring(),
                () = is_true(&mut self.leaving) => self.outgoing.leave(),
                () = &mut settling, if !self.settled => {
                    self.settled = true;
                    self.release();
                }
                _ = self.ticks.changed() => self.tick()?,
            }
        }
    }

    /// Whether more is read. Whoever does not read their answers is not read either, and nobody
    /// keeps the agent from the others by speaking without end.
    fn hears(&self) -> bool {
        let bounds = &self.attachments.0.bounds;
        let is_full = self
            .outgoing
            .is_full(bounds.answers_max, bounds.answers_bytes_max);
        !is_full && self.heard < bounds.messages_max
    }

    fn tick(&mut self) -> Result<(), Status> {
        self.silent += 1;
        self.heard = 0;
        if let Some(unread) = &mut self.unread {
            *unread += 1;
            let max = self.attachments.0.bounds.unread_ticks_max;
            if *unread > max {
                let program = &self.registrations.program().name;
                tracing::warn!(%program, "it does not read what it is sent");
                return Err(Status::resource_exhausted(
                    "the application does not read what it is sent",
                ));
            }
        }
        if self.silent > TICKS_OF_SILENCE {
            let program = &self.registrations.program().name;
            tracing::warn!(%program, "nothing was heard of it");
            return Err(Status::deadline_exceeded(
                "nothing was heard of the application",
            ));
        }
        self.outgoing.tick();
        self.release();
        Ok(())
    }

    /// Lets go of the first words on watches, once they are what they will be.
    fn release(&mut self) {
        if self.settled {
            self.outgoing.release(!self.attachments.awaits_return());
        }
    }

    fn heard(&mut self, message: proto::FromApplication) -> Result<(), Status> {
        self.silent = 0;
        self.heard += 1;
        use from_application::Said;
        match message.said {
            Some(Said::Hello(_)) => {
                return Err(Status::invalid_argument(
                    "only the first message is a hello",
                ));
            }
            Some(Said::Register(said)) => {
                let instance = said.instance.unwrap_or_default();
                let registered = self.registrations.register(said.key, instance);
                self.answer(said.key, registered);
            }
            Some(Said::Amend(said)) => {
                let amended = self.registrations.amend(&said);
                self.answer(said.key, amended);
            }
            Some(Said::Deregister(said)) => {
                if let Err(status) = self.registrations.deregister(said.key) {
                    self.refuse(said.key, &status);
                }
            }
            Some(Said::Watch(said)) => {
                let key = said.key;
                if let Err(status) = self.watch(&said) {
                    self.refuse(key, &status);
                }
            }
            Some(Said::Unwatch(said)) => {
                if let Some(service) = self.outgoing.unwatch(said.key) {
                    let seat = self.registrations.seat();
                    seat.give_back(Use::Watch, watch_bytes(&service));
                }
            }
            Some(Said::Load(said)) => {
                let from = &self.registrations.program().who;
                self.attachments.0.reports.report(from, &said.instances);
            }
            // What a newer application says beyond that is for newer agents.
            Some(Said::Heartbeat(_)) | None => {}
        }
        Ok(())
    }

    fn watch(&mut self, said: &proto::Watch) -> Result<(), Status> {
        let service = ServiceName::new(&said.service, &said.namespace)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let shared = &self.attachments.0;
        let since = if *said.epoch == *shared.epoch {
            Since::Version(said.version)
        } else if said.epoch.is_empty() || !self.attachments.awaits_return() {
            Since::Nothing
        } else {
            Since::FormerRun
        };
        let bytes = watch_bytes(&service);
        let seat = self.registrations.seat();
        seat.take(Use::Watch, bytes, &shared.bounds)?;
        let max = shared.bounds.watches_max;
        let watched = self.outgoing.watch(said.key, service, since, max);
        match watched.is_ok() {
            true => self.release(),
            false => seat.give_back(Use::Watch, bytes),
        }
        watched
    }

    fn answer(&mut self, key: u32, answer: Result<Arc<Instance>, Status>) {
        match answer {
            Ok(instance) => {
                let said = proto::Registered {
                    key,
                    instance: Some((&*instance).into()),
                    ..Default::default()
                };
                let said = from_agent::Said::Registered(said);
                self.outgoing.answer(said, size(&instance));
            }
            Err(status) => self.refuse(key, &status),
        }
    }

    fn refuse(&mut self, key: u32, status: &Status) {
        let program = self.registrations.program();
        if self.attachments.notes(program) {
            let reason = status.message();
            tracing::warn!(program = %program.name, reason, "refused");
        }
        let refused = proto::Refused {
            key,
            code: status.code() as u32,
            message: status.message().to_owned(),
            ..Default::default()
        };
        let refused = from_agent::Said::Refused(refused);
        self.outgoing.answer(refused, status.message().len());
    }
}

fn watch_bytes(service: &ServiceName) -> usize {
    WATCH_BYTES + service.name().len() + service.namespace().len()
}

async fn sent(sending: &mut Option<Sending<'_, proto::FromAgent, Status>>) -> Result<(), Status> {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

/// Waits until the agent leaves; for ever once that was said.
async fn is_true(leaving: &mut watch::Receiver<bool>) {
    while leaving.changed().await.is_ok() {
        if *leaving.borrow_and_update() {
            return;
        }
    }
    std::future::pending().await
}

/// What comes before a first word on a service: without it, what is known would be taken for all.
const SETTLED: [Awaited; 2] = [Awaited::Files, Awaited::Agents];

/// The greatest version that both speak.
fn negotiated(hello: &proto::Hello) -> Result<u32, Status> {
    let (least, greatest) = VERSIONS;
    let version = hello.version_max.min(greatest);
    if version < least.max(hello.version_min) {
        let text = format!(
            "the application speaks versions {} to {} of the protocol, and this agent {least} to \
             {greatest}: the older of the two has to be updated",
            hello.version_min, hello.version_max,
        );
        return Err(Status::failed_precondition(text));
    }
    Ok(version)
}

/// What a program calls itself, fit to be printed.
pub(super) fn printable(name: &str) -> String {
    // Others than these could rearrange the line in which they stand.
    let is_plain = |it: &char| it.is_alphanumeric() || it.is_ascii_graphic() || *it == ' ';
    let visible = name.chars().filter(is_plain);
    let name: String = visible.take(NAME_CHARACTERS_MAX).collect();
    if name.is_empty() {
        return "a program".to_owned();
    }
    name
}

/// A name is for one line of a log.
const NAME_CHARACTERS_MAX: usize = 64;
