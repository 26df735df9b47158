//! `dreammesh agent`: an agent in the foreground.

use clap::ArgMatches;

use crate::outcome::{Failure, Outcome};

/// Runs an agent until it is told to end.
#[cfg(unix)]
pub(crate) fn run(matches: &ArgMatches) -> Outcome {
    here::run(matches)
}

/// Says that there is none.
#[cfg(not(unix))]
pub(crate) fn run(_: &ArgMatches) -> Outcome {
    Err(Failure::input(
        "an agent needs Unix sockets, which this system does not have",
    ))
}

#[cfg(unix)]
mod here {
    use std::fs;
    use std::io::stderr;
    use std::path::PathBuf;
    use std::str::FromStr as _;
    use std::time::Duration;

    use dreammesh_agent::config::{Config, Gossip};
    use dreammesh_agent::daemon::Daemon;
    use dreammesh_agent_api::place::Environment;
    use tokio::runtime::Runtime;
    use tokio::signal::unix::{SignalKind, signal};
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    use super::{ArgMatches, Failure, Outcome};
    use crate::outcome::{FINE, FOUND, print};

    pub(super) fn run(matches: &ArgMatches) -> Outcome {
        log(matches)?;
        let config = config(matches)?;
        // One thread does all there is to do; the others only wait for disks and for names that are
        // looked up. A file whose file system hangs keeps one of them.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(WAITING_THREADS + config.files.len())
            .thread_stack_size(STACK_BYTES)
            .thread_keep_alive(Duration::from_secs(2))
            .build()
            .map_err(|error| Failure::input(format!("cannot start: {error}")))?;
        finish(runtime, serve(&config), END_PATIENCE)
    }

    /// Runs to the end, and waits no longer than that for threads that wait for a disk: a process
    /// that is told to end does.
    fn finish<T>(runtime: Runtime, run: impl Future<Output = T>, patience: Duration) -> T {
        let done = runtime.block_on(run);
        runtime.shutdown_timeout(patience);
        done
    }

    async fn serve(config: &Config) -> Outcome {
        // From here on, to be told to end is to end properly.
        let deaf = |error| Failure::input(format!("cannot listen to signals: {error}"));
        let mut terminated = signal(SignalKind::terminate()).map_err(deaf)?;
        let mut interrupted = signal(SignalKind::interrupt()).map_err(deaf)?;
        let started = Daemon::start(config, &Environment::read()).await;
        let daemon = started.map_err(|error| {
            let status = if error.is_running() {
                FOUND
            } else {
                crate::outcome::USAGE
            };
            Failure::new(status, error.to_string())
        })?;
        let socket = daemon.socket();
        let figures = daemon.metrics();
        let figures = figures.map(|at| format!("; figures at http://{at}/metrics"));
        let ready = format!(
            "agent {} is ready at unix://{}; look at it with `dreammesh status`{}\n",
            daemon.name(),
            socket.display(),
            figures.unwrap_or_default()
        );
        // Nobody need read it.
        let _ = print(&ready);
        let told = async {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        };
        daemon.run_until(told).await;
        Ok(FINE)
    }

    fn log(matches: &ArgMatches) -> Result<(), Failure> {
        let said = matches.get_one::<String>("log").cloned();
        let said = said.or_else(|| std::env::var("DREAMMESH_LOG").ok());
        let said = said.filter(|said| !said.is_empty());
        let said = said.unwrap_or_else(|| LOGGED.to_owned());
        let targets = Targets::from_str(&said)
            .map_err(|error| Failure::input(format!("the level {said:?}: {error}")))?;
        let lines = fmt::layer().with_ansi(false).with_writer(stderr);
        let log = tracing_subscriber::registry().with(lines).with(targets);
        // There is only one log in this program, which is this.
        let _ = log.try_init();
        Ok(())
    }

    /// What the file says, and the options in its place.
    fn config(matches: &ArgMatches) -> Result<Config, Failure> {
        let mut config = match matches.get_one::<PathBuf>("config") {
            None => Config::default(),
            Some(path) => {
                let wrong = |error: &dyn std::fmt::Display| {
                    Failure::input(format!("{}: {error}", path.display()))
                };
                let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
                Config::from_yaml(&text).map_err(|error| wrong(&error))?
            }
        };
        let text = |name: &str, place: &mut Option<String>| {
            if let Some(said) = matches.get_one::<String>(name) {
                *place = Some(said.clone());
            }
        };
        text("name", &mut config.name);
        text("host", &mut config.host);
        text("region", &mut config.region);
        text("zone", &mut config.zone);
        text("group", &mut config.group);
        text("metrics", &mut config.metrics);
        if let Some(said) = matches.get_many::<String>("advertise") {
            config.advertise = said.cloned().collect();
        }
        if let Some(said) = matches.get_one::<PathBuf>("directory") {
            config.directory = Some(said.clone());
        }
        if let Some(said) = matches.get_many::<PathBuf>("services") {
            config.files = said.cloned().collect();
        }
        gossip(matches, &mut config);
        Ok(config)
    }

    fn gossip(matches: &ArgMatches, config: &mut Config) {
        let names = [
            "listen",
            "gossip-advertise",
            "seed",
            "secret-file",
            "cluster",
        ];
        if !names.iter().any(|name| matches.contains_id(name)) {
            return;
        }
        let gossip = config.gossip.get_or_insert_with(Gossip::default);
        if let Some(said) = matches.get_one("listen") {
            gossip.listen = Some(*said);
        }
        if let Some(said) = matches.get_one("gossip-advertise") {
            gossip.advertise = Some(*said);
        }
        if let Some(said) = matches.get_many::<String>("seed") {
            gossip.seeds = said.cloned().collect();
        }
        if let Some(said) = matches.get_one::<PathBuf>("secret-file") {
            gossip.secret_file = Some(said.clone());
        }
        if let Some(said) = matches.get_one::<String>("cluster") {
            gossip.cluster = Some(said.clone());
        }
    }

    /// What an operator wants to know: what the agent does, and of calls only what went wrong.
    const LOGGED: &str = "info,dreammesh_core=warn,dreammesh_transport=warn";
    /// For threads that read and write files.
    const STACK_BYTES: usize = 256 << 10;
    /// Beside one for each file: some for the state, the others for seeds that are looked up.
    const WAITING_THREADS: usize = 8;
    /// What was to be written has been by then, or a warning said that it cannot be.
    const END_PATIENCE: Duration = Duration::from_millis(500);

    #[cfg(test)]
    mod tests {
        use std::sync::mpsc;

        use super::*;

        #[test]
        fn a_disk_that_does_not_answer_does_not_keep_the_process() {
            let (answers, answered) = mpsc::channel::<()>();
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().build().unwrap();
            let run = async {
                let (begun, begins) = tokio::sync::oneshot::channel();
                tokio::task::spawn_blocking(move || {
                    let _ = begun.send(());
                    let _ = answered.recv();
                });
                begins.await.unwrap();
                7
            };
            // It hangs here for ever otherwise.
            assert_eq!(finish(runtime, run, Duration::from_millis(10)), 7);
            drop(answers);
        }
    }
}
