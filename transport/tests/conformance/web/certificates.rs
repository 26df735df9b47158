//! Who calls over TLS, by the certificate of the connection.

use std::io;
use std::sync::Arc;

use dreammesh_transport::Server;
use dreammesh_transport::tls::ServerTls;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::caller::{Http, post, proto};
use crate::authority::{Authority, Made};
use crate::echo::ask;
use crate::grpc_server::caller::{UNARY, framed};
use crate::tls::{CALLERS, TLS, certificate, roots, serve};

/// A connection to a server of TLS that speaks what it agrees on, by a client whose certificate
/// that is, if it has one.
async fn link(
    authority: &Authority,
    target: &str,
    own: Option<&Made>,
    protocol: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let mut believed = rustls::RootCertStore::empty();
    let pem = authority.pem();
    let root = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    believed.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(believed);
    let mut config = match own {
        Some(made) => {
            let chain = CertificateDer::from_pem_slice(made.chain.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let (_, place) = target.split_once("://").unwrap();
    let stream = TcpStream::connect(place).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await
}

#[tokio::test]
async fn a_handler_knows_a_caller_of_the_web_by_its_certificate() {
    let authority = Authority::new("root");
    let tls = ServerTls::new(certificate(&authority.issue(&["127.0.0.1"])));
    let tls = tls.client_roots_optional(roots(&authority));
    let (target, _) = serve(Server::builder().tls(tls), TLS).await;
    let callers = CALLERS.map(|(names, identity)| (Some(authority.issue(names)), identity));
    for (own, identity) in callers.into_iter().chain([(None, "nobody")]) {
        for (http, protocol) in [(Http::One, "http/1.1"), (Http::Two, "h2")] {
            let link = || link(&authority, &target, own.as_ref(), protocol);
            let asked = post(UNARY, "application/proto");
            let body = proto(&ask("who"));
            let heard = http.ask_on(link().await.unwrap(), asked, body).await;
            assert_eq!(heard.body, proto(&ask(identity)), "{http:?}");
            let asked = post(UNARY, "application/grpc-web");
            let body = framed(&ask("who"));
            let heard = http.ask_on(link().await.unwrap(), asked, body).await;
            assert_eq!(heard.messages()[0].1, proto(&ask(identity)), "{http:?}");
        }
    }
}

#[tokio::test]
async fn who_is_not_believed_is_not_served_over_the_web() {
    let authority = Authority::new("root");
    let tls = ServerTls::new(certificate(&authority.issue(&["127.0.0.1"])));
    let tls = tls.client_roots(roots(&authority));
    let (target, _) = serve(Server::builder().tls(tls), TLS).await;
    let stranger = Authority::new("other").issue(&["till.example"]);
    let believed = authority.issue(&["till.example"]);
    for (own, is_served) in [
        (None, false),
        (Some(&stranger), false),
        (Some(&believed), true),
    ] {
        for protocol in ["http/1.1", "h2"] {
            // A client of TLS 1.3 hears what becomes of its certificate when it reads.
            let Ok(mut link) = link(&authority, &target, own, protocol).await else {
                assert!(!is_served);
                continue;
            };
            let opening: &[u8] = match protocol {
                "h2" => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
                _ => b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            };
            let _ = link.write_all(opening).await;
            let answered = link.read_u8().await;
            assert_eq!(answered.is_ok(), is_served, "{protocol}: {answered:?}");
        }
    }
}
