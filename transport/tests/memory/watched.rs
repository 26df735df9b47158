//! The process under watch, and what the kernel says of its memory.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::authority::Authority;
use crate::child;
use crate::peer::{Peer, Script};

/// A process that serves or calls, and does as it is told over a socket.
#[derive(Debug)]
pub(crate) struct Watched {
    process: Child,
    commands: BufReader<TcpStream>,
    /// Where it serves, if it does.
    pub(crate) address: String,
    /// Whom its clients have to believe, in PEM.
    pub(crate) roots: String,
}

/// Bytes, as the kernel counts them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Pages of its heap and stacks that are there, counted exactly by walking them. Pages of the
    /// program file are not among them: how many are mapped in says which code has run.
    resident: u64,
    /// All pages that are there, by counters of some hundred kilobytes grain.
    resident_all: u64,
    /// The most there were since the mark was reset.
    resident_all_max: u64,
    /// The address space.
    reserved: u64,
    /// The most there ever was.
    reserved_max: u64,
}

/// How many connections are held at once: enough that what each costs shows in their sum.
const AT_ONCE: usize = 64;
/// What PROTOCOL.md §5.5 allows to be resident beyond the bytes received.
const RESIDENT_BYTES_MAX: u64 = 64 << 10;
/// The grain of the counters, and the code that runs for the first time.
const RESIDENT_ALL_GRAIN: u64 = 512 << 10;
/// A connection's read buffer of 64 KiB, twice while it grows, and its state.
const RESERVED_BYTES_MAX: u64 = 256 << 10;
/// By how much an allocator may grow the heap at once.
const RESERVED_GRAIN: u64 = 1 << 20;

impl Watched {
    /// Starts the process in a role of [`child`].
    pub(crate) fn start(role: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = Authority::new("root");
        let made = authority.issue(&["localhost", "127.0.0.1"]);
        let process = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                child::TEST,
                "--nocapture",
                "--test-threads=1",
            ])
            .env(child::ROLE, role)
            .env(child::COMMANDS, listener.local_addr().unwrap().to_string())
            .env(child::CHAIN, made.chain)
            .env(child::KEY, made.key)
            // glibc: large blocks are the kernel's to take back, whatever was freed before.
            .env("MALLOC_ARENA_MAX", "1")
            .env("MALLOC_MMAP_THRESHOLD_", (128 << 10).to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let commands = BufReader::new(listener.accept().unwrap().0);
        let mut watched = Self {
            process,
            commands,
            address: String::new(),
            roots: authority.pem(),
        };
        watched.address = watched.answer();
        watched
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.commands.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Has the process do something, and waits until it says so.
    pub(crate) fn tell(&mut self, command: &str) {
        let stream = self.commands.get_mut();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        assert_eq!(self.answer(), "done");
    }

    /// Waits until its connections and calls are over.
    pub(crate) fn settle(&mut self) {
        self.tell("settle");
    }

    fn read(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.process.id());
        std::fs::read_to_string(path).unwrap()
    }

    fn memory(&self) -> Memory {
        let status = self.read("status");
        Memory {
            resident: field(&self.read("smaps_rollup"), "Anonymous:"),
            resident_all: field(&status, "VmRSS:"),
            resident_all_max: field(&status, "VmHWM:"),
            reserved: field(&status, "VmSize:"),
            reserved_max: field(&status, "VmPeak:"),
        }
    }

    /// Resets the highest mark of what is resident.
    fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").unwrap();
    }

    /// Does something to the process and says by how much that made it grow, at most and as far as
    /// its heap and stacks stayed.
    pub(crate) fn growth(&mut self, act: impl FnOnce(&mut Self)) -> (u64, u64) {
        self.forget_peak();
        let before = self.memory();
        act(self);
        let after = self.memory();
        let most = after.resident_all_max.saturating_sub(before.resident_all);
        (most, after.resident.saturating_sub(before.resident))
    }

    /// Plays an honest script on many connections, until its allocator and its stacks are used to it.
    pub(crate) fn warm_up(
        &mut self,
        honest: &Script,
        mut connect: impl FnMut(&mut Self, usize) -> Vec<Peer>,
    ) {
        for _ in 0..2 {
            let mut peers = connect(self, AT_ONCE);
            peers.iter_mut().for_each(|peer| peer.play(honest));
            drop(peers);
            self.settle();
        }
    }

    /// Plays each script by itself, and then all of them on many connections at once.
    pub(crate) fn suffer_all(
        &mut self,
        scripts: &[Script],
        mut connect: impl FnMut(&mut Self, usize) -> Vec<Peer>,
    ) {
        for script in scripts {
            self.suffer(&[script], &mut connect);
        }
        let many: Vec<_> = scripts
            .iter()
            .cycle()
            .take(AT_ONCE.max(scripts.len()))
            .collect();
        for many in many.chunks(AT_ONCE) {
            self.suffer(many, &mut connect);
        }
    }

    /// Plays scripts, each on a connection, and holds what they cost against what they may.
    fn suffer(
        &mut self,
        scripts: &[&Script],
        mut connect: impl FnMut(&mut Self, usize) -> Vec<Peer>,
    ) {
        self.forget_peak();
        let before = self.memory();
        let mut peers = connect(self, scripts.len());
        for (peer, script) in peers.iter_mut().zip(scripts) {
            peer.play(script);
        }
        let after = self.memory();
        let sent = peers.iter().map(|peer| peer.sent_bytes).sum::<u64>();
        let admitted = scripts.iter().map(|script| script.admitted_bytes).sum();
        let name = match scripts {
            [script] => script.name.clone(),
            _ => format!("{} at once, like {}", scripts.len(), scripts[0].name),
        };
        let cost = Cost {
            before,
            after,
            announcements: scripts.iter().map(|script| script.announcements).sum(),
        };
        cost.check(&name, sent, admitted);
        drop(peers);
        self.settle();
    }
}

/// What was there before and after some announcements.
struct Cost {
    before: Memory,
    after: Memory,
    announcements: u64,
}

impl Cost {
    fn check(&self, name: &str, sent: u64, admitted: u64) {
        let (before, after) = (self.before, self.after);
        let bound = |grain, each| grain + sent + self.announcements * each;
        let resident = after.resident.saturating_sub(before.resident);
        assert!(
            resident <= bound(0, RESIDENT_BYTES_MAX),
            "{name}: {resident} bytes became resident for {sent} received"
        );
        let most = after.resident_all_max.saturating_sub(before.resident_all);
        assert!(
            most <= bound(RESIDENT_ALL_GRAIN, RESIDENT_BYTES_MAX),
            "{name}: {most} bytes were resident meanwhile for {sent} received"
        );
        let room = before.reserved + admitted + bound(RESERVED_GRAIN, RESERVED_BYTES_MAX);
        let most = after.reserved_max;
        assert!(
            most <= before.reserved_max.max(room),
            "{name}: {} bytes were reserved for {sent} received and {admitted} admitted",
            most - before.reserved
        );
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A line such as `VmRSS:   1234 kB`, in bytes.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.unwrap().trim().strip_suffix(" kB").unwrap();
    number.parse::<u64>().unwrap() << 10
}
