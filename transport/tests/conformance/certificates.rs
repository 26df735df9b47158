//! Certificates for media that need them, made anew for each process.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dreammesh_transport::tls::{Certificate, ClientTls, Roots, ServerTls};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a server presents whose address is on loopback, and what a client believes.
pub(crate) fn pair() -> (ServerTls, ClientTls) {
    let (chain, key) = made();
    let chain = pem("CERTIFICATE", chain);
    let certificate = Certificate::from_pem(&chain, pem("PRIVATE KEY", key)).unwrap();
    (ServerTls::new(certificate), ClientTls::new(roots()))
}

/// What such a client believes.
pub(crate) fn roots() -> Roots {
    Roots::from_pem(pem("CERTIFICATE", &made().0)).unwrap()
}

/// A certificate for loopback and its key.
fn made() -> &'static (CertificateDer<'static>, Vec<u8>) {
    static MADE: OnceLock<(CertificateDer<'static>, Vec<u8>)> = OnceLock::new();
    MADE.get_or_init(|| {
        let names = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = made.signing_key.serialized_der().to_vec();
        (made.cert.der().clone(), key)
    })
}

/// What a bare QUIC client that believes the same needs to offer a protocol.
pub(crate) fn bare_client(protocol: &[u8]) -> quinn::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made().0.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()))
}

/// What a bare QUIC server that presents the same needs to speak a protocol.
pub(crate) fn bare_server(protocol: &[u8]) -> quinn::ServerConfig {
    let (chain, key) = made();
    let key = PrivateKeyDer::Pkcs8(key.clone().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config).unwrap()))
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}
