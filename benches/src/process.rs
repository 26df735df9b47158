//! One measurement is two processes of this binary, a server and a client.
//!
//! They talk to their parent in lines. A server prints its address, then its usage for every line
//! it is sent, and ends when its input does. A client prints a line when counting begins and when
//! it ends, each time waiting for the parent to take note of the server's usage, and its result at
//! the end. The parent sleeps meanwhile, so it disturbs neither.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::machine::{self, Usage};
use crate::matrix::Case;
use crate::pinning::{End, Pinning};
use crate::run::{Plan, Seen, Task};
use crate::system;
use crate::transport::{Address, Transport};
use crate::workload::Workload;

mod child;

/// The line by which a client says that counting begins.
pub(crate) const BEGIN: &str = "begin";
/// The line by which a client says that counting ends.
pub(crate) const END: &str = "end";

/// What a process of this binary is told to do, as its parent puts it on the command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Role {
    end: End,
    system: String,
    transport: Transport,
    workload: String,
    pinning: Pinning,
    plan: Plan,
    address: Option<String>,
}

impl Role {
    fn new(case: &Case, plan: Plan, end: End, address: Option<String>) -> Self {
        Self {
            end,
            system: case.system.name().to_owned(),
            transport: case.transport,
            workload: case.workload.to_string(),
            pinning: case.pinning,
            plan,
            address,
        }
    }

    /// Reads what a parent put on the command line.
    ///
    /// # Errors
    /// When it is no role.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| Failure::Usage(format!("{error} in {text:?}")))
    }

    fn text(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::Process(error.to_string()))
    }
}

/// Says something to the parent and waits until it has taken note.
///
/// This blocks the thread on purpose: what is measured should not go on meanwhile.
///
/// # Errors
/// When the parent is gone.
pub(crate) fn checkpoint(line: &str) -> Result<(), Failure> {
    say(line);
    let mut noted = String::new();
    match std::io::stdin().lock().read_line(&mut noted) {
        Ok(0) => Err(Failure::Process("the parent is gone".to_owned())),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::io("hearing the parent")(error)),
    }
}

/// Writes one line to the parent; a parent that is gone ends this process soon by itself.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Plays the role that the parent gave.
///
/// # Errors
/// When the system under measurement fails.
pub fn play(role: &Role) -> Result<(), Failure> {
    let system = system::parse(&role.system)?;
    let workload = Workload::parse(&role.workload)?;
    machine::allow_many_files();
    let runtime = role.pinning.runtime(role.end)?;
    let Some(address) = &role.address else {
        std::thread::spawn(answer_parent);
        let ready = Box::new(|address: Address| say(&address.to_string()));
        runtime.block_on(system.serve(role.transport, workload, ready))?;
        // Whatever was served has ended; the parent still asks for usage and closes our input.
        loop {
            std::thread::park();
        }
    };
    let task = Task {
        address: Address::parse(address)?,
        transport: role.transport,
        workload,
        plan: role.plan,
    };
    let seen = runtime.block_on(system.load(&task))?;
    say(&serde_json::to_string(&seen).map_err(|error| Failure::Process(error.to_string()))?);
    Ok(())
}

/// Answers each line of the parent with this process's usage, and ends the process with it.
fn answer_parent() {
    for line in std::io::stdin().lines() {
        let usage = line
            .map_err(Failure::io("hearing the parent"))
            .and_then(|_| machine::usage())
            .and_then(|usage| {
                serde_json::to_string(&usage).map_err(|error| Failure::Process(error.to_string()))
            });
        let Ok(usage) = usage else { break };
        say(&usage);
    }
    let _ = std::fs::remove_file(Address::own_socket());
    std::process::exit(0);
}

/// What one measurement gave.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Measured {
    /// What the client saw.
    pub seen: Seen,
    /// What the server had used when counting began.
    pub server_before: Usage,
    /// What it had used when counting ended.
    pub server_after: Usage,
}

/// How long a process may take beyond its plan before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts both processes, with what is to stand between them, waits for the measurement and ends
/// them.
///
/// # Errors
/// When a process cannot be started, fails, is stuck, or does not keep to its lines.
pub fn measure(case: &Case, plan: Plan, through: Option<&Path>) -> Result<Measured, Failure> {
    let mut server = child::Child::start(&Role::new(case, plan, End::Server, None).text()?)?;
    let mut address = server.hear(PATIENCE)?;
    let mut between = through
        .map(|script| child::Child::between(script, &address))
        .transpose()?;
    if let Some(between) = &mut between {
        address = between.hear(PATIENCE)?;
    }
    let role = Role::new(case, plan, End::Client, Some(address));
    let mut client = child::Child::start(&role.text()?)?;
    client.expect(BEGIN, plan.warm_up + PATIENCE)?;
    let server_before = server.usage(PATIENCE)?;
    client.tell()?;
    client.expect(END, plan.measured + PATIENCE)?;
    let server_after = server.usage(PATIENCE)?;
    client.tell()?;
    let result = client.hear(PATIENCE)?;
    let seen = serde_json::from_str(&result)
        .map_err(|error| Failure::Process(format!("{error} in {result:?}")))?;
    Ok(Measured {
        seen,
        server_before,
        server_after,
    })
}
