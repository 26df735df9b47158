//! What the figures were measured on, and how much CPU a process has spent.

use std::fmt;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The one place where the measurement reads the clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "measuring time is what this package is for"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// The machine, kernel and compiler, as a report states them.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Machine {
    /// The processor's model name.
    pub processor: String,
    /// How many processors the system schedules on.
    pub processors: usize,
    /// The kernel's name and release.
    pub kernel: String,
    /// The compiler on the path; the one that built this binary unless the toolchain was changed.
    pub compiler: String,
    /// What allocates memory: one allocator for all systems that are measured in this process.
    pub allocator: String,
    /// The commit that is checked out, with a mark when the tree has other changes.
    pub commit: String,
}

impl Machine {
    /// Asks the running system.
    ///
    /// What cannot be found out is reported as `unknown`, since it changes no figure.
    #[must_use]
    pub fn observe() -> Self {
        Self {
            processor: processor().unwrap_or_else(unknown),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: said(&["uname", "-sr"]).unwrap_or_else(unknown),
            compiler: said(&["rustc", "--version"]).unwrap_or_else(unknown),
            allocator: format!(
                "the system's allocator ({})",
                said(&["getconf", "GNU_LIBC_VERSION"]).unwrap_or_else(unknown)
            ),
            commit: said(&["git", "describe", "--always", "--dirty", "--abbrev=12"])
                .unwrap_or_else(unknown),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} x {}, {}, {}, {}, commit {}",
            self.processors,
            self.processor,
            self.kernel,
            self.compiler,
            self.allocator,
            self.commit
        )
    }
}

/// The names and versions of packages, as this build was resolved.
#[must_use]
pub fn versions(packages: &[&str]) -> String {
    let found = PACKAGES.iter().filter(|(name, _)| packages.contains(name));
    let named: Vec<_> = found
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    named.join(", ")
}

include!(concat!(env!("OUT_DIR"), "/packages.rs"));

fn unknown() -> String {
    "unknown".to_owned()
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(command: &[&str]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.is_empty()).then(|| text.trim().to_owned())
}

/// Ties this process to one core, so that client and server contend for it.
///
/// # Errors
/// When the system refuses, or has no such call.
#[cfg(target_os = "linux")]
pub fn pin(core: usize) -> Result<(), Failure> {
    use nix::sched::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    set.set(core)
        .and_then(|()| sched_setaffinity(nix::unistd::Pid::from_raw(0), &set))
        .map_err(|errno| Failure::Io {
            during: "tying the process to a core",
            source: errno.into(),
        })
}

/// Ties this process to one core, so that client and server contend for it.
///
/// # Errors
/// Always here: only Linux is supported.
#[cfg(not(target_os = "linux"))]
pub fn pin(_core: usize) -> Result<(), Failure> {
    Err(Failure::Usage(
        "this system has no call to pin a process; use --only multi-thread".to_owned(),
    ))
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// CPU time, user and system, in seconds.
    pub cpu_s: f64,
    /// Resident memory, in KiB.
    pub rss_kib: u64,
}

/// What this process has used so far.
///
/// # Errors
/// When the system refuses to say.
pub fn usage() -> Result<Usage, Failure> {
    Ok(Usage {
        cpu_s: cpu_spent()?.as_secs_f64(),
        rss_kib: resident_kib()?,
    })
}

#[cfg(unix)]
fn cpu_spent() -> Result<Duration, Failure> {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(|errno| Failure::Io {
        during: "reading CPU time",
        source: errno.into(),
    })?;
    let micros = |value: nix::sys::time::TimeVal| {
        u64::try_from(value.tv_sec() * 1_000_000 + value.tv_usec()).unwrap_or(0)
    };
    Ok(Duration::from_micros(
        micros(usage.user_time()) + micros(usage.system_time()),
    ))
}

#[cfg(not(unix))]
fn cpu_spent() -> Result<Duration, Failure> {
    Err(Failure::Usage(
        "CPU time is measured on Unix systems only".to_owned(),
    ))
}

/// Resident memory as Linux states it; zero on systems that do not.
fn resident_kib() -> Result<u64, Failure> {
    if !cfg!(target_os = "linux") {
        return Ok(0);
    }
    let text =
        fs::read_to_string("/proc/self/status").map_err(Failure::io("reading resident memory"))?;
    let kib = (text.lines())
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse().ok());
    kib.ok_or_else(|| Failure::Process("the system states no resident memory".to_owned()))
}

/// Lets this process have as many files open as the system allows it at most.
///
/// A system that refuses is no failure yet: only workloads of many connections need it.
pub fn allow_many_files() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
        }
    }
}

/// The CPU time that this thread has spent so far: what a measurement counts that must not depend
/// on who else is busy on the machine.
#[cfg(unix)]
#[must_use]
pub fn thread_cpu_spent() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Time spent, for want of a thread's own clock.
#[cfg(not(unix))]
#[must_use]
pub fn thread_cpu_spent() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(now).elapsed()
}
