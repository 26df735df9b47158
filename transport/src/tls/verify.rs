//! Checking what the other side presents, against roots and names that may change meanwhile.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::explain::verdict;
use super::tickets::ClientTickets;
use super::{Live, Roots, explain, identity};

/// What a client holds against the certificate of a server.
#[derive(Clone, Debug)]
pub(super) struct ServerVerifier {
    pub(super) roots: Live<Roots>,
    /// The SPIFFE ID that the server must have, in place of a host name.
    pub(super) spiffe_id: Option<String>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// Where it is noted what was verified, if that may be relied on later.
    pub(super) tickets: Option<Arc<ClientTickets>>,
}

/// What a server holds against the certificate of a client.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    pub(super) roots: Live<Roots>,
    pub(super) mandatory: bool,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    /// Verifies a certificate that was shown some time ago, as of now.
    pub(super) fn verify_again(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Result<(), Error> {
        let (end_entity, intermediates) =
            chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        self.verify(end_entity, intermediates, name, UnixTime::now())
            .map(drop)
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(id) = &self.spiffe_id {
            return self.by_spiffe_id(id, (end_entity, intermediates), now);
        }
        let roots = self.roots.current();
        let verified = WebPkiServerVerifier::verify_server_cert(
            roots.servers(),
            end_entity,
            intermediates,
            name,
            &[],
            now,
        )?;
        // A name that breaks its own rules is no name to know the server by.
        identity_of(end_entity)?;
        Ok(verified)
    }

    fn by_spiffe_id(
        &self,
        id: &str,
        chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (end_entity, intermediates) = chain;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let roots = self.roots.current();
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots.store(),
            intermediates,
            now,
            self.algorithms.all,
        )?;
        let found = identity_of(end_entity)?;
        if found.as_deref() == Some(id) {
            return Ok(ServerCertVerified::assertion());
        }
        let wrong = explain::WrongIdentity {
            wanted: id.to_owned(),
            found,
        };
        Err(other(wrong))
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verify(end_entity, intermediates, server_name, now);
        let verified = verdict::noted(verified)?;
        if let Some(tickets) = &self.tickets {
            tickets.proved(end_entity, intermediates, server_name);
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(rustls::PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    /// Names no authority: a client has one certificate to show, and a list would go stale when the
    /// roots are replaced.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let roots = self.roots.current();
        let verified = roots
            .clients()
            .verify_client_cert(end_entity, intermediates, now);
        verdict::noted(verified.and_then(|verified| identity_of(end_entity).map(|_| verified)))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(rustls::PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn identity_of(end_entity: &CertificateDer<'_>) -> Result<Option<String>, Error> {
    match identity::of(std::slice::from_ref(end_entity)) {
        Ok(identity) => Ok(identity.map(|identity| identity.name().to_owned())),
        Err(wrong) => Err(other(wrong)),
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}
