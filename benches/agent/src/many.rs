//! A hundred services of ten instances, and a hundred programs that are attached to one agent.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::sleep;

use crate::arguments::{Plan, SERVICES};
use crate::crowd::{self, Crowd, INSTANCES, PROGRAMS, Registered};
use crate::observed::{Observed, now};
use crate::stage::Stage;
use crate::table::{Figure, Table};

/// What an agent may take, of memory and of a core while nothing changes.
const MEMORY_MAX: Figure = Figure::Bytes(10 << 20);
const IDLE_MAX: Figure = Figure::Core(0.01);
/// How long a change may take until all who watch have seen it.
const CHANGE_MAX: Figure = Figure::Time(Duration::from_secs(1));

/// Whom the agent is told of the instances by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    /// The programs themselves, ten instances each.
    Attached,
    /// A file.
    File,
    /// Another agent, to which those who register are attached.
    Gossip,
}

/// Measures it with instances of one kind of source.
///
/// # Errors
/// When something cannot be started or does not do what it should.
pub(crate) fn run(program: &Path, told: Told, plan: &Plan) -> Result<Table, Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(program, told, plan))
}

async fn measure(program: &Path, told: Told, plan: &Plan) -> Result<Table, Box<dyn Error>> {
    let mut scene = Scene::open(program, told, plan.watched).await?;
    let agent = scene.stage.agent()?;
    let mut table = Table::new(format!(
        "{SERVICES} services × {INSTANCES} instances, which {}; {PROGRAMS} programs, {} watches",
        told.words(),
        scene.crowd.watches(),
    ));
    // What the beginning left to be done, such as the state's way to the disk, is done by then.
    sleep(SETTLING).await;
    let before = agent.anonymous()?;
    let idle = idle(agent, plan.quiet).await?;
    scene.change(&mut table).await?;
    let after = agent.anonymous()?;
    table.hold(
        "memory, once all is known",
        Figure::Bytes(before),
        MEMORY_MAX,
    );
    table.hold(
        "memory, after the changes",
        Figure::Bytes(after),
        MEMORY_MAX,
    );
    table.hold("CPU while nothing changes", idle, IDLE_MAX);
    scene.stage.finish()?;
    Ok(table)
}

async fn idle(agent: Observed, quiet: Duration) -> io::Result<Figure> {
    let begun = agent.spent()?;
    sleep(quiet).await;
    Ok(begun.until(agent.spent()?))
}

/// An agent, those who watch and those who register.
#[derive(Debug)]
struct Scene {
    stage: Stage,
    crowd: Crowd,
    /// Those who register, where it is not the crowd.
    others: Option<(Stage, Crowd)>,
    registered: Vec<Registered>,
}

impl Scene {
    async fn open(program: &Path, told: Told, watched: usize) -> Result<Self, Box<dyn Error>> {
        let mut stage = Stage::empty(program, "many")?;
        let mut others = None;
        match told {
            Told::Attached => stage.start_agent(&[])?,
            Told::File => {
                let path = stage.path().join("services.yaml");
                write_services(&path)?;
                stage.start_agent(&["--services".to_owned(), path.display().to_string()])?;
            }
            Told::Gossip => {
                let mut other = Stage::empty(program, "others")?;
                let (here, there) = (free_port()?, free_port()?);
                other.start_agent(&gossip("there", there, here))?;
                stage.start_agent(&gossip("here", here, there))?;
                let crowd = Crowd::new(&other, "server")?;
                others = Some((other, crowd));
            }
        }
        let mut crowd = Crowd::new(&stage, "program")?;
        crowd.watch(watched)?;
        let registered = match (told, &others) {
            (Told::File, _) => Vec::new(),
            (_, Some((_, servers))) => servers.register(),
            (_, None) => crowd.register(),
        };
        crowd.see_all(INSTANCES).await?;
        Ok(Self {
            stage,
            crowd,
            others,
            registered,
        })
    }

    /// Changes something, again and again, and takes the time until all who watch have seen it.
    async fn change(&mut self, table: &mut Table) -> Result<(), Box<dyn Error>> {
        let mut times = [const { Vec::new() }; 4];
        for _ in 0..CHANGES {
            sleep(PAUSE).await;
            let who = self.others.as_ref().map_or(&self.crowd, |(_, crowd)| crowd);
            let who = who.first().clone();
            let mut registered = None;
            for (at, times) in times.iter_mut().enumerate() {
                let begun = now();
                match (at, &mut registered) {
                    (0, _) => registered = Some(crowd::register(&who, 0, 0, ONE_MORE)),
                    (1, Some(one)) => one.handle_serving(false),
                    (2, Some(one)) => one.handle_serving(true),
                    _ => registered = None,
                }
                let is_there = at % 2 == 0;
                let seen = |ids: &std::collections::BTreeSet<_>| ids.contains(ONE_MORE) == is_there;
                self.crowd.see(0, seen).await?;
                times.push(begun.elapsed());
            }
        }
        let what = [
            "an instance comes",
            "cannot be called",
            "can be called again",
            "goes",
        ];
        for (what, times) in what.into_iter().zip(times) {
            let longest = times.into_iter().max().unwrap_or_default();
            let what = format!("{what}: until all {PROGRAMS} have seen it, longest of {CHANGES}");
            table.hold(what, Figure::Time(longest), CHANGE_MAX);
        }
        self.change_all(table).await
    }

    /// Changes everything at once.
    async fn change_all(&mut self, table: &mut Table) -> Result<(), Box<dyn Error>> {
        if self.registered.is_empty() {
            return Ok(());
        }
        for (serving, instances) in [(false, 0), (true, INSTANCES)] {
            let begun = now();
            for registered in &mut self.registered {
                registered.handle_serving(serving);
            }
            self.crowd.see_all(instances).await?;
            let what = match serving {
                false => "all instances cannot be called: until all have seen it",
                true => "all instances can be called again",
            };
            table.show(what, Figure::Time(begun.elapsed()));
        }
        Ok(())
    }
}

impl Told {
    pub(crate) const ALL: [Self; 3] = [Self::Attached, Self::File, Self::Gossip];

    const fn words(self) -> &'static str {
        match self {
            Self::Attached => "these programs register",
            Self::File => "a file has",
            Self::Gossip => "another agent tells of",
        }
    }
}

/// Writes a file of all instances, which are not checked, as those that programs register are not.
fn write_services(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut text = "services:\n".to_owned();
    for service in 0..SERVICES {
        let name = crowd::name(service);
        write!(text, "  - service: {name}\n    instances:\n")?;
        for number in 0..INSTANCES {
            let (id, port) = (crowd::id(service, number), crowd::port(service, number));
            writeln!(
                text,
                "      - {{id: {id}, address: 127.0.0.1, port: {port}, version: 2.14.1, \
                 labels: {{team: books}}, check: none}}"
            )?;
        }
    }
    Ok(fs::write(path, text)?)
}

/// What an agent is told that meets one other.
fn gossip(name: &str, own: u16, other: u16) -> Vec<String> {
    let words = format!("--name {name} --listen 127.0.0.1:{own} --seed 127.0.0.1:{other}");
    words.split(' ').map(ToOwned::to_owned).collect()
}

/// A port that nobody has at the moment.
fn free_port() -> io::Result<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The instance that comes and goes.
const ONE_MORE: &str = "one-more";
/// How often each change is made.
const CHANGES: usize = 30;
/// How long it is quiet before.
const PAUSE: Duration = Duration::from_millis(100);
/// How long what was started is left alone.
const SETTLING: Duration = Duration::from_secs(4);
