//! `dreammesh watch`: what becomes of the instances of a service.

use std::collections::{BTreeMap, BTreeSet};
use std::io::stdout;

use clap::ArgMatches;
use dreammesh_agent_api::proto::{Instance, Update, Watch, from_agent, from_application};
use dreammesh_core::codec::Json;
use serde_json::{Value, json};

use super::ask::{places, service, status_of, weight};
use super::attached::{Attached, refused};
use crate::connection;
use crate::outcome::{Failure, Outcome, note, print};
use crate::terminal::Paint;

/// Watches for ever.
pub(crate) fn run(matches: &ArgMatches) -> Outcome {
    connection::block_on(async {
        let name = service(matches)?;
        let channel = super::agent(matches)?;
        let mut attached = Attached::once(&channel).await?;
        let mut shown = Shown::default();
        let (json, paint) = (matches.get_flag("json"), Paint::of(matches, &stdout()));
        loop {
            let watch = Watch {
                key: 1,
                service: name.name().to_owned(),
                namespace: name.namespace().to_owned(),
                ..Default::default()
            };
            // If the stream is over, the next look at it says so.
            let _ = attached.say(from_application::Said::Watch(watch)).await;
            while let Some(said) = attached.next().await {
                match said {
                    from_agent::Said::Update(update) => shown.take(update, json, paint)?,
                    from_agent::Said::Refused(it) => return Err(refused(&it)),
                    _ => {}
                }
            }
            shown.whole.clear();
            note("the agent is gone; what is shown stays until another one is there");
            attached = Attached::again(&channel).await;
        }
    })
}

/// What has been printed, so that an agent that comes anew tells nothing twice.
#[derive(Debug, Default)]
struct Shown {
    known: BTreeMap<String, Instance>,
    /// The ids of an update that says everything and of which more comes.
    whole: BTreeSet<String>,
}

impl Shown {
    fn take(&mut self, update: Update, json: bool, paint: Paint) -> Result<(), Failure> {
        for instance in update.changed {
            if update.complete {
                self.whole.insert(instance.id.clone());
            }
            if self.known.get(&instance.id) != Some(&instance) {
                let is_new = !self.known.contains_key(&instance.id);
                tell(if is_new { "+" } else { "~" }, &instance, json, paint)?;
                self.known.insert(instance.id.clone(), instance);
            }
        }
        let mut removed = update.removed;
        if update.complete && !update.more {
            let whole = std::mem::take(&mut self.whole);
            let known = self.known.keys();
            removed.extend(known.filter(|id| !whole.contains(*id)).cloned());
        }
        for id in removed {
            if let Some(instance) = self.known.remove(&id) {
                tell("-", &instance, json, paint)?;
            }
        }
        Ok(())
    }
}

fn tell(sign: &str, instance: &Instance, json: bool, paint: Paint) -> Result<(), Failure> {
    if json {
        let change = match sign {
            "+" => "added",
            "~" => "changed",
            _ => "removed",
        };
        let instance = instance.to_json();
        let instance = instance.map_err(|error| Failure::input(error.to_string()))?;
        let instance: Value =
            serde_json::from_str(&instance).map_err(|error| Failure::input(error.to_string()))?;
        return print(&format!(
            "{}\n",
            json!({"change": change, "instance": instance})
        ));
    }
    let status = status_of(instance);
    let status = match &*status {
        _ if sign == "-" => paint.bad("gone"),
        "UP" => paint.good(&status),
        "DOWN" => paint.bad(&status),
        _ => status,
    };
    let weight = weight(instance);
    let (id, places) = (&instance.id, places(instance));
    let version = match &*instance.version {
        "" => String::new(),
        version => format!(" version {version}"),
    };
    print(&format!(
        "{sign} {id} {status} {places} weight {weight}{version}\n"
    ))
}
