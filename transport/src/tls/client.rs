//! What a client demands of servers, and what it presents.

use std::net::IpAddr;
use std::sync::Arc;

use dreammesh_core::call::Identity;
use rustls::ClientConfig;
use rustls::SignatureScheme;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;

use super::sparing::quic_provider;
use super::tickets::ClientTickets;
use super::verify::ServerVerifier;
use super::{Certificate, Live, Roots, TlsError, identity, provider};

/// How a client speaks TLS: whom it believes, whom it expects, and its own certificate if it has
/// one.
///
/// ```no_run
/// use dreammesh_transport::tls::{Certificate, ClientTls, Roots};
///
/// # fn run() -> Result<(), dreammesh_transport::tls::TlsError> {
/// let tls = ClientTls::new(Roots::from_pem_file("roots.pem")?)
///     .certificate(Certificate::from_pem_files("chain.pem", "key.pem")?)
///     .server_identity("spiffe://example.org/ns/shop/sa/catalog")?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ClientTls {
    roots: Live<Roots>,
    certificate: Option<Live<Certificate>>,
    expected: Expected,
    early_data: bool,
}

/// Who the server has to be.
#[derive(Clone, Debug)]
enum Expected {
    /// The host of the target.
    Host,
    Name(ServerName<'static>),
    SpiffeId(String),
}

impl ClientTls {
    /// Believes servers whose certificate leads to one of these roots and names the host of the
    /// target, be that a name or an IP address.
    pub fn new(roots: impl Into<Live<Roots>>) -> Self {
        Self {
            roots: roots.into(),
            certificate: None,
            expected: Expected::Host,
            early_data: false,
        }
    }

    /// Presents a certificate to servers that ask for one (mutual TLS).
    #[must_use]
    pub fn certificate(mut self, certificate: impl Into<Live<Certificate>>) -> Self {
        self.certificate = Some(certificate.into());
        self
    }

    /// Expects a certificate for this name, in place of the host of the target.
    ///
    /// # Errors
    /// When it is neither a DNS name nor an IP address.
    pub fn server_name(mut self, name: &str) -> Result<Self, TlsError> {
        let wrong = "is neither a DNS name nor an IP address";
        let name =
            ServerName::try_from(name.to_owned()).map_err(|_| TlsError::name(name, wrong))?;
        self.expected = Expected::Name(name);
        Ok(self)
    }

    /// Expects this SPIFFE ID in the certificate, whatever host the target names.
    ///
    /// That the certificate leads to one of the roots is verified all the same.
    ///
    /// # Errors
    /// When it is no SPIFFE ID.
    pub fn server_identity(mut self, id: &str) -> Result<Self, TlsError> {
        identity::check_spiffe(id).map_err(|wrong| TlsError::name(id, wrong))?;
        self.expected = Expected::SpiffeId(id.to_owned());
        Ok(self)
    }

    /// Lets calls over QUIC travel with the hello of a connection to a server that was reached within
    /// the last hour (0-RTT), if the server takes that; off by default.
    ///
    /// Only unary calls of methods declared `NO_SIDE_EFFECTS` do, since what travels early can be
    /// recorded and sent again by somebody else; all others wait for the handshake. What the server
    /// does not take is sent again behind the handshake. A connection that is resumed so shows no
    /// certificates: what the server showed within the last hour is verified again.
    #[must_use]
    pub fn early_data(mut self, early: bool) -> Self {
        self.early_data = early;
        self
    }

    /// The settings of rustls for some protocols, the preferred one first.
    ///
    /// One value serves all connections: what is replaced later is seen through it.
    pub(crate) fn rustls_client(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        Arc::new(self.rustls_config(provider(), self.verifier(), alpn))
    }

    /// The same for QUIC, with early data if it is wanted.
    pub(crate) fn rustls_quic_client(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        let mut verifier = self.verifier();
        if !self.early_data {
            return Arc::new(self.rustls_config(quic_provider(), verifier, alpn));
        }
        let tickets = ClientTickets::new(verifier.clone(), self.certificate.clone());
        let tickets = Arc::new(tickets);
        verifier.tickets = Some(Arc::clone(&tickets));
        let mut config = self.rustls_config(quic_provider(), verifier, alpn);
        config.resumption = Resumption::store(tickets);
        config.enable_early_data = true;
        Arc::new(config)
    }

    /// Verifies the certificate that a server has shown, now or when it gave out the ticket of a
    /// handshake that was resumed.
    ///
    /// # Errors
    /// When a whole handshake would fail now.
    pub(crate) fn verify_resumed(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Result<(), rustls::Error> {
        match self.early_data {
            true => self.verifier().verify_again(chain, name),
            false => Ok(()),
        }
    }

    fn verifier(&self) -> ServerVerifier {
        ServerVerifier {
            roots: self.roots.clone(),
            spiffe_id: match &self.expected {
                Expected::SpiffeId(id) => Some(id.clone()),
                _ => None,
            },
            algorithms: provider().signature_verification_algorithms,
            tickets: None,
        }
    }

    fn rustls_config(
        &self,
        provider: Arc<CryptoProvider>,
        verifier: ServerVerifier,
        alpn: &[&[u8]],
    ) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has suites for TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some(own) => builder.with_client_cert_resolver(Arc::new(Presented(own.clone()))),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = Resumption::disabled();
        config
    }

    /// The name to ask the host of a target for.
    ///
    /// A host that cannot stand in a certificate is only an error if it would be looked for there;
    /// `address` is where it was reached.
    ///
    /// # Errors
    /// Says what is wrong with the host.
    pub(crate) fn server_name_for(
        &self,
        host: &str,
        address: IpAddr,
    ) -> Result<ServerName<'static>, TlsError> {
        let of_host = || {
            let wrong = "is a host that no certificate can name";
            ServerName::try_from(host.to_owned()).map_err(|_| TlsError::name(host, wrong))
        };
        match &self.expected {
            Expected::Host => of_host(),
            Expected::Name(name) => Ok(name.clone()),
            Expected::SpiffeId(_) => Ok(of_host().unwrap_or_else(|_| address.into())),
        }
    }

    /// Who a server is that has yet to show its certificate, but is none if it is not this one.
    ///
    /// Of a host name that is not so: its certificate may have a SPIFFE ID.
    pub(crate) fn identity_before_handshake(&self) -> Option<Identity> {
        match &self.expected {
            Expected::SpiffeId(id) => Some(Identity::new(id.clone())),
            Expected::Host | Expected::Name(_) => None,
        }
    }

    /// Who a server is whose certificate was verified for the name.
    ///
    /// A SPIFFE ID, if it has one; otherwise the name, for which its certificate holds.
    pub(crate) fn identity_of_server(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Identity {
        match identity::of(chain) {
            Ok(Some(found)) if found.name().starts_with("spiffe://") => found,
            _ => Identity::new(name.to_str().to_ascii_lowercase()),
        }
    }
}

/// The certificate of the moment.
#[derive(Debug)]
struct Presented(Live<Certificate>);

impl ResolvesClientCert for Presented {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current().certified())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_certificates::Authority;
    use super::*;

    fn tls() -> ClientTls {
        ClientTls::new(Roots::from_pem(Authority::new("root").pem()).unwrap())
    }

    #[test]
    fn an_expected_name_must_be_one() {
        for bad in ["", "a b", "http://x"] {
            let error = tls().server_name(bad).unwrap_err().to_string();
            assert!(
                error.contains("neither a DNS name nor an IP address"),
                "{error}"
            );
        }
        let error = tls()
            .server_identity("shop.example")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`shop.example` does not begin with `spiffe://`"),
            "{error}"
        );
    }

    #[test]
    fn the_host_of_the_target_is_expected_unless_something_else_is() {
        let address = IpAddr::from([10, 0, 0, 7]);
        let name = |tls: &ClientTls, host| {
            let name = tls.server_name_for(host, address);
            name.map(|name| name.to_str().into_owned())
        };
        assert_eq!(name(&tls(), "shop.example").unwrap(), "shop.example");
        assert_eq!(name(&tls(), "::1").unwrap(), "::1");
        assert!(name(&tls(), "-").is_err());
        let named = tls().server_name("other.example").unwrap();
        assert_eq!(name(&named, "-").unwrap(), "other.example");
        let spiffe = tls().server_identity("spiffe://example.org/shop").unwrap();
        assert_eq!(name(&spiffe, "shop.example").unwrap(), "shop.example");
        assert_eq!(name(&spiffe, "-").unwrap(), "10.0.0.7");
    }
}
