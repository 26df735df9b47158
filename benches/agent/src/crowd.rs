//! Programs that are attached to an agent: each has a stream of its own, and registers and watches
//! by the library, as an application's channels and servers do.

use std::collections::BTreeSet;
use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use dreammesh::Mesh;
use dreammesh::resolve::{Abilities, Resolvers as _};
use dreammesh_core::announce::{Announcement, Announcer as _, Served, ServedService};
use dreammesh_core::wire::LayoutHash;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::arguments::SERVICES;
use crate::stage::Stage;

/// How many programs are attached.
pub(crate) const PROGRAMS: usize = 100;
/// How many instances each service has.
pub(crate) const INSTANCES: usize = 10;

/// Programs that are attached, each to the same agent.
#[derive(Debug)]
pub(crate) struct Crowd {
    programs: Vec<Mesh>,
    /// Of each service, those who watch it.
    watchers: Vec<Vec<watch::Receiver<Ids>>>,
    /// What takes in what channels would.
    tasks: JoinSet<()>,
}

/// The endpoints of a service, by the ids of their instances.
type Ids = BTreeSet<Arc<str>>;

/// An instance that is registered until this is dropped.
pub(crate) type Registered = Box<dyn Announcement>;

impl Crowd {
    /// So many programs, which do nothing yet.
    pub(crate) fn new(stage: &Stage, name: &str) -> Result<Self, Box<dyn Error>> {
        let programs = (0..PROGRAMS).map(|at| stage.attach(&format!("{name}-{at}")));
        Ok(Self {
            programs: programs.collect::<Result<_, _>>()?,
            watchers: vec![Vec::new(); SERVICES],
            tasks: JoinSet::new(),
        })
    }

    /// Has each of them register an instance of each of ten services.
    pub(crate) fn register(&self) -> Vec<Registered> {
        let instance = |service: usize, number: usize| {
            let program = &self.programs[(service + number) % PROGRAMS];
            register(program, service, number, &id(service, number))
        };
        let services = 0..SERVICES;
        services
            .flat_map(|service| (0..INSTANCES).map(move |number| instance(service, number)))
            .collect()
    }

    /// Has each of them watch so many services: all of them the first one, and others in turn.
    pub(crate) fn watch(&mut self, watched: usize) -> Result<(), Box<dyn Error>> {
        for (at, program) in self.programs.iter().enumerate() {
            let others =
                (0..watched - 1).map(|next| 1 + (at * (watched - 1) + next) % (SERVICES - 1));
            for service in [0].into_iter().chain(others) {
                let (known, receiver) = watch::channel(Ids::new());
                let target = format!("mesh://{}", name(service));
                let mut resolver = program.resolver(&target, Abilities::default())?;
                self.watchers[service].push(receiver);
                self.tasks.spawn(async move {
                    while let Some(all) = poll_fn(|cx| resolver.poll_endpoints(cx)).await {
                        known.send_replace(all.into_iter().map(|it| it.id).collect());
                    }
                });
            }
        }
        Ok(())
    }

    /// Waits until all who watch a service see it so.
    pub(crate) async fn see(
        &mut self,
        service: usize,
        is_so: impl Fn(&Ids) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        for watcher in &mut self.watchers[service] {
            timeout(PATIENCE, watcher.wait_for(|ids| is_so(ids)))
                .await
                .map_err(|_| format!("a change of {} was not seen by all", name(service)))??;
        }
        Ok(())
    }

    /// Waits until all who watch see so many instances of every service.
    pub(crate) async fn see_all(&mut self, instances: usize) -> Result<(), Box<dyn Error>> {
        for service in 0..SERVICES {
            self.see(service, |ids| ids.len() == instances).await?;
        }
        Ok(())
    }

    /// The first of the programs.
    pub(crate) fn first(&self) -> &Mesh {
        &self.programs[0]
    }

    /// How many watches there are.
    pub(crate) fn watches(&self) -> usize {
        self.watchers.iter().map(Vec::len).sum()
    }
}

/// What a service is called.
pub(crate) fn name(service: usize) -> String {
    format!("service-{service}")
}

/// What an instance is called.
pub(crate) fn id(service: usize, number: usize) -> String {
    format!("service-{service}-instance-{number}")
}

/// Where an instance would be; nobody calls it.
pub(crate) const fn port(service: usize, number: usize) -> usize {
    20_000 + service * INSTANCES + number
}

/// Registers an instance of a service, which can be called from then on, with usual words.
pub(crate) fn register(program: &Mesh, service: usize, number: usize, id: &str) -> Registered {
    let member = program.member(&name(service)).id(id);
    let member = member.version("2.14.1").label("team", "books");
    let target = format!("dreammesh+tcp://127.0.0.1:{}", port(service, number));
    let contract = ServedService::new("shop.catalog.v1.Catalog", LayoutHash([7; 16]));
    let served = Served::new(vec![target], vec![contract]);
    let mut registered = Box::new(member).announce(served);
    registered.handle_serving(true);
    registered
}

/// How long anything may take that is waited for; the bars are below it.
const PATIENCE: Duration = Duration::from_secs(20);
