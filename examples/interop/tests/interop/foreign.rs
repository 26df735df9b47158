//! Other implementations of gRPC against ours, and what stands between the two.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dreammesh_interop::certificates;
use dreammesh_interop::proto::FILE_DESCRIPTOR_SET;

use crate::running::Running;

mod envoy;
mod grpc_js;
mod grpcio;
mod grpcurl;
mod soak;

const NEEDS: &str = "`cargo xtask test --only grpc` brings what these tests need, and says where";

/// What a variable of the environment says, without which these tests cannot run.
fn place(variable: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: {NEEDS}"))
}

/// A program of those beside this file.
fn beside(name: &str) -> PathBuf {
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/foreign");
    Path::new(home).join(name)
}

/// A command that is ended when it takes longer than any machine should need.
fn bounded(command: &Command) -> Command {
    let mut bounded = Command::new("timeout");
    bounded.arg("120").arg(command.get_program());
    bounded.args(command.get_args());
    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    bounded.envs(set);
    bounded
}

/// Runs a client to its end, which has to be a good one.
fn passes(client: &Command) {
    let ended = bounded(client).status().unwrap();
    assert!(ended.success(), "{client:?}: {ended}");
}

/// Asks what another process alone knows, for up to half a minute.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..1_500 {
        if let Some(found) = ask() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// A directory of one test's own, which goes with it.
struct Room(PathBuf);

impl Room {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("interop-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A file with the descriptors of the test service.
    fn descriptors(&self) -> PathBuf {
        self.write("interop.fds", FILE_DESCRIPTOR_SET)
    }

    /// Where a Unix socket can be: paths of those are short.
    fn socket(&self) -> PathBuf {
        let name = format!("dreammesh-{}", self.0.file_name().unwrap().display());
        std::env::temp_dir().join(name)
    }

    /// Files with a certificate, its key, and the root that it leads to.
    fn certificates(&self) -> [PathBuf; 3] {
        let issued = certificates::issue().unwrap();
        [
            ("chain.pem", issued.chain),
            ("key.pem", issued.key),
            ("root.pem", issued.root),
        ]
        .map(|(name, pem)| self.write(name, pem))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        // It lies in a directory for files that are left behind.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
