//! One measurement is two processes of this binary, a server and a client, tied to one core.
//!
//! They talk to their parent in lines. A server prints its address, then its CPU time for every
//! line it is sent, and ends when its input does. A client prints a line when counting begins and
//! its result at the end. The parent sleeps meanwhile, so it disturbs neither.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::failure::Failure;
use crate::machine;
use crate::options::{Case, Options};
use crate::run::{Plan, Seen};
use crate::system::Address;

/// The line by which a client says that counting begins.
const MEASURING: &str = "measuring";

/// Tells the parent process that counting begins.
pub(crate) fn announce_measuring() {
    say(MEASURING);
}

/// Writes one line to the parent; a parent that is gone ends this process soon by itself.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Plays the role that the parent asked for.
///
/// # Errors
/// When the system under measurement fails.
pub fn play(role: &str, options: &Options) -> Result<(), Failure> {
    let cases = options.cases()?;
    let [case] = cases.as_slice() else {
        return Err(Failure::Usage("a role plays exactly one case".to_owned()));
    };
    if let Some(core) = options.core {
        machine::pin(core)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("starting the runtime"))?;
    if role == "server" {
        std::thread::spawn(answer_parent);
        let ready = Box::new(|address: Address| say(&address.to_string()));
        runtime.block_on(case.system.serve(case.link, case.workload, ready))?;
        // The connection ended; the parent still wants the CPU time and then closes our input.
        loop {
            std::thread::park();
        }
    }
    let plan = Plan::new(options.depth, options.warm_up, options.measured);
    let address = Address::parse(role)?;
    let seen = runtime.block_on(case.system.load(address, case.workload, plan))?;
    say(&serde_json::to_string(&seen).map_err(|error| Failure::Process(error.to_string()))?);
    Ok(())
}

/// Answers each line of the parent with the CPU time in seconds, and ends the process with it.
fn answer_parent() {
    for line in std::io::stdin().lines() {
        let Ok(cpu) = line
            .map_err(Failure::io("hearing the parent"))
            .and_then(|_| machine::cpu_spent())
        else {
            break;
        };
        say(&cpu.as_secs_f64().to_string());
    }
    let _ = std::fs::remove_file(Address::own_socket());
    std::process::exit(0);
}

/// What one measurement gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measured {
    /// What the client saw.
    pub seen: Seen,
    /// The server's CPU time while the client counted, in seconds.
    pub server_cpu_seconds: f64,
}

/// Starts both processes, waits for the measurement and ends them.
///
/// # Errors
/// When either process cannot be started, fails, or does not keep to its lines.
pub fn measure(case: &Case, options: &Options) -> Result<Measured, Failure> {
    let mut server = Spoken::start(case, options, "server")?;
    let address = server.hear()?;
    let mut client = Spoken::start(case, options, &address)?;
    let line = client.hear()?;
    if line != MEASURING {
        return Err(Failure::Process(format!("the client said {line:?}")));
    }
    let before = server.cpu_seconds()?;
    let result = client.hear()?;
    let after = server.cpu_seconds()?;
    let seen = serde_json::from_str(&result)
        .map_err(|error| Failure::Process(format!("{error} in {result:?}")))?;
    Ok(Measured {
        seen,
        server_cpu_seconds: after - before,
    })
}

/// A child process and its lines; dropping it ends the process.
struct Spoken {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Spoken {
    fn start(case: &Case, options: &Options, role: &str) -> Result<Self, Failure> {
        let this = std::env::current_exe().map_err(Failure::io("finding this binary"))?;
        let core = options
            .core
            .map_or_else(|| "none".to_owned(), |core| core.to_string());
        let mut child = Command::new(this)
            .args(["--role", role, "--core", &core])
            .args(["--systems", case.system.name(), "--links", case.link.name()])
            .args(["--workloads", case.workload.name()])
            .args(["--depth", &options.depth.to_string()])
            .args(["--seconds", &options.measured.as_secs_f64().to_string()])
            .args(["--warm-up", &options.warm_up.as_secs_f64().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::io("starting a process"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| {
            Failure::Process("a child with piped output has no output".to_owned())
        })?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    fn hear(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        let heard = self
            .output
            .read_line(&mut line)
            .map_err(Failure::io("hearing a process"))?;
        if heard == 0 {
            let status = self
                .child
                .wait()
                .map_err(Failure::io("waiting for a process"))?;
            return Err(Failure::Process(format!("ended early with {status}")));
        }
        Ok(line.trim_end().to_owned())
    }

    fn cpu_seconds(&mut self) -> Result<f64, Failure> {
        if let Some(input) = &mut self.input {
            writeln!(input).map_err(Failure::io("asking a process"))?;
        }
        let line = self.hear()?;
        line.parse()
            .map_err(|_| Failure::Process(format!("the server said {line:?}")))
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        // A server ends with its input and cleans up; whoever does not follow is ended by its id.
        drop(self.input.take());
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(&mut self.output, &mut rest);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
