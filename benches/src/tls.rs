//! The certificate and the settings of every system that speaks TLS, so that all have the same.
//!
//! TLS 1.3 alone, by rustls on aws-lc-rs, each connection with a whole handshake. Server and client are processes of their own and share
//! no files: both derive the key from the same fixed seed, so what one signs the other trusts. It
//! keeps nothing secret and is worth nothing outside of a measurement.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::failure::Failure;

/// What the certificate is for, and what clients ask for.
pub const NAME: &str = "localhost";

const SEED: [u8; 32] = [7; 32];

/// The key and the certificate, in the forms that systems take.
#[derive(Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The certificate, which is its own issuer.
    pub certificate_pem: String,
    /// The private key.
    pub key_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    /// This process's, made once: to make it is no part of a connection.
    ///
    /// # Errors
    /// When the libraries refuse the key, which they have no reason to.
    pub fn own() -> Result<&'static Self, Failure> {
        static OWN: OnceLock<Identity> = OnceLock::new();
        match OWN.get() {
            Some(own) => Ok(own),
            None => Self::new().map(|made| OWN.get_or_init(|| made)),
        }
    }

    /// Makes the certificate anew; its issuer and key are always the same.
    fn new() -> Result<Self, Failure> {
        let key = ::aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&SEED);
        let key = key
            .map_err(Failure::call)?
            .to_pkcs8()
            .map_err(Failure::call)?;
        let key = key.as_ref().to_vec();
        let der = PrivatePkcs8KeyDer::from(key.clone());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519);
        let pair = pair.map_err(Failure::call)?;
        let parameters = CertificateParams::new([NAME.to_owned()]).map_err(Failure::call)?;
        let certificate = parameters.self_signed(&pair).map_err(Failure::call)?;
        Ok(Self {
            certificate_pem: pem("CERTIFICATE", certificate.der()),
            key_pem: pem("PRIVATE KEY", &key),
            certificate: certificate.der().clone(),
            key,
        })
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

/// Makes the provider the process's own, for systems that take no settings of rustls's.
pub fn choose_provider() {
    // It fails only if that was done before.
    let _ = aws_lc_rs::default_provider().install_default();
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider()));
    Arc::clone(provider)
}

/// What a server is set up with, for a protocol of this name.
///
/// # Errors
/// When the libraries refuse the key, which they have no reason to.
pub fn server(protocol: &[u8]) -> Result<ServerConfig, Failure> {
    let identity = Identity::own()?;
    let key = PrivateKeyDer::Pkcs8(identity.key.clone().into());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(Failure::call)?
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.clone()], key)
        .map_err(Failure::call)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// What a client is set up with, for a protocol of this name.
///
/// # Errors
/// When the libraries refuse the certificate, which they have no reason to.
pub fn client(protocol: &[u8]) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    roots
        .add(Identity::own()?.certificate.clone())
        .map_err(Failure::call)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(Failure::call)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    // tonic sets up each of its connections anew, so that none resumes another.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The protocol of what has none of its own.
const BYTES: &[u8] = b"bench";

/// What turns a floor's accepted sockets into TLS streams.
///
/// # Errors
/// When the libraries refuse the key, which they have no reason to.
pub fn acceptor() -> Result<TlsAcceptor, Failure> {
    Ok(TlsAcceptor::from(Arc::new(server(BYTES)?)))
}

/// Turns a floor's connected socket into a TLS stream.
///
/// # Errors
/// When the handshake fails.
pub async fn connect(stream: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(NAME).map_err(Failure::call)?;
    let connector = TlsConnector::from(Arc::new(client(BYTES)?));
    let connected = connector.connect(name, stream).await;
    connected.map_err(Failure::io("connecting over TLS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_trusts_what_another_process_makes_from_the_same_seed() {
        let (one, other) = (Identity::new().unwrap(), Identity::new().unwrap());
        assert_eq!(one.key_pem, other.key_pem);
        assert!(server(b"x").is_ok() && client(b"x").is_ok());
    }
}
