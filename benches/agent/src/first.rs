//! From an empty directory to the first call through the mesh: an agent is started, then a server,
//! and somebody calls it by its name.

use std::error::Error;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use dreammesh_parts::contract::PartsClient;
use dreammesh_parts::message::small;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::observed::now;
use crate::stage::Stage;
use crate::table::{Figure, Table};

/// How long it may take.
const FIRST_MAX: Figure = Figure::Time(Duration::from_secs(1));
/// How often it is done.
const TIMES: usize = 5;

/// Who calls.
#[derive(Clone, Copy, Debug)]
enum Caller {
    /// A program that waits for the service.
    Program,
    /// `dreammesh call`, which is started as often as it takes.
    Command,
}

/// Measures it.
///
/// # Errors
/// When something cannot be started, or nobody answers.
pub(crate) fn run(program: &Path) -> Result<Table, Box<dyn Error>> {
    let mut table = Table::new(format!(
        "From an empty directory to the first call through the mesh, longest of {TIMES}"
    ));
    let (mut agents, mut servers) = (Duration::ZERO, Duration::ZERO);
    for caller in [Caller::Program, Caller::Command] {
        let mut longest = Duration::ZERO;
        for _ in 0..TIMES {
            let mut stage = Stage::empty(program, "first")?;
            let begun = now();
            stage.start_agent(&[])?;
            agents = agents.max(begun.elapsed());
            stage.start_server("parts", None)?;
            servers = servers.max(begun.elapsed());
            caller.call(&stage)?;
            longest = longest.max(begun.elapsed());
            stage.finish()?;
        }
        table.hold(caller.words(), Figure::Time(longest), FIRST_MAX);
    }
    table.show("of it, until the agent was ready", Figure::Time(agents));
    table.show("of it, until the server was ready", Figure::Time(servers));
    Ok(table)
}

impl Caller {
    const fn words(self) -> &'static str {
        match self {
            Self::Program => "`dreammesh agent`, a server, and the answer in another program",
            Self::Command => "the same, and the answer printed by `dreammesh call`",
        }
    }

    /// Calls until there is an answer.
    fn call(self, stage: &Stage) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Program => Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(async { timeout(PATIENCE, in_program(stage)).await })?,
            Self::Command => by_command(stage),
        }
    }
}

async fn in_program(stage: &Stage) -> Result<(), Box<dyn Error>> {
    let channel = stage.attach("caller")?.connect_lazy("mesh://parts")?;
    let client = PartsClient::new(channel);
    client.small(small()).wait_for_ready(true).await?;
    Ok(())
}

fn by_command(stage: &Stage) -> Result<(), Box<dyn Error>> {
    let until = now() + PATIENCE;
    loop {
        let mut command = stage.command();
        command.args(["call", "mesh://parts", "dreammesh.bench.v1.Parts/Small"]);
        let called = command.args(["-d", "{}"]).stdin(Stdio::null()).output()?;
        if called.status.success() {
            return Ok(());
        }
        if now() > until {
            return Err(String::from_utf8_lossy(&called.stderr).into());
        }
    }
}

/// How long an answer is waited for; the bar is below it.
const PATIENCE: Duration = Duration::from_secs(20);
