//! What the kernel says of a process.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::table::Figure;

/// The one place where the clock is read.
#[expect(
    clippy::disallowed_methods,
    reason = "measuring time is what this program is for"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A process that is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed(u32);

/// What a process had used at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    at: Instant,
    cpu: Duration,
}

/// The sockets of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sockets {
    /// Their numbers in the kernel.
    all: BTreeSet<u64>,
    /// The ports of those of TCP and UDP, at both ends.
    ports: BTreeSet<u16>,
}

impl Observed {
    pub(crate) const fn new(process: u32) -> Self {
        Self(process)
    }

    /// How much memory of its own it has: not that of files, such as its program.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub(crate) fn anonymous(self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        anonymous(&status).ok_or_else(|| io::Error::other("the kernel states no anonymous memory"))
    }

    /// How much CPU it has used, all of its threads together, also those that have ended.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub(crate) fn spent(self) -> io::Result<Spent> {
        let process = i32::try_from(self.0).map_err(io::Error::other)?;
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(process))?;
        let cpu = Duration::from(clock_gettime(clock)?);
        Ok(Spent { at: now(), cpu })
    }

    /// Its sockets.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub(crate) fn sockets(self) -> io::Result<Sockets> {
        let mut all = BTreeSet::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", self.0))? {
            // One may be closed before it is read.
            let link = fs::read_link(entry?.path()).unwrap_or_default();
            all.extend(socket(&link.to_string_lossy()));
        }
        let mut ports = BTreeSet::new();
        for table in ["tcp", "tcp6", "udp", "udp6"] {
            let Ok(text) = fs::read_to_string(format!("/proc/{}/net/{table}", self.0)) else {
                continue;
            };
            let lines = text.lines().skip(1).filter_map(line);
            let own = lines.filter(|(inode, _)| all.contains(inode));
            ports.extend(own.flat_map(|(_, ports)| ports));
        }
        Ok(Sockets { all, ports })
    }
}

impl Spent {
    /// What was used from then until later, of a core.
    pub(crate) fn until(self, later: Self) -> Figure {
        let cpu = later.cpu.saturating_sub(self.cpu);
        let time = later.at.saturating_duration_since(self.at);
        Figure::Core(cpu.as_secs_f64() / time.as_secs_f64())
    }
}

impl Sockets {
    pub(crate) fn count(&self) -> u64 {
        self.all.len() as u64
    }

    /// At how many of these ports it has a socket, of whichever end.
    pub(crate) fn at(&self, ports: &[u16]) -> u64 {
        let at = ports.iter().filter(|port| self.ports.contains(port));
        at.count() as u64
    }
}

/// The CPU time that this thread has used.
pub(crate) fn own_thread() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Ties this process to a core.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cores)?)
}

fn anonymous(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The number of a socket that an entry of a process's files is.
fn socket(link: &str) -> Option<u64> {
    let number = link.strip_prefix("socket:[")?.strip_suffix(']')?;
    number.parse().ok()
}

/// The number and both ports of a socket, from its line in the kernel's table.
fn line(line: &str) -> Option<(u64, [u16; 2])> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let port = |word: &str| u16::from_str_radix(word.rsplit_once(':')?.1, 16).ok();
    let inode = words.get(9)?.parse().ok()?;
    Some((inode, [port(words.get(1)?)?, port(words.get(2)?)?]))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let status = "Name:\tdreammesh\nRssAnon:\t    2048 kB\nRssFile:\t 9 kB\n";
        assert_eq!(anonymous(status), Some(2 << 20));
        assert_eq!(anonymous("Name:\tdreammesh\n"), None);
        assert_eq!(socket("socket:[4711]"), Some(4711));
        assert_eq!(socket("/dev/null"), None);
        let text = "   0: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  \
                    1000        0 52321 1 0000000000000000 20 4 30 10 -1";
        assert_eq!(line(text), Some((52_321, [8080, 50_000])));
    }

    #[test]
    fn a_connection_shows_among_the_sockets_of_a_process() {
        let own = Observed::new(std::process::id());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let sockets = own.sockets().unwrap();
        assert!(sockets.count() > 0);
        assert_eq!(sockets.at(&[port]), 1);
        drop((stream, listener));
    }

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let own = Observed::new(std::process::id());
        assert!(own.anonymous().unwrap() > 0);
        let before = own.spent().unwrap();
        let begun = own_thread().unwrap();
        while own_thread().unwrap() - begun < Duration::from_millis(2) {}
        let Figure::Core(share) = before.until(own.spent().unwrap()) else {
            panic!("CPU is a share of a core");
        };
        assert!(share > 0.0);
    }
}
