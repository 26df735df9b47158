//! Servers of gRPC inside TLS, and what a client makes of those that speak nothing else.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dreammesh_core::call::{CallError, Code};
use dreammesh_core::channel::Channel;
use dreammesh_transport::tls::{ClientTls, Roots};
use dreammesh_transport::{Connector, Medium};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::raw::{Call, unary};

/// A certificate for loopback and its key.
fn made() -> &'static (CertificateDer<'static>, Vec<u8>) {
    static MADE: OnceLock<(CertificateDer<'static>, Vec<u8>)> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = made.signing_key.serialized_der().to_vec();
        (made.cert.der().clone(), key)
    })
}

fn tls() -> ClientTls {
    let body = BASE64_STANDARD.encode(&made().0);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    ClientTls::new(Roots::from_pem(pem).unwrap())
}

fn acceptor(protocol: Option<&[u8]>) -> TlsAcceptor {
    let (chain, key) = made();
    let key = PrivateKeyDer::Pkcs8(key.clone().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain.clone()], key)
        .unwrap();
    config.alpn_protocols = protocol.into_iter().map(<[u8]>::to_vec).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// A server that answers every call with what was sent; its port.
async fn serve(protocol: Option<&'static [u8]>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = acceptor(protocol);
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    assert_eq!(request.uri().scheme_str(), Some("https"));
                    tokio::spawn(Call { request, respond }.echo());
                }
            });
        }
    });
    port
}

async fn called(channel: &Channel) -> Result<String, CallError> {
    let answer = unary(channel).await?;
    Ok(answer.view().type_url().to_owned())
}

#[tokio::test]
async fn a_server_that_speaks_only_grpc_is_called_by_every_name_that_is_secure() {
    let port = serve(Some(b"h2")).await;
    for (scheme, media) in [
        ("grpcs", &["grpcs"][..]),
        ("dreammesh+tls", &["tls", "grpcs"]),
        ("dreammesh", &["tls", "quic", "grpcs"]),
    ] {
        let connector = Connector::new().tls(tls());
        let target = format!("{scheme}://127.0.0.1:{port}");
        let channel = connector.connect(&target).await.unwrap();
        assert_eq!(called(&channel).await.unwrap(), "x", "{scheme}");
        let counts = channel.connections().remove(0);
        assert_eq!(counts.medium, Some("grpcs"), "{scheme}");
        let known: Vec<_> = counts.opened.iter().map(|(medium, _)| *medium).collect();
        assert_eq!(known, media, "{scheme}");
    }
}

#[tokio::test]
async fn a_server_that_is_somebody_else_is_not_called() {
    let port = serve(Some(b"h2")).await;
    for scheme in ["grpcs", "dreammesh+tls", "dreammesh"] {
        let other = tls().server_name("other.example").unwrap();
        let connector = Connector::new().tls(other).media([Medium::Tls]);
        let error = connector
            .connect(&format!("{scheme}://127.0.0.1:{port}"))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("certificate"),
            "{scheme}: {error}"
        );
    }
    let without = Connector::new().connect_lazy(&format!("grpcs://127.0.0.1:{port}"));
    assert!(without.unwrap_err().is_target());
}

#[tokio::test]
async fn a_server_that_agrees_on_no_protocol_is_not_called() {
    let port = serve(None).await;
    for scheme in ["grpcs", "dreammesh+tls"] {
        let connector = Connector::new().tls(tls());
        let error = connector
            .connect(&format!("{scheme}://127.0.0.1:{port}"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("ALPN"), "{scheme}: {error}");
    }
}

#[tokio::test]
async fn plaintext_is_spoken_only_where_it_was_asked_for() {
    // A server in plaintext, which a client that wants TLS greets with TLS and nothing else.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connector = Connector::new().tls(tls());
    let channel = connector
        .connect_lazy(&format!("grpcs://127.0.0.1:{port}"))
        .unwrap();
    let calling = tokio::spawn(async move { unary(&channel).await.map(drop) });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut first = [0; 3];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut first)
        .await
        .unwrap();
    assert_eq!(first[..2], [22, 3], "a handshake of TLS");
    drop(stream);
    assert_eq!(
        calling.await.unwrap().unwrap_err().code(),
        Code::Unavailable
    );
}
