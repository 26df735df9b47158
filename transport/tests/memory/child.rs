//! What runs in the process under watch: a server, or a client that is told whom to call.

use std::sync::Arc;

use dreammesh_core::call::{MethodInfo, MethodKind, Receiver, Request, Response};
use dreammesh_core::channel::UnaryCall;
use dreammesh_core::port::Handler;
use dreammesh_core::server::{Service, client_streaming, unary};
use dreammesh_core::wire::{LayoutHash, Message};
use dreammesh_core::wkt::FieldMask;
use dreammesh_transport::tls::{Certificate, ServerTls};
use dreammesh_transport::{Connector, Server};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Handle as Runtime;

/// The variable that names the role: [`SERVER`] or [`CLIENT`].
pub(crate) const ROLE: &str = "WATCHED_ROLE";
/// The variable that says where commands come from.
pub(crate) const COMMANDS: &str = "WATCHED_COMMANDS";
/// The variables with its certificate.
pub(crate) const CHAIN: &str = "WATCHED_CHAIN";
pub(crate) const KEY: &str = "WATCHED_KEY";
/// The name of the test that is the process.
pub(crate) const TEST: &str = "child::watched_process";
pub(crate) const SERVER: &str = "server";
pub(crate) const CLIENT: &str = "client";
/// A server that takes TLS beside plaintext.
pub(crate) const SECURE: &str = "secure";
/// The same, and QUIC under the same number.
pub(crate) const SECURE_BOTH: &str = "secure both";

pub(crate) const HASH: LayoutHash = LayoutHash([7; 16]);

const fn method(path: &'static str, kind: MethodKind) -> MethodInfo {
    MethodInfo::new(path, kind, FieldMask::LAYOUT, FieldMask::LAYOUT).with_closures(HASH, HASH)
}

pub(crate) static MASK: MethodInfo = method("/test.Masks/Echo", MethodKind::Unary);
pub(crate) static RECORD: MethodInfo = method("/test.Masks/Record", MethodKind::ClientStreaming);

struct Masks(Arc<()>);

impl Service for Masks {
    fn name(&self) -> &'static str {
        "test.Masks"
    }

    fn handlers(&self) -> Vec<Arc<dyn Handler>> {
        let echo = |_, request: Request<FieldMask>| async move {
            let paths = request.view().paths().iter().map(str::len).sum::<usize>();
            assert!(paths <= 4 << 20, "what was received fits the limit");
            Ok(Response::new(request.message()))
        };
        let record = |_, mut masks: Receiver<FieldMask>| async move {
            while masks.next().await?.is_some() {}
            Ok(Response::new(FieldMask::default()))
        };
        vec![
            unary(&self.0, &MASK, echo),
            client_streaming(&self.0, &RECORD, record),
        ]
    }
}

#[test]
#[ignore = "the other tests start it as a process of its own"]
fn watched_process() {
    let (Ok(role), Ok(commands)) = (std::env::var(ROLE), std::env::var(COMMANDS)) else {
        return;
    };
    // Where the kernel hands out pages of 2 MiB unasked, one byte makes all of them resident.
    nix::sys::prctl::set_thp_disable(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let mut stream = BufReader::new(TcpStream::connect(commands).await.unwrap());
        let address = match role.as_str() {
            SERVER => serve("dreammesh+tcp", false).await,
            SECURE => serve("dreammesh+tls", true).await,
            SECURE_BOTH => serve("dreammesh", true).await,
            _ => String::new(),
        };
        // Everything spawned so far has begun once, and stays.
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
        let base = Runtime::current().metrics().num_alive_tasks();
        let mut command = address;
        loop {
            stream
                .write_all(format!("{command}\n").as_bytes())
                .await
                .unwrap();
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap() == 0 {
                return;
            }
            obey(line.trim_end(), base).await;
            command = "done".to_owned();
        }
    });
}

async fn serve(scheme: &str, secure: bool) -> String {
    let mut builder = Server::builder().service(Masks(Arc::new(())));
    if secure {
        let [chain, key] = [CHAIN, KEY].map(|name| std::env::var(name).unwrap());
        let certificate = Certificate::from_pem(chain, key).unwrap();
        let tls = ServerTls::new(certificate);
        builder = builder.tls(tls).permit_plaintext();
    }
    let address = format!("{scheme}://127.0.0.1:0");
    let server = builder.bind(&address).await.unwrap();
    let address = server.local_addr().unwrap().to_string();
    tokio::spawn(server.serve_until(std::future::pending::<()>()));
    address
}

/// `settle`, or `call COUNT ADDRESS`: as many calls at once, each on a connection of its own.
async fn obey(command: &str, base: usize) {
    let mut words = command.split(' ');
    match words.next() {
        Some("settle") => {
            while Runtime::current().metrics().num_alive_tasks() > base {
                tokio::task::yield_now().await;
            }
        }
        Some("call") => {
            let count: usize = words.next().unwrap().parse().unwrap();
            let target = format!("dreammesh+tcp://{}", words.next().unwrap());
            for _ in 0..count {
                tokio::spawn(call(target.clone()));
            }
        }
        _ => panic!("no command: {command}"),
    }
}

async fn call(target: String) {
    let channel = Connector::new().connect_lazy(&target).unwrap();
    let request = FieldMask {
        paths: vec!["oak".to_owned()],
        ..FieldMask::default()
    };
    // How it ends is for the other side to see on the wire.
    let _ = UnaryCall::<FieldMask>::new(&channel, &MASK, &request).await;
}
