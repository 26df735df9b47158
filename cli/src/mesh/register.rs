//! `dreammesh register`: a server of any language that is in the mesh while this runs.

use std::time::Duration;

use clap::ArgMatches;
use dreammesh_agent_api::proto::{
    Amend, Check, CheckKind, Instance, InstanceStatus, Port, Protocol, Refused, Register,
    from_agent, from_application,
};
use dreammesh_core::channel::Channel;
use tokio::sync::watch;

use super::ask::{places, service, text};
use super::attached::{Attached, refused};
use crate::connection;
use crate::invocation;
use crate::outcome::{FINE, Failure, Outcome, note, print};

use child::Child;

mod child;

/// Registers, and stays for as long as the server is to be called.
pub(crate) fn run(matches: &ArgMatches) -> Outcome {
    connection::block_on(async {
        let instance = instance(matches)?;
        let drain = invocation::time(matches, "drain")?.unwrap_or_default();
        // Whether there is an agent is known before anything is begun.
        let channel = super::agent(matches)?;
        let mut signals = child::Signals::new()?;
        let mut child = match matches.get_many::<String>("command") {
            None => Child::none(),
            Some(words) => Child::start(words)?,
        };
        if child.is_some() {
            let ended = tokio::select! {
                () = accepts(&instance) => None,
                status = child.ended() => Some(status),
                signal = signals.next() => {
                    child.tell(signal);
                    Some(child.ended().await)
                }
            };
            if let Some(status) = ended {
                return status;
            }
        }
        let (draining, drains) = watch::channel(false);
        let registration = Registration {
            channel,
            instance,
            drains,
            to_stderr: child.is_some(),
        };
        let signal = tokio::select! {
            failure = registration.hold() => {
                if child.is_some() {
                    child.tell(child::TERMINATE);
                    child.ended().await?;
                }
                return Err(failure);
            }
            status = child.ended() => return status,
            signal = async {
                let signal = signals.next().await;
                draining.send_replace(true);
                tokio::select! {
                    () = tokio::time::sleep(drain) => {}
                    // Whoever says it again cannot wait.
                    _ = signals.next() => {}
                }
                signal
            } => signal,
        };
        if !child.is_some() {
            return Ok(FINE);
        }
        child.tell(signal);
        // It may take its time, and can be told again.
        loop {
            tokio::select! {
                status = child.ended() => return status,
                signal = signals.next() => child.tell(signal),
            }
        }
    })
}

/// What is to be registered.
fn instance(matches: &ArgMatches) -> Result<Instance, Failure> {
    let name = service(matches)?;
    let number = matches.get_one::<u16>("port").copied().unwrap_or_default();
    if number == 0 {
        return Err(Failure::input(
            "--port: a server listens at a port from 1 to 65535",
        ));
    }
    let is_grpc = text(matches, "protocol") == "grpc";
    let protocol = if is_grpc {
        Protocol::GRPC
    } else {
        Protocol::DREAMMESH
    };
    let port = Port {
        number: number.into(),
        protocol,
        tls: matches.get_flag("tls"),
        ..Default::default()
    };
    let check = match &*text(matches, "check") {
        "session" => CheckKind::SESSION,
        "grpc" => CheckKind::GRPC,
        "tcp" => CheckKind::TCP,
        "none" => CheckKind::NONE,
        _ => CheckKind::UNSPECIFIED,
    };
    let mut instance = Instance::default();
    for label in matches.get_many::<String>("label").into_iter().flatten() {
        let Some((name, value)) = label.split_once('=') else {
            return Err(Failure::input(format!("--label {label}: it is NAME=VALUE")));
        };
        instance.labels.insert(name.to_owned(), value.to_owned());
    }
    let addresses = matches.get_many::<String>("address");
    Ok(Instance {
        id: text(matches, "id"),
        service: name.name().to_owned(),
        namespace: name.namespace().to_owned(),
        version: text(matches, "instance-version"),
        addresses: addresses.into_iter().flatten().cloned().collect(),
        ports: vec![port],
        weight: matches.get_one::<u16>("weight").map(|it| u32::from(*it)),
        region: text(matches, "region"),
        zone: text(matches, "zone"),
        check: Some(Check {
            kind: check,
            ..Default::default()
        }),
        permit_plaintext: matches.get_flag("permit-plaintext"),
        ..instance
    })
}

/// Waits until the server's port accepts connections.
async fn accepts(instance: &Instance) {
    let address = instance
        .addresses
        .first()
        .map_or("127.0.0.1", String::as_str);
    let port = instance.ports.first().map_or(0, |port| port.number);
    let port = u16::try_from(port).unwrap_or_default();
    while tokio::net::TcpStream::connect((address, port))
        .await
        .is_err()
    {
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}

/// An instance that is registered, with whichever agent there is.
struct Registration {
    channel: Channel,
    instance: Instance,
    drains: watch::Receiver<bool>,
    /// Standard output is the command's.
    to_stderr: bool,
}

impl Registration {
    /// Holds the registration; ends only if it cannot be had to begin with.
    async fn hold(mut self) -> Failure {
        let mut attached = match Attached::once(&self.channel).await {
            Ok(attached) => attached,
            Err(failure) => return failure,
        };
        let mut is_first = true;
        loop {
            match self.held(&mut attached, &mut is_first).await {
                Some(it) if is_first => return refused(&it),
                // A server that was in the mesh is well, whatever an agent thinks of it.
                Some(it) => {
                    note(&format!("not in the mesh for now: {}", it.message));
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
                None => note("the agent is gone; registering again when another one is there"),
            }
            attached = Attached::again(&self.channel).await;
        }
    }

    /// Registers on a stream and stays until that ends, or gives why it is refused.
    async fn held(&mut self, attached: &mut Attached, is_first: &mut bool) -> Option<Refused> {
        let register = Register {
            key: KEY,
            instance: Some(self.instance.clone()),
            ..Default::default()
        };
        let said = from_application::Said::Register(register);
        attached.say(said).await.ok()?;
        loop {
            tokio::select! {
                said = attached.next() => match said? {
                    from_agent::Said::Refused(refused) => return Some(refused),
                    from_agent::Said::Registered(registered) => {
                        let instance = registered.instance.unwrap_or_default();
                        if std::mem::take(is_first) {
                            self.announce(&instance, &attached.welcome.agent);
                        }
                        // The id that the agent gave is its id with the next one, too.
                        self.instance.id = instance.id;
                    }
                    _ => {}
                },
                Ok(()) = self.drains.changed() => {
                    self.instance.status = InstanceStatus::DRAINING;
                    let amend = Amend {
                        key: KEY,
                        status: InstanceStatus::DRAINING,
                        ..Default::default()
                    };
                    attached.say(from_application::Said::Amend(amend)).await.ok()?;
                }
            }
        }
    }

    fn announce(&self, instance: &Instance, agent: &str) {
        let Instance {
            id,
            service,
            namespace,
            ..
        } = instance;
        let places = places(instance);
        let line = format!("registered {id} of {service}.{namespace} at {places} with {agent}");
        if self.to_stderr {
            note(&line);
        } else {
            // Nobody need read it.
            let _ = print(&format!("{line}\n"));
        }
    }
}

/// A command registers one instance.
const KEY: u32 = 1;
/// How long an agent that refuses is left alone.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// How often a server that starts is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(50);
