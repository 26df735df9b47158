//! The command that is in the mesh, and what it is told.

use std::process::ExitStatus;

use tokio::process::Command;

use crate::outcome::{Failure, Outcome};

/// A command that runs, or none.
#[derive(Debug)]
pub(super) struct Child(Option<tokio::process::Child>);

impl Child {
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Starts a command, which reads and writes as this program does.
    pub(super) fn start<'a>(mut words: impl Iterator<Item = &'a String>) -> Result<Self, Failure> {
        let program = words.next().map_or("", String::as_str);
        let mut command = Command::new(program);
        command.args(words);
        // What is typed at a terminal is heard here first, so that calls can be kept away before
        // the server hears of it.
        #[cfg(unix)]
        command.process_group(0);
        let started = command.spawn();
        let child =
            started.map_err(|error| Failure::new(NOT_STARTED, format!("{program}: {error}")))?;
        Ok(Self(Some(child)))
    }

    pub(super) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Waits for its end; for ever without a command.
    pub(super) async fn ended(&mut self) -> Outcome {
        let Some(child) = &mut self.0 else {
            return std::future::pending().await;
        };
        let status = child.wait().await;
        let status = status.map_err(|error| Failure::input(error.to_string()))?;
        Ok(status_of(status))
    }

    /// Passes a signal on to the command and what it started.
    #[cfg(unix)]
    pub(super) fn tell(&self, signal: i32) {
        use nix::sys::signal::{Signal, killpg};
        use nix::unistd::Pid;
        let process = self.0.as_ref().and_then(tokio::process::Child::id);
        let process = process.and_then(|process| i32::try_from(process).ok());
        let signal = Signal::try_from(signal);
        if let (Some(process), Ok(signal)) = (process, signal) {
            // A command that has ended meanwhile has no use for it.
            let _ = killpg(Pid::from_raw(process), signal);
        }
    }

    /// Ends the command, the only thing that can be said there.
    #[cfg(not(unix))]
    pub(super) fn tell(&mut self, _: i32) {
        if let Some(child) = &mut self.0 {
            let _ = child.start_kill();
        }
    }
}

/// The exit status of a command as a shell gives it.
fn status_of(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    let code = status.code().unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// What tells this program to end.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct Signals([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            let listening = signal(kind);
            listening.map_err(|error| Failure::input(format!("cannot listen to signals: {error}")))
        };
        let kinds = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ];
        let [terminate, interrupt, hangup] = kinds.map(listen);
        Ok(Self([terminate?, interrupt?, hangup?]))
    }

    /// The next one, by its number. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> i32 {
        use nix::sys::signal::Signal;
        let [terminate, interrupt, hangup] = &mut self.0;
        let signal = tokio::select! {
            _ = terminate.recv() => Signal::SIGTERM,
            _ = interrupt.recv() => Signal::SIGINT,
            _ = hangup.recv() => Signal::SIGHUP,
        };
        signal as i32
    }
}

/// What tells this program to end.
#[cfg(not(unix))]
#[derive(Debug)]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(super) const fn new() -> Result<Self, Failure> {
        Ok(Self)
    }

    /// The next one. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> i32 {
        // Where it cannot be listened to, the program ends at once.
        let _ = tokio::signal::ctrl_c().await;
        TERMINATE
    }
}

/// The number of the signal that tells a process to end.
pub(super) const TERMINATE: i32 = 15;
/// As shells say that there is no such command.
const NOT_STARTED: u8 = 127;
