//! Envoy between the two sides, with plaintext on both of its own or with TLS on both.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Room, Running, grpc_js, grpcio, place, until};

/// Its settings: what comes on any port that is free goes to the server, without a time of its own.
fn config(server: &Running, tls: Option<&[PathBuf; 3]>) -> String {
    let (mut downstream, mut upstream) = (String::new(), String::new());
    if let (Some([chain, key, _]), Some(root)) = (tls, &server.root) {
        downstream = format!(
            r#"
      transport_socket:
        name: tls
        typed_config:
          "@type": {SOCKETS}.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2]
            tls_certificates:
            - certificate_chain: {{ filename: {} }}
              private_key: {{ filename: {} }}"#,
            chain.display(),
            key.display(),
        );
        upstream = format!(
            r#"
    transport_socket:
      name: tls
      typed_config:
        "@type": {SOCKETS}.UpstreamTlsContext
        sni: localhost
        common_tls_context:
          alpn_protocols: [h2]
          tls_params: {{ tls_maximum_protocol_version: TLSv1_3 }}
          validation_context: {{ trusted_ca: {{ filename: {root} }} }}"#
        );
    }
    let (host, port) = server.address.rsplit_once(':').unwrap();
    include_str!("envoy.yaml")
        .replace("@downstream", &downstream)
        .replace("@upstream", &upstream)
        .replace("@host", host)
        .replace("@port", port)
}

/// Starts one in front of a server, with TLS if that has it.
fn before(server: &Running, room: &Room) -> Running {
    let tls = server.root.as_ref().map(|_| room.certificates());
    let config = room.write("envoy.yaml", config(server, tls.as_ref()));
    let admin = room.0.join("admin");
    let program = PathBuf::from(place("DREAMMESH_TEST_PROXIES")).join("envoy/_bin/envoy");
    let log = std::fs::File::create(room.0.join("envoy.log")).unwrap();
    let envoy = Command::new(program)
        .args(["--disable-hot-restart", "--concurrency", "1", "-l", "info"])
        .arg("-c")
        .arg(config)
        .arg("--admin-address-path")
        .arg(&admin)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let root = tls.map(|[_, _, root]| root.display().to_string());
    let mut envoy = Running::at(envoy, String::new(), root);
    envoy.address = listener(&admin, &room.0.join("envoy.log"));
    envoy
}

/// Where it listens, which it alone knows.
fn listener(admin: &Path, log: &Path) -> String {
    until(|| ask(admin)).unwrap_or_else(|| {
        let log = std::fs::read_to_string(log).unwrap_or_default();
        panic!("Envoy does not begin to listen: {log}")
    })
}

fn ask(admin: &Path) -> Option<String> {
    let admin = std::fs::read_to_string(admin).ok()?;
    let mut stream = TcpStream::connect(admin.trim()).ok()?;
    let request = "GET /listeners HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let mut lines = answer.lines();
    Some(
        lines
            .find_map(|line| line.strip_prefix("grpc::"))?
            .to_owned(),
    )
}

#[test]
#[ignore = "needs Envoy, grpcio and grpc-js, which the step grpc of xtask brings"]
fn clients_of_others_pass_the_cases_through_envoy() {
    for flags in [&[][..], &["--tls"]] {
        let (server, room) = (Running::start(flags), Room::new());
        let envoy = before(&server, &room);
        grpcio::client(&envoy, "all");
        grpc_js::client(&envoy);
    }
}

#[test]
#[ignore = "needs Envoy and grpcio, which the step grpc of xtask brings"]
fn our_client_passes_the_cases_through_envoy() {
    for (scheme, with_tls) in [("grpc", false), ("grpcs", true)] {
        let (room, front) = (Room::new(), Room::new());
        let server = match with_tls {
            true => grpcio::server(&room, &room.certificates()),
            false => grpcio::server(&room, &[""; 0]),
        };
        before(&server, &front).passes_all(scheme);
    }
}

const SOCKETS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
