//! Debian's nginx.

use std::net::SocketAddr;
use std::time::Duration;

use dreammesh_core::call::{Begun, Code};

use crate::calls::{Behind, Pem, SILENCE, all_kinds, channel, conversation, without_a_break};
use crate::echo::{ask, call};
use crate::programs::{ATTEMPTS, Room, Running, debian, free_port};

/// The settings of docs/TRANSPORTS.md, with timers that tests can wait for.
fn config(room: &Room, port: SocketAddr, upstream: SocketAddr, tls: bool) -> String {
    let room = room.path().display();
    let listen = if tls {
        format!(
            "{port} ssl http2;
                ssl_protocols TLSv1.3;
                ssl_certificate {room}/certificate.pem;
                ssl_certificate_key {room}/key.pem"
        )
    } else {
        format!("{port} http2")
    };
    let silence = SILENCE.as_secs();
    format!(
        "daemon off;
        user root;
        worker_processes 1;
        pid {room}/nginx.pid;
        error_log stderr notice;
        events {{ worker_connections 256; }}
        http {{
            access_log off;
            client_body_temp_path {room}/body;
            proxy_temp_path {room}/proxy;
            fastcgi_temp_path {room}/fastcgi;
            uwsgi_temp_path {room}/uwsgi;
            scgi_temp_path {room}/scgi;
            server {{
                listen {listen};
                location /dreammesh.Tunnel/ {{
                    grpc_pass grpc://{upstream};
                    client_max_body_size 0;
                    client_body_timeout {silence}s;
                    send_timeout {silence}s;
                    grpc_read_timeout {silence}s;
                    grpc_send_timeout {silence}s;
                }}
            }}
        }}"
    )
}

struct Nginx {
    address: SocketAddr,
    running: Option<Running>,
    room: Room,
}

impl Nginx {
    fn new(upstream: SocketAddr, pem: Option<&Pem>) -> Self {
        let room = Room::new();
        if let Some(pem) = pem {
            room.write("certificate.pem", &pem.certificate);
            room.write("key.pem", &pem.key);
        }
        for _ in 0..ATTEMPTS {
            let address = free_port();
            room.write(
                "nginx.conf",
                &config(&room, address, upstream, pem.is_some()),
            );
            let running = Self::start(&room);
            if running.is_some() {
                return Self {
                    address,
                    running,
                    room,
                };
            }
        }
        panic!("nginx does not start");
    }

    fn start(room: &Room) -> Option<Running> {
        let mut command = debian("usr/sbin/nginx");
        command.arg("-p").arg(room.path());
        command.arg("-e").arg("stderr");
        command.arg("-c").arg(room.path().join("nginx.conf"));
        Running::start(command, "start worker process ")
    }

    /// Ends it with every connection at once, and starts it anew in the same place.
    fn crash(&mut self) {
        self.running = None;
        self.running = Self::start(&self.room);
        assert!(self.running.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx, see DREAMMESH_TEST_PROXIES"]
async fn every_kind_of_call_passes_nginx() {
    let behind = Behind::new().await;
    for pem in [None, Some(&Pem::new())] {
        let nginx = Nginx::new(behind.address, pem);
        all_kinds(&channel(nginx.address, pem)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx, see DREAMMESH_TEST_PROXIES"]
async fn a_stream_through_nginx_outlives_its_timers() {
    let behind = Behind::new().await;
    let pem = Pem::new();
    let nginx = Nginx::new(behind.address, Some(&pem));
    let channel = channel(nginx.address, Some(&pem));
    conversation(&channel, 10, 3 * SILENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx, see DREAMMESH_TEST_PROXIES"]
async fn when_nginx_ends_calls_find_its_successor() {
    let behind = Behind::new().await;
    let mut nginx = Nginx::new(behind.address, None);
    let channel = channel(nginx.address, None);
    for _ in 0..3 {
        let begun = channel.clone();
        let begun = tokio::spawn(async move {
            let request = ask("never");
            call(&begun, &request).wait_for_ready(true).await
        });
        behind.probe.alive_is(1).await;
        nginx.crash();
        let error = begun.await.unwrap().unwrap_err();
        let ended = (error.code(), error.begun());
        assert_eq!(ended, (Code::Unavailable, Begun::Maybe));
        without_a_break(&channel, Duration::from_millis(100)).await;
        behind.probe.alive_is(0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx, see DREAMMESH_TEST_PROXIES"]
async fn no_call_is_lost_when_nginx_takes_its_settings_anew() {
    let behind = Behind::new().await;
    let nginx = Nginx::new(behind.address, None);
    let channel = channel(nginx.address, None);
    let calling = tokio::spawn({
        let channel = channel.clone();
        async move { without_a_break(&channel, Duration::from_secs(4)).await }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        nginx.running.as_ref().unwrap().signal("-HUP");
    }
    calling.await.unwrap();
}
