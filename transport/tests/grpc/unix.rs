//! Servers of gRPC on Unix sockets.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use dreammesh_core::call::Code;
use dreammesh_transport::Connector;
use h2::server::Builder;
use tokio::net::UnixListener;

use crate::raw::{Peer, unary};

/// The path of a socket that goes with it.
struct Socket(PathBuf);

impl Socket {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("dreammesh-grpc-{}-{number}.sock", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn target(&self) -> String {
        format!("grpc+unix://{}", self.0.display())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_server_on_a_socket_is_called_as_localhost() {
    let socket = Socket::new();
    let listener = UnixListener::bind(&socket.0).unwrap();
    let channel = Connector::new().connect_lazy(&socket.target()).unwrap();
    let call = unary(&channel);
    let answering = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = Peer::on(stream, &Builder::new()).await;
        let call = peer.call().await;
        let uri = call.request.uri().to_string();
        call.echo().await;
        (peer, uri)
    };
    let (answered, (_peer, uri)) = tokio::join!(call, answering);
    answered.unwrap();
    assert_eq!(uri, "http://localhost/test.Echo/Unary");
    let counts = channel.connections();
    let opened = &counts[0].opened;
    assert_eq!(*opened, [("grpc+unix", 1)]);
}

#[tokio::test]
async fn a_socket_where_nobody_listens_is_unavailable() {
    let socket = Socket::new();
    let channel = Connector::new().connect_lazy(&socket.target()).unwrap();
    let failed = unary(&channel).await.unwrap_err();
    assert_eq!(failed.code(), Code::Unavailable);
}
