//! Failed handshakes in the words of whoever has to mend them.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// Which side of the connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    /// What the other side is called.
    const fn other(self) -> &'static str {
        match self {
            Self::Client => "the server",
            Self::Server => "the client",
        }
    }

    /// What a link says that failed with an error of rustls.
    pub(crate) fn explain(self, cause: Error) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, Explained { side: self, cause })
    }
}

/// What was last found wrong with a certificate on this thread, for who drives a handshake and is
/// not told by those between.
pub(crate) mod verdict {
    use std::cell::Cell;

    use rustls::Error;

    thread_local! {
        static LAST: Cell<Option<Error>> = const { Cell::new(None) };
    }

    /// Passes a verdict on and notes it.
    pub(in crate::tls) fn noted<T>(verdict: Result<T, Error>) -> Result<T, Error> {
        verdict.inspect_err(|error| LAST.set(Some(error.clone())))
    }

    pub(crate) fn take() -> Option<Error> {
        LAST.take()
    }

    pub(crate) fn forget() {
        LAST.take();
    }
}

/// A server that is not the one that was asked for.
#[derive(Debug)]
pub(super) struct WrongIdentity {
    pub(super) wanted: String,
    pub(super) found: Option<String>,
}

impl fmt::Display for WrongIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, found } = self;
        match found {
            Some(found) => write!(f, "the certificate is that of {found}, not of {wanted}"),
            None => write!(f, "the certificate names nobody, so not {wanted} either"),
        }
    }
}

impl std::error::Error for WrongIdentity {}

/// An error of rustls, explained.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) side: Side,
    pub(crate) cause: Error,
}

impl std::error::Error for Explained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = self.side.other();
        match &self.cause {
            Error::InvalidCertificate(error) => self.certificate(error, f),
            Error::AlertReceived(alert) => {
                write!(
                    f,
                    "{other} refused the TLS handshake or ended the connection: "
                )?;
                self.alert(*alert, f)
            }
            Error::NoCertificatesPresented => {
                write!(
                    f,
                    "{other} presented no certificate, which is required here"
                )
            }
            Error::NoApplicationProtocol => {
                write!(f, "{other} offers none of the protocols spoken here (ALPN)")
            }
            Error::InvalidMessage(_) => {
                write!(f, "{other} does not speak TLS: {}", self.cause)
            }
            Error::PeerIncompatible(
                PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::ServerDoesNotSupportTls12Or13,
            ) => write!(f, "{other} does not speak TLS 1.3, which is required here"),
            cause => write!(f, "TLS failed: {cause}"),
        }
    }
}

impl Explained {
    fn certificate(&self, error: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = self.side.other();
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                write!(f, "{other}'s certificate has expired: {error}")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                write!(f, "{other}'s certificate is not valid yet: {error}")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                write!(f, "{other}'s certificate is for another name: {error}")
            }
            CertificateError::UnknownIssuer => {
                write!(
                    f,
                    "{other}'s certificate does not lead to a root that is trusted here"
                )
            }
            CertificateError::BadSignature => write!(
                f,
                "{other}'s certificate is not signed by who it says: \
                 a root of that name that is trusted here has another key"
            ),
            CertificateError::Other(cause) => {
                write!(f, "{other}'s certificate is not accepted: {}", cause.0)
            }
            error => write!(f, "{other}'s certificate is not accepted: {error}"),
        }
    }

    /// What the other side gave as its reason.
    fn alert(&self, alert: AlertDescription, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = self.side == Side::Client;
        f.write_str(match alert {
            AlertDescription::CertificateRequired => {
                "it requires a certificate, and none was presented"
            }
            AlertDescription::UnknownCA => {
                "the certificate presented to it does not lead to a root that it trusts"
            }
            AlertDescription::CertificateExpired => {
                "the certificate presented to it has expired, or is not valid yet, by its clock"
            }
            AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
                "it does not accept the certificate presented to it, \
                 which may be for another name than it expects"
            }
            AlertDescription::DecryptError => {
                "it found a signature wrong, as when a root of the same name that it trusts \
                 has another key"
            }
            AlertDescription::UnsupportedCertificate => {
                "the certificate presented to it is not meant for this use"
            }
            AlertDescription::NoApplicationProtocol => {
                "it speaks none of the protocols that were offered (ALPN)"
            }
            AlertDescription::ProtocolVersion => "it does not speak TLS 1.3",
            AlertDescription::HandshakeFailure if client => {
                "no terms in common; a server that has no certificate answers so too"
            }
            _ => return write!(f, "{alert:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_explained_and_keeps_its_cause() {
        let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
        let explained = Side::Client.explain(alert);
        let text = explained.to_string();
        assert!(text.contains("the server refused"), "{text}");
        assert!(text.contains("it requires a certificate"), "{text}");
        let cause = explained
            .get_ref()
            .and_then(std::error::Error::source)
            .unwrap();
        assert!(cause.is::<Error>());
        let missing = Side::Server
            .explain(Error::NoCertificatesPresented)
            .to_string();
        assert_eq!(
            missing,
            "the client presented no certificate, which is required here"
        );
    }
}
