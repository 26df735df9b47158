//! The endpoints of a target of the mesh, as a channel asks for them.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use dreammesh_core::balance::Load;
use dreammesh_core::resolve::{Knowledge, ResolvedEndpoint, Resolver};
use tokio::sync::watch;

use crate::attachment::View;
use crate::endpoint::{Reason, Rules, choose};
use crate::instance::InstanceId;
use crate::mesh::Following;
use crate::name::MeshTarget;

/// Says where a service of the mesh is, by what an agent or a file says of it.
pub(crate) struct MeshResolver {
    target: MeshTarget,
    rules: Rules,
    following: Following,
    next: Option<Next>,
    why_none: Option<String>,
    /// Instances of which it was said that they are no endpoint, which is said once.
    warned: BTreeSet<InstanceId>,
    /// Whether it was said that calls travel in plaintext.
    exposed: bool,
}

/// The next view that says something, and those that follow.
type Next = Pin<Box<dyn Future<Output = Option<(View, watch::Receiver<View>)>> + Send>>;

impl MeshResolver {
    pub(crate) fn new(target: MeshTarget, rules: Rules, following: Following) -> Self {
        let mut views = following.views();
        // What is known already is the first to be said.
        views.mark_changed();
        Self {
            target,
            rules,
            following,
            next: Some(Box::pin(next(views))),
            why_none: None,
            warned: BTreeSet::new(),
            exposed: false,
        }
    }

    fn endpoints(&mut self, view: &View) -> Vec<ResolvedEndpoint> {
        let mut endpoints = Vec::new();
        let mut reasons = Vec::new();
        let instances = view.known.iter().flat_map(|known| {
            let here = &known.here;
            known.instances.iter().map(move |it| (it, here))
        });
        for (instance, here) in instances {
            match choose(instance, self.target.port(), here, self.rules) {
                Ok(chosen) => {
                    if chosen.exposed && !std::mem::replace(&mut self.exposed, true) {
                        tracing::warn!(target = %self.target, "calls to other hosts are plaintext");
                    }
                    endpoints.push(chosen.endpoint);
                }
                Err(reason) => {
                    self.warn(&instance.id, &reason);
                    reasons.push((Arc::clone(instance), reason));
                }
            }
        }
        let reasons = reasons.iter().map(|(it, reason)| (&it.id, reason));
        self.why_none = endpoints
            .is_empty()
            .then(|| self.why_none(reasons.collect(), view.trouble.as_deref()));
        endpoints
    }

    /// Says once of an instance that something about it is set up wrongly.
    fn warn(&mut self, id: &InstanceId, reason: &Reason) {
        let is_passing = matches!(
            reason,
            Reason::Starting | Reason::Draining | Reason::Maintenance
        );
        if !is_passing && self.warned.len() < WARNED_MAX && self.warned.insert(id.clone()) {
            tracing::warn!(target = %self.target, %id, %reason, "an instance is no endpoint");
        }
    }

    fn why_none(&self, reasons: Vec<(&InstanceId, &Reason)>, trouble: Option<&str>) -> String {
        let service = self.target.service();
        let mut why = match reasons.len() {
            0 => format!("no instance of {service} is known"),
            1 => "its one instance is none".to_owned(),
            count => format!("none of its {count} instances is one"),
        };
        for (at, (id, reason)) in reasons.iter().take(SHOWN_MAX).enumerate() {
            let before = if at == 0 { ": " } else { "; " };
            why += &format!("{before}`{id}`: {reason}");
        }
        if reasons.len() > SHOWN_MAX {
            why += "; and so on";
        }
        if let Some(trouble) = trouble {
            why += &format!(": {trouble}");
        }
        why
    }
}

/// The next view that says something.
async fn next(mut views: watch::Receiver<View>) -> Option<(View, watch::Receiver<View>)> {
    loop {
        views.changed().await.ok()?;
        let view = views.borrow_and_update().clone();
        if view.known.is_some() || view.trouble.is_some() {
            return Some((view, views));
        }
    }
}

impl Resolver for MeshResolver {
    fn poll_endpoints(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<ResolvedEndpoint>>> {
        let Some(waiting) = &mut self.next else {
            return Poll::Ready(None);
        };
        let said = ready!(waiting.as_mut().poll(cx));
        self.next = None;
        let Some((view, views)) = said else {
            return Poll::Ready(None);
        };
        self.next = Some(Box::pin(next(views)));
        Poll::Ready(Some(self.endpoints(&view)))
    }

    fn why_none(&self) -> Option<String> {
        self.why_none.clone()
    }

    fn knowledge(&self) -> Option<Arc<Knowledge>> {
        Some(self.following.knowledge())
    }

    fn handle_load(&mut self, id: &str, load: &Arc<Load>) {
        self.following.handle_load(id, load);
    }
}

impl fmt::Debug for MeshResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshResolver")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// How many reasons stand in the message of a call.
const SHOWN_MAX: usize = 3;
/// Of how many instances it is remembered that they were complained of.
const WARNED_MAX: usize = 1_000;
