//! What a server presents, and what it demands of clients.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;

use super::sparing::quic_provider;
use super::tickets::ServerTickets;
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
    early_data: bool,
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
            early_data: false,
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

    /// Lets clients send calls over QUIC together with their hello (0-RTT), if they were connected
    /// within the last hour; off by default.
    ///
    /// What travels early can be recorded and sent again by somebody else. So the calls of methods
    /// declared `NO_SIDE_EFFECTS` alone begin at once; others wait for the handshake. This server
    /// takes each ticket once, and looks again at the certificate that was shown for it. Of several
    /// servers, each has tickets of its own.
    #[must_use]
    pub fn early_data(mut self, early: bool) -> Self {
        self.early_data = early;
        self
    }

    fn asking(mut self, roots: Live<Roots>, mandatory: bool) -> Self {
        self.clients = Some(Clients { roots, mandatory });
        self
    }

    /// The settings of rustls for some protocols, the preferred one first.
    ///
    /// One value serves all connections: what is replaced later is seen through it.
    pub(crate) fn rustls_server(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        Arc::new(self.rustls_config(provider(), alpn))
    }

    /// The same for QUIC, with early data if it is wanted.
    pub(crate) fn rustls_quic_server(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let mut config = self.rustls_config(quic_provider(), alpn);
        if self.early_data {
            let roots = self.clients.as_ref().map(|clients| clients.roots.clone());
            config.session_storage = Arc::new(ServerTickets::new(roots));
            config.send_tls13_tickets = 1;
            // QUIC bounds early data by its own windows (RFC 9001 section 4.6.1).
            config.max_early_data_size = u32::MAX;
        }
        Arc::new(config)
    }

    /// Verifies once more what a client had shown when it was given the ticket that it came with.
    ///
    /// # Errors
    /// When a whole handshake would fail now.
    pub(crate) fn verify_again(&self, chain: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        let Some(verifier) = self.client_verifier() else {
            return Ok(());
        };
        match chain.split_first() {
            Some((end_entity, intermediates)) => verifier
                .verify_client_cert(end_entity, intermediates, UnixTime::now())
                .map(drop),
            None if verifier.client_auth_mandatory() => Err(rustls::Error::NoCertificatesPresented),
            None => Ok(()),
        }
    }

    /// Whether clients may send calls with their hello.
    pub(crate) fn takes_early_data(&self) -> bool {
        self.early_data
    }

    fn client_verifier(&self) -> Option<ClientVerifier> {
        let algorithms = provider().signature_verification_algorithms;
        self.clients.as_ref().map(|clients| ClientVerifier {
            roots: clients.roots.clone(),
            mandatory: clients.mandatory,
            algorithms,
        })
    }

    fn rustls_config(&self, provider: Arc<CryptoProvider>, alpn: &[&[u8]]) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has suites for TLS 1.3");
        let builder = match self.client_verifier() {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Presented(self.certificate.clone())));
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config
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

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::super::test_certificates::{Authority, Validity};
    use super::*;

    #[test]
    fn what_stands_behind_a_ticket_has_to_be_good_still() {
        let authority = Authority::new("root");
        let roots = || Roots::from_pem(authority.pem()).unwrap();
        let own = authority.issue(&["server.example"]);
        let own = Certificate::from_pem(own.chain, own.key).unwrap();
        let chain = |validity| {
            let made = authority.issue_valid(&["client.example"], validity);
            Certificate::from_pem(made.chain, made.key)
                .unwrap()
                .certified()
        };
        let tls = ServerTls::new(own);
        let asking = tls.clone().client_roots(roots());
        assert_eq!(asking.verify_again(&chain(Validity::Now).cert), Ok(()));
        assert!(matches!(
            asking.verify_again(&chain(Validity::Past).cert),
            Err(rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. }
            ))
        ));
        assert_eq!(
            asking.verify_again(&[]),
            Err(rustls::Error::NoCertificatesPresented)
        );
        assert_eq!(
            tls.clone().client_roots_optional(roots()).verify_again(&[]),
            Ok(())
        );
        assert_eq!(tls.verify_again(&chain(Validity::Past).cert), Ok(()));
    }
}
