//! The application's side of the one stream between it and the agent of its host.
//!
//! What is decided is in `machine`, which does no I/O; the task here moves what it says. An
//! [`Attachment`] lives for ever: when the agent goes, what it said is kept, the instances that are
//! registered are registered with the next one under the same ids, and the services that are
//! followed are asked for from where its word ended.
//!
//! - `machine`: what is said when, without I/O.
//! - `watching`: what is known of one service.
//! - `registration`: an instance that is kept registered.
//! - `load`: what this process sees of the endpoints that it calls.
//! - `driver`: the task.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dreammesh_core::balance::Load;
use dreammesh_core::channel::Channel;
use dreammesh_core::resolve::Knowledge;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::clock;
use crate::instance::{InstanceStatus, Locality};
use crate::name::ServiceName;
use crate::place::AgentSocket;
use crate::proto;
use machine::Machine;
pub use machine::{Snapshot, VERSIONS, View};
pub(crate) use registration::Registering;
pub use watching::INSTANCES_MAX;

mod driver;
mod load;
mod machine;
mod registration;
mod watching;

/// Makes a channel to a target, such as `unix:///run/dreammesh/agent.sock`, that dials when it is
/// used; the text of an error says why it cannot.
///
/// The numbers are those of the users as one of whom the server has to run, which is asked of the
/// kernel for each connection before anything is said on it.
pub type Dial = dyn Fn(&str, &[u32]) -> Result<Channel, String> + Send + Sync;

/// How an agent is found.
#[non_exhaustive]
pub struct Agents {
    /// Where one may be, in the order in which they are tried.
    pub sockets: Vec<AgentSocket>,
    /// The user whose files, beside root's, are believed.
    pub user: u32,
    /// How one is dialled.
    pub dial: Box<Dial>,
}

impl Agents {
    /// Agents at these sockets, for a process of that user.
    pub fn new(
        sockets: Vec<AgentSocket>,
        user: u32,
        dial: impl Fn(&str, &[u32]) -> Result<Channel, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            sockets,
            user,
            dial: Box::new(dial),
        }
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Agents").field(&self.sockets).finish()
    }
}

/// Keeps a process attached to the agent of its host; a clone shares the stream.
///
/// With the last clone, and all that was made of them, the stream ends.
#[derive(Clone, Debug)]
pub struct Attachment(Arc<Running>);

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What the task and those who use it share.
#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// Something is to be said.
    rung: Notify,
    /// Something was heard that somebody may wait for.
    heard: watch::Sender<()>,
}

#[derive(Debug)]
struct Inner {
    machine: Machine,
    followed: BTreeMap<u32, Followed>,
    keys: BTreeMap<ServiceName, u32>,
}

/// A service that somebody follows.
#[derive(Debug)]
struct Followed {
    views: watch::Sender<View>,
    knowledge: Arc<Knowledge>,
    service: ServiceName,
    users: usize,
}

impl Attachment {
    /// Attaches, now and whenever the agent was gone; `hello` says what this program is.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(agents: Agents, hello: proto::Hello, locality: Option<Locality>, seed: u64) -> Self {
        let mut machine = Machine::new(hello, seed, clock::now());
        if let Some(locality) = locality {
            machine.set_locality(locality);
        }
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                machine,
                followed: BTreeMap::new(),
                keys: BTreeMap::new(),
            }),
            rung: Notify::new(),
            heard: watch::Sender::new(()),
        });
        let task = tokio::spawn(driver::run(Arc::clone(&shared), agents)).abort_handle();
        Self(Arc::new(Running { shared, task }))
    }

    /// Follows a service; all who follow one share what is known of it.
    pub fn follow(&self, service: &ServiceName) -> Following {
        let shared = &self.0.shared;
        let mut inner = shared.lock();
        let Inner {
            machine,
            followed,
            keys,
        } = &mut *inner;
        let key = *keys.entry(service.clone()).or_insert_with(|| {
            let (key, knowledge) = machine.watch(service.clone(), clock::now());
            let new = Followed {
                views: watch::Sender::new(View::default()),
                knowledge,
                service: service.clone(),
                users: 0,
            };
            followed.insert(key, new);
            key
        });
        let of_service = followed.get_mut(&key);
        let of_service = of_service.expect("each key is of one that is followed");
        of_service.users += 1;
        let following = Following {
            attachment: self.clone(),
            key,
            views: of_service.views.subscribe(),
            knowledge: Arc::clone(&of_service.knowledge),
        };
        shared.publish(&mut inner);
        drop(inner);
        shared.rung.notify_one();
        following
    }

    /// Whether there is an agent now.
    pub fn is_attached(&self) -> bool {
        self.0.shared.lock().machine.is_attached()
    }

    /// Keeps an instance registered until what this gives is dropped.
    pub(crate) fn register(&self, registering: Registering) -> Registered {
        let key = self.0.shared.lock().machine.register(registering);
        self.0.shared.rung.notify_one();
        Registered {
            attachment: self.clone(),
            key,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who follow services what is new.
    fn publish(&self, inner: &mut Inner) {
        for (key, view) in inner.machine.take_changes() {
            if let Some(followed) = inner.followed.get(&key) {
                followed.views.send_replace(view);
            }
        }
    }
}

/// What is known of a service, as it changes.
#[derive(Debug)]
pub struct Following {
    attachment: Attachment,
    key: u32,
    views: watch::Receiver<View>,
    knowledge: Arc<Knowledge>,
}

impl Following {
    /// What is known, as it changes.
    pub fn views(&self) -> watch::Receiver<View> {
        self.views.clone()
    }

    /// How old that is.
    pub fn knowledge(&self) -> Arc<Knowledge> {
        Arc::clone(&self.knowledge)
    }

    /// Has the agent told what an endpoint is doing.
    pub fn handle_load(&self, id: &str, load: &Arc<Load>) {
        self.attachment.0.shared.lock().machine.loads.add(id, load);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let shared = &self.attachment.0.shared;
        let mut inner = shared.lock();
        let Some(followed) = inner.followed.get_mut(&self.key) else {
            return;
        };
        followed.users -= 1;
        if followed.users == 0 {
            let service = followed.service.clone();
            inner.followed.remove(&self.key);
            inner.keys.remove(&service);
            inner.machine.unwatch(self.key);
            shared.rung.notify_one();
        }
    }
}

/// An instance that is kept registered; dropping it takes the instance back.
#[derive(Debug)]
pub(crate) struct Registered {
    attachment: Attachment,
    key: u32,
}

impl Registered {
    /// Says what state the instance is in.
    pub(crate) fn set_status(&self, status: InstanceStatus) {
        let shared = &self.attachment.0.shared;
        shared.lock().machine.amend(self.key, status);
        shared.rung.notify_one();
    }

    /// Waits until the agent has taken in the state, or there is none to do so.
    pub(crate) fn settled(&self) -> impl Future<Output = ()> + Send + use<> {
        let (shared, key) = (Arc::clone(&self.attachment.0.shared), self.key);
        async move {
            let mut heard = shared.heard.subscribe();
            while !shared.lock().machine.is_settled(key) {
                // The sender is in what this future holds.
                let _ = heard.changed().await;
            }
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let shared = &self.attachment.0.shared;
        shared.lock().machine.deregister(self.key);
        shared.rung.notify_one();
    }
}
