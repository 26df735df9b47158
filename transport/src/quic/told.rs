//! TLS as QUIC speaks it, whose failures are told in the words that TLS over TCP has for them.
//!
//! quinn keeps the text of what rustls says, and not the error itself.

use std::any::Any;
use std::sync::Arc;

use quinn::crypto::{
    ClientConfig, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig,
    Session, UnsupportedVersion,
};
use quinn::{ConnectError, ConnectionId, Side as End};
use quinn_proto::TransportError;
use quinn_proto::transport_parameters::TransportParameters;
use rustls::{AlertDescription, Error, PeerIncompatible};

use super::lane::alert;
use crate::tls::explain::{Explained, Side, verdict};

/// One side's settings.
pub(super) struct Told<C>(pub(super) C);

/// One handshake.
struct Handshake {
    inner: Box<dyn Session>,
    side: Side,
}

impl<C: ClientConfig + 'static> ClientConfig for Told<Arc<C>> {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let inner = Arc::clone(&self.0).start_session(version, server_name, params)?;
        let side = Side::Client;
        Ok(Box::new(Handshake { inner, side }))
    }
}

impl<C: ServerConfig + 'static> ServerConfig for Told<Arc<C>> {
    fn initial_keys(
        &self,
        version: u32,
        dst_cid: &ConnectionId,
    ) -> Result<Keys, UnsupportedVersion> {
        self.0.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.0.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(
        self: Arc<Self>,
        version: u32,
        params: &TransportParameters,
    ) -> Box<dyn Session> {
        let inner = Arc::clone(&self.0).start_session(version, params);
        let side = Side::Server;
        Box::new(Handshake { inner, side })
    }
}

impl Session for Handshake {
    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        verdict::forget();
        self.inner.read_handshake(buf).map_err(|error| {
            let cause = verdict::take().or_else(|| cause(alert(error.code)?));
            let side = self.side;
            let reason = match cause {
                Some(cause) => Explained { side, cause }.to_string(),
                None => format!("TLS failed: {}", error.reason),
            };
            TransportError { reason, ..error }
        })
    }

    fn initial_keys(&self, dst_cid: &ConnectionId, side: End) -> Keys {
        self.inner.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.inner.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.inner.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.inner.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.inner.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.inner.transport_parameters()
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        self.inner.write_handshake(buf)
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.inner.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.inner.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.inner.export_keying_material(output, label, context)
    }
}

/// What is wrong where this side sends such an alert and no certificate is the reason.
fn cause(alert: AlertDescription) -> Option<Error> {
    match alert {
        AlertDescription::NoApplicationProtocol => Some(Error::NoApplicationProtocol),
        AlertDescription::CertificateRequired => Some(Error::NoCertificatesPresented),
        AlertDescription::ProtocolVersion => {
            Some(PeerIncompatible::SupportedVersionsExtensionRequired.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use quinn::Endpoint;

    use super::super::dial::{self, Offer, Target};
    use super::super::listen::{Listener, Options};
    use crate::tls::test_certificates::{Authority, Validity};
    use crate::tls::{Certificate, ClientTls, Roots, ServerTls};

    /// What a server says of a client whom it does not believe.
    async fn said(server: &Authority, client: ClientTls) -> String {
        let made = server.issue(&["127.0.0.1"]);
        let tls = ServerTls::new(Certificate::from_pem(made.chain, made.key).unwrap());
        let tls = tls.client_roots(Roots::from_pem(server.pem()).unwrap());
        let options = Options {
            tls,
            keepalive: None,
            buffer_bytes: None,
            take_over: false,
        };
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), &options).unwrap();
        let port = listener.local_addr().port();
        let target = Target::new("127.0.0.1".to_owned(), port, client, None, None);
        let serving = async { listener.accept().await.unwrap().done().await.unwrap_err() };
        // A client's own handshake is done before it hears.
        let offer: Offer = Arc::new(|_| false);
        let (error, connected) = tokio::join!(serving, dial::dial(&target, &offer));
        drop(connected);
        error.to_string()
    }

    #[tokio::test]
    async fn a_server_says_what_is_wrong_with_a_client() {
        let (authority, other) = (Authority::new("root"), Authority::new("other"));
        let client = || ClientTls::new(Roots::from_pem(authority.pem()).unwrap());
        let with = |made: crate::tls::test_certificates::Made| {
            client().certificate(Certificate::from_pem(made.chain, made.key).unwrap())
        };
        let till = &["till.example"];
        for (client, why) in [
            (client(), "the client presented no certificate"),
            (
                with(authority.issue_valid(till, Validity::Past)),
                "the client's certificate has expired",
            ),
            (
                with(authority.issue_valid(till, Validity::Future)),
                "the client's certificate is not valid yet",
            ),
            (
                with(other.issue(till)),
                "the client's certificate does not lead to a root that is trusted here",
            ),
        ] {
            let text = said(&authority, client).await;
            assert!(text.contains(why), "{text}");
        }
    }

    #[tokio::test]
    async fn a_server_says_that_a_client_offers_none_of_its_protocols() {
        let authority = Authority::new("root");
        let made = authority.issue(&["127.0.0.1"]);
        let options = Options {
            tls: ServerTls::new(Certificate::from_pem(made.chain, made.key).unwrap()),
            keepalive: None,
            buffer_bytes: None,
            take_over: false,
        };
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), &options).unwrap();
        let client = ClientTls::new(Roots::from_pem(authority.pem()).unwrap());
        let crypto = client.rustls_quic_client(&[b"other"]);
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(crypto).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let connecting = endpoint.connect_with(config, listener.local_addr(), "127.0.0.1");
        let serving = async { listener.accept().await.unwrap().done().await.unwrap_err() };
        let (error, connected) = tokio::join!(serving, connecting.unwrap());
        assert!(connected.is_err());
        let why = "the client offers none of the protocols spoken here (ALPN)";
        assert!(error.to_string().contains(why), "{error}");
    }
}
