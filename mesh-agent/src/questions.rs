//! What people ask an agent: what it is, what it knows, and why.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dreammesh_agent_api::endpoint;
use dreammesh_agent_api::instance::{Instance, InstanceStatus};
use dreammesh_agent_api::name::ServiceName;
use dreammesh_agent_api::proto;
use dreammesh_core::call::{Process, Status};

use crate::attach::{Attachments, size};
use crate::clock;
use crate::registry::{Known, Registry};
use allowance::Allowance;

mod allowance;

/// Who else is in the mesh, as gossip sees it.
pub trait Members: fmt::Debug + Send + Sync {
    /// The other agents.
    fn members(&self) -> Vec<proto::Member>;
}

/// An agent that is alone.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Alone;

impl Members for Alone {
    fn members(&self) -> Vec<proto::Member> {
        Vec::new()
    }
}

/// What somebody ought to look at, one remark a subject; a clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Vec<Warning>>>);

#[derive(Debug)]
struct Warning {
    of: Box<str>,
    what: Box<str>,
}

impl Warnings {
    /// Something is wrong with a subject, or, with `None`, no longer is.
    pub fn set(&self, subject: &str, what: Option<&str>) {
        let mut warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.retain(|warning| *warning.of != *subject);
        if let Some(what) = what {
            warnings.push(Warning {
                of: subject.into(),
                what: what.into(),
            });
        }
    }

    /// All there are.
    pub fn all(&self) -> Vec<String> {
        let warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = warnings.iter();
        all.map(|it| format!("{}: {}", it.of, it.what)).collect()
    }
}

/// What questions are answered from.
#[derive(Clone, Debug)]
pub struct Questions {
    attachments: Attachments,
    members: Arc<dyn Members>,
    warnings: Warnings,
    started: Instant,
    metrics: String,
    allowance: Arc<Allowance>,
}

impl Questions {
    /// Those of an agent that starts now; `metrics` is where its Prometheus text is, or empty.
    pub fn new(
        attachments: &Attachments,
        members: Arc<dyn Members>,
        warnings: &Warnings,
        metrics: String,
    ) -> Self {
        Self {
            attachments: attachments.clone(),
            members,
            warnings: warnings.clone(),
            started: clock::now(),
            metrics,
            allowance: Arc::default(),
        }
    }

    pub(crate) fn status(&self) -> proto::StatusResponse {
        let (now, knowledge) = (clock::now(), self.attachments.knowledge());
        let here = knowledge.here();
        let mut warnings = self.warnings.all();
        let mut response = knowledge.read(|registry| {
            warnings.extend(remarks(registry));
            let sources = registry.sources();
            let shown = sources.filter(|it| !it.origin.is_held() || it.instances > 0);
            proto::StatusResponse {
                sources: shown.map(|it| source(it, now)).collect(),
                services: count(registry.services().count()),
                instances: count(registry.len()),
                version: registry.version(),
                ..Default::default()
            }
        });
        response.agent = here.agent.to_string();
        response.host = here.host.to_string();
        response.build = crate::BUILD.to_owned();
        response.up_ms = millis(now.saturating_duration_since(self.started));
        response.process = std::process::id();
        response.members = self.members.members();
        response.applications = count(self.attachments.len());
        response.attached = self.attachments.programs(PROGRAMS_SHOWN);
        response.epoch = self.attachments.epoch().to_owned();
        response.warnings = warnings;
        response.metrics.clone_from(&self.metrics);
        response
    }

    pub(crate) fn services(
        &self,
        namespace: &str,
        from: Option<Process>,
    ) -> Result<proto::ServicesResponse, Status> {
        let knowledge = self.attachments.knowledge();
        let mut services = knowledge.read(|registry| {
            let names = registry.services();
            let names = names.filter(|it| namespace.is_empty() || it.namespace() == namespace);
            let summaries = names.map(|name| summary(registry, name));
            summaries.collect::<Vec<_>>()
        });
        let bytes = services.iter().map(|it: &proto::ServiceSummary| {
            let versions = it.versions.iter().map(|version| version.len() + 16);
            it.service.len() + it.namespace.len() + 64 + versions.sum::<usize>()
        });
        let bytes = bytes.sum();
        self.allowance.take(from, bytes, clock::now())?;
        for summary in &mut services {
            if let Ok(name) = ServiceName::new(&summary.service, &summary.namespace) {
                summary.watchers = count(knowledge.watchers(&name));
            }
        }
        Ok(proto::ServicesResponse {
            services,
            ..Default::default()
        })
    }

    pub(crate) fn instances(
        &self,
        request: &proto::InstancesRequest,
        from: Option<Process>,
    ) -> Result<proto::InstancesResponse, Status> {
        let now = clock::now();
        let (service, namespace) = (&request.service, &request.namespace);
        let is_meant = |name: &ServiceName| {
            (service.is_empty() || name.name() == service)
                && (namespace.is_empty() || name.namespace() == namespace)
        };
        let known: Vec<Known> = self.attachments.knowledge().read(|registry| {
            let names = registry.services().filter(|name| is_meant(name));
            names.flat_map(|name| registry.instances(name)).collect()
        });
        self.allow(&known, from)?;
        Ok(proto::InstancesResponse {
            instances: known.iter().map(|it| known_instance(it, now)).collect(),
            ..Default::default()
        })
    }

    /// The instances of a service, and the present.
    pub(crate) fn known(
        &self,
        service: &ServiceName,
        from: Option<Process>,
    ) -> Result<(Vec<Known>, Instant), Status> {
        let knowledge = self.attachments.knowledge();
        let known: Vec<_> = knowledge.read(|registry| registry.instances(service).collect());
        self.allow(&known, from)?;
        Ok((known, clock::now()))
    }

    /// Whether a process is answered with so many instances.
    fn allow(&self, known: &[Known], from: Option<Process>) -> Result<(), Status> {
        let bytes = known.iter().map(|known| size(&known.instance));
        self.allowance.take(from, bytes.sum(), clock::now())
    }

    /// Where this agent is, as applications on its host see it.
    pub(crate) fn here(&self) -> endpoint::Here {
        let host = &self.attachments.knowledge().here().host;
        endpoint::Here::new(host.clone(), self.attachments.site().locality.clone())
    }

    pub(crate) const fn attachments(&self) -> &Attachments {
        &self.attachments
    }
}

/// What the sources and their claims give cause to say.
fn remarks(registry: &Registry) -> Vec<String> {
    let problems = registry.sources().filter_map(|source| {
        let problem = source.problem.as_ref()?;
        Some(format!("{}: {problem}", source.name))
    });
    let mut remarks: Vec<_> = problems.collect();
    let mut contested = registry.contested();
    for (id, origins) in contested.by_ref().take(CONTESTED_SHOWN) {
        let origins: Vec<_> = origins.iter().map(|it| it.as_str()).collect();
        remarks.push(format!(
            "{id} is claimed more than once: {}",
            origins.join(", ")
        ));
    }
    let more = contested.count();
    if more > 0 {
        remarks.push(format!("{more} more instances are claimed more than once"));
    }
    remarks
}

fn source(state: &crate::registry::SourceState, now: Instant) -> proto::Source {
    proto::Source {
        name: state.name.to_string(),
        healthy: state.problem.is_none(),
        problem: state.problem.as_deref().unwrap_or_default().to_owned(),
        instances: count(state.instances),
        age_ms: millis(now.saturating_duration_since(state.heard)),
        ..Default::default()
    }
}

fn summary(registry: &Registry, name: &ServiceName) -> proto::ServiceSummary {
    let (mut instances, mut available, mut versions) = (0, 0, BTreeSet::new());
    for known in registry.instances(name) {
        instances += 1;
        available += u32::from(is_available(&known.instance));
        if !known.instance.version.is_empty() {
            versions.insert(known.instance.version.to_string());
        }
    }
    proto::ServiceSummary {
        service: name.name().to_owned(),
        namespace: name.namespace().to_owned(),
        instances,
        available,
        versions: versions.into_iter().collect(),
        ..Default::default()
    }
}

/// Whether an instance can be given calls, as far as its state says.
pub(crate) fn is_available(instance: &Instance) -> bool {
    instance.status == InstanceStatus::Up && instance.weight > 0
}

pub(crate) fn known_instance(known: &Known, now: Instant) -> proto::KnownInstance {
    let said = known.health.as_ref().map(|health| health.said.to_string());
    proto::KnownInstance {
        instance: Some((&*known.instance).into()),
        age_ms: millis(now.saturating_duration_since(known.heard)),
        check: said.unwrap_or_default(),
        ..Default::default()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn count(many: usize) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
}

/// Of so many programs it is said who they are; those that take most come first.
const PROGRAMS_SHOWN: usize = 64;
/// Of so many contested ids each is named; beyond, their number is enough.
const CONTESTED_SHOWN: usize = 16;
