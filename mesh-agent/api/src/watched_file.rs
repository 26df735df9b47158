//! A file of services that takes an agent's place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dreammesh_core::resolve::Knowledge;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::attachment::{Snapshot, View};
use crate::clock;
use crate::endpoint::Here;
use crate::file::{Follower, STUCK_AFTER, Seen};
use crate::instance::{Instance, Locality};
use crate::name::ServiceName;

/// A file that is read again whenever it changes; a clone shares it.
///
/// What counts as a version is for [`Follower`] to say. One in which something is wrong changes
/// nothing: what is known only grows older. The first version that is right is waited for with an
/// empty hand.
#[derive(Clone, Debug)]
pub(crate) struct WatchedFile(Arc<Running>);

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    here: Here,
    knowledge: Arc<Knowledge>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// None until a version was right.
    services: Option<BTreeMap<ServiceName, Vec<Arc<Instance>>>>,
    trouble: Option<Arc<str>>,
    followed: BTreeMap<ServiceName, watch::Sender<View>>,
}

impl WatchedFile {
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn new(path: PathBuf, locality: Option<Locality>) -> Self {
        let shared = Arc::new(Shared {
            path,
            here: Here::new("", locality.unwrap_or_default()),
            knowledge: Arc::new(Knowledge::new(clock::now())),
            state: Mutex::default(),
        });
        let task = tokio::spawn(watch_file(Arc::clone(&shared))).abort_handle();
        Self(Arc::new(Running { shared, task }))
    }

    pub(crate) fn follow(&self, service: &ServiceName) -> Following {
        let shared = &self.0.shared;
        let mut state = shared.lock();
        let view = shared.view(&state, service);
        let followed = state.followed.entry(service.clone());
        let views = followed
            .or_insert_with(|| watch::Sender::new(view))
            .subscribe();
        drop(state);
        Following {
            file: self.clone(),
            views,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self, state: &State, service: &ServiceName) -> View {
        let known = state.services.as_ref().map(|services| {
            let instances = services.get(service).cloned().unwrap_or_default();
            Arc::new(Snapshot::new(instances, self.here.clone()))
        });
        View {
            known,
            trouble: state.trouble.clone(),
        }
    }

    /// Takes in what became of the file.
    fn handle(&self, seen: Seen) {
        let now = clock::now();
        match seen {
            Seen::Same => {
                self.knowledge.confirm(now);
                self.well();
            }
            Seen::New(instances) => {
                self.knowledge.confirm(now);
                self.take(instances);
            }
            Seen::Wrong(reason) => self.trouble(&reason),
            Seen::Stuck => self.trouble(&format!(
                "its file system has not answered for {STUCK_AFTER:?}"
            )),
            Seen::Unsure => {}
        }
    }

    fn take(&self, instances: Vec<Instance>) {
        let mut state = self.lock();
        let mut services = BTreeMap::<_, Vec<_>>::new();
        for instance in instances {
            let of_service = services.entry(instance.service.clone()).or_default();
            of_service.push(Arc::new(instance));
        }
        state.services = Some(services);
        state.trouble = None;
        self.tell(&mut state);
    }

    /// It is what it was, whatever kept it from being looked at.
    fn well(&self) {
        let mut state = self.lock();
        if state.trouble.take().is_some() {
            self.tell(&mut state);
        }
    }

    fn trouble(&self, reason: &str) {
        let mut state = self.lock();
        let file = self.path.display();
        let kept = match self.knowledge.age(clock::now()) {
            Some(age) if state.services.is_some() => {
                format!("; what it said {} s ago is kept", age.as_secs())
            }
            _ => String::new(),
        };
        tracing::warn!(%file, reason, "the file of services cannot be used as it is{kept}");
        let trouble = format!("`{file}`, which DREAMMESH_SERVICES names: {reason}{kept}");
        state.trouble = Some(trouble.into());
        self.tell(&mut state);
    }

    fn tell(&self, state: &mut State) {
        // Those that nobody follows any more go with the occasion.
        state.followed.retain(|_, views| views.receiver_count() > 0);
        for (service, views) in &state.followed {
            views.send_replace(self.view(state, service));
        }
    }
}

/// Takes in the file now, and each time that it has changed.
async fn watch_file(shared: Arc<Shared>) {
    let mut follower = Follower::new(&shared.path);
    loop {
        let seen = follower.next().await;
        shared.handle(seen);
    }
}

/// A service that is followed.
#[derive(Debug)]
pub(crate) struct Following {
    file: WatchedFile,
    views: watch::Receiver<View>,
}

impl Following {
    pub(crate) fn views(&self) -> watch::Receiver<View> {
        self.views.clone()
    }

    pub(crate) fn knowledge(&self) -> Arc<Knowledge> {
        Arc::clone(&self.file.0.shared.knowledge)
    }
}
