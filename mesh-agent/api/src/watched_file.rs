//! A file of services that takes an agent's place.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use dreammesh_core::resolve::Knowledge;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::attachment::{Snapshot, View};
use crate::clock;
use crate::endpoint::Here;
use crate::file::{self, FILE_BYTES_MAX};
use crate::instance::{Instance, Locality};
use crate::name::ServiceName;

/// A file that is read again whenever it changes; a clone shares it.
///
/// A version in which something is wrong changes nothing; the first version that is right is waited
/// for with an empty hand.
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

/// What tells versions of a file apart without reading it.
type Mark = (Option<SystemTime>, u64);

/// What a version says, or why that is of no use.
type Read = Result<Vec<Instance>, String>;

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
    fn take(&self, read: Read) {
        let mut state = self.lock();
        match read {
            Ok(instances) => {
                let mut services = BTreeMap::<_, Vec<_>>::new();
                for instance in instances {
                    let of_service = services.entry(instance.service.clone()).or_default();
                    of_service.push(Arc::new(instance));
                }
                state.services = Some(services);
                state.trouble = None;
            }
            Err(reason) => {
                let file = self.path.display();
                tracing::warn!(%file, reason, "the file of services cannot be used as it is");
                let trouble = format!("`{file}`, which DREAMMESH_SERVICES names: {reason}");
                state.trouble = Some(trouble.into());
            }
        }
        // Those that nobody follows any more go with the occasion.
        state.followed.retain(|_, views| views.receiver_count() > 0);
        for (service, views) in &state.followed {
            views.send_replace(self.view(&state, service));
        }
    }
}

/// Reads the file now, and again each time that it has changed.
async fn watch_file(shared: Arc<Shared>) {
    let mut last: Option<Result<Mark, String>> = None;
    loop {
        let path = shared.path.clone();
        let known = last.clone();
        let looking = tokio::task::spawn_blocking(move || look(&path, known.as_ref()));
        if let Ok((mark, read)) = looking.await {
            if mark.is_ok() {
                shared.knowledge.confirm(clock::now());
            }
            last = Some(mark);
            if let Some(read) = read {
                shared.take(read);
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// What marks the version that is there, and what it says unless that is the known one.
fn look(path: &Path, known: Option<&Result<Mark, String>>) -> (Result<Mark, String>, Option<Read>) {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string());
    let mark = metadata.as_ref().map(mark).map_err(Clone::clone);
    if known == Some(&mark) {
        return (mark, None);
    }
    let read = metadata.and_then(|metadata| {
        if metadata.len() > FILE_BYTES_MAX as u64 {
            return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
        }
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        file::parse(&text).map_err(|error| error.to_string())
    });
    (mark, Some(read))
}

fn mark(metadata: &Metadata) -> Mark {
    (metadata.modified().ok(), metadata.len())
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

/// Soon enough for whoever edits a file, and nothing for a system.
const PERIOD: Duration = Duration::from_secs(1);
