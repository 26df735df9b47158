//! What a server presents, and what it demands of clients.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;

use super::verify::ClientVerifier;
use super::{Certificate, Live, Roots, provider};

/// How a server speaks TLS: its certificate, and whether clients must have one.
///
/// ```no_run
/// use dreammesh_transport::tls::{Certificate, Roots, ServerTls};
///
/// # fn run() -> Result<(), dreammesh_transport::tls::TlsError> {
/// let certificate = Certificate::from_pem_files("chain.pem", "key.pem")?;
/// let tls = ServerTls::new(certificate).client_roots(Roots::from_pem_file("clients.pem")?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ServerTls {
    certificate: Live<Certificate>,
    clients: Option<Clients>,
}

/// What is asked of clients.
#[derive(Clone, Debug)]
struct Clients {
    roots: Live<Roots>,
    mandatory: bool,
}

impl ServerTls {
    /// Presents a certificate and asks clients for none.
    pub fn new(certificate: impl Into<Live<Certificate>>) -> Self {
        Self {
            certificate: certificate.into(),
            clients: None,
        }
    }

    /// Refuses clients without a certificate that leads to one of these roots.
    ///
    /// Handlers find the name in it as the identity of the request's peer. A certificate that names
    /// nobody by a SPIFFE ID or a DNS name is let in, and leaves its holder without an identity.
    #[must_use]
    pub fn client_roots(self, roots: impl Into<Live<Roots>>) -> Self {
        self.asking(roots.into(), true)
    }

    /// As [`client_roots`](Self::client_roots), but clients without a certificate are let in
    /// without an identity.
    ///
    /// One that presents a certificate that cannot be verified is refused all the same.
    #[must_use]
    pub fn client_roots_optional(self, roots: impl Into<Live<Roots>>) -> Self {
        self.asking(roots.into(), false)
    }

    fn asking(mut self, roots: Live<Roots>, mandatory: bool) -> Self {
        self.clients = Some(Clients { roots, mandatory });
        self
    }

    /// The settings of rustls for some protocols, the preferred one first.
    ///
    /// One value serves all connections: what is replaced later is seen through it.
    pub(crate) fn rustls_server(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has suites for TLS 1.3");
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(Clients { roots, mandatory }) => {
                builder.with_client_cert_verifier(Arc::new(ClientVerifier {
                    roots: roots.clone(),
                    mandatory: *mandatory,
                    algorithms,
                }))
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Presented(self.certificate.clone())));
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }
}

/// The certificate of the moment.
#[derive(Debug)]
struct Presented(Live<Certificate>);

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current().certified())
    }
}
