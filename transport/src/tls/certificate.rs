//! A certificate with its private key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use super::error::{Origin, Problem, TlsError};
use super::{pem, provider};

/// A certificate, those that lead from it towards a root, and its private key.
///
/// A clone shares them. What one is worth is seen by those who check it: reading one looks at
/// neither its dates nor its issuer.
#[derive(Clone)]
pub struct Certificate(Arc<CertifiedKey>);

impl Certificate {
    /// Reads a chain and its key from two files, which may be the same one.
    ///
    /// The chain begins with the certificate itself; the root may be left out.
    ///
    /// # Errors
    /// When a file cannot be read or does not hold what it should, or when the key is not that of
    /// the first certificate.
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        Self::from_parts(
            (&pem::read(chain)?, &Origin::file(chain)),
            (&pem::read(key)?, &Origin::file(key)),
        )
    }

    /// Reads a chain and its key from memory; see [`from_pem_files`](Self::from_pem_files).
    ///
    /// # Errors
    /// When one does not hold what it should, or when the key is not that of the first certificate.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        Self::from_parts(
            (chain.as_ref(), &Origin::Memory("the chain in memory")),
            (key.as_ref(), &Origin::Memory("the key in memory")),
        )
    }

    /// Reads both from bytes that came from the given places.
    pub(super) fn from_parts(
        (chain, chain_origin): (&[u8], &Origin),
        (key, key_origin): (&[u8], &Origin),
    ) -> Result<Self, TlsError> {
        let chain = pem::certificates(chain, chain_origin)?;
        let key = pem::key(key, key_origin)?;
        let signing = provider().key_provider.load_private_key(key);
        let signing = signing
            .map_err(|error| TlsError::new(key_origin, Problem::Rustls("private key", error)))?;
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            Ok(()) => Ok(Self(Arc::new(certified))),
            Err(rustls::Error::InconsistentKeys(_)) => {
                let problem = Problem::Mismatch(chain_origin.clone());
                Err(TlsError::new(key_origin, problem))
            }
            Err(error) => {
                let problem = Problem::Rustls(pem::CERTIFICATE, error);
                Err(TlsError::new(chain_origin, problem))
            }
        }
    }

    /// What rustls presents.
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key must not reach a log.
        f.debug_struct("Certificate")
            .field("chain", &self.0.cert.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_certificates::{Authority, Made};
    use super::*;

    fn made() -> Made {
        Authority::new("root").issue(&["shop.example"])
    }

    #[test]
    fn a_chain_and_its_key_are_read() {
        let made = made();
        let certificate = Certificate::from_pem(&made.chain, &made.key).unwrap();
        assert_eq!(certificate.0.cert.len(), 1);
        assert_eq!(format!("{certificate:?}"), "Certificate { chain: 1, .. }");
        let both = format!("{}{}", made.key, made.chain);
        assert!(Certificate::from_pem(&both, &both).is_ok());
    }

    #[test]
    fn errors_say_what_is_there_and_what_is_not() {
        let (made, other) = (made(), made());
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n\
                         -----END ENCRYPTED PRIVATE KEY-----\n";
        let cut = &made.chain[..made.chain.len() / 2];
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let bad_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (chain, key, wanted) in [
            (
                made.key.as_str(),
                made.key.as_str(),
                "no certificate in PEM form, only: PRIVATE KEY",
            ),
            (
                &made.chain,
                &made.chain,
                "no unencrypted private key in PEM form, only: CERTIFICATE",
            ),
            (&made.chain, encrypted, "only: ENCRYPTED PRIVATE KEY"),
            (
                "",
                &made.key,
                "the chain in memory holds no certificate in PEM form, nor any other",
            ),
            (
                cut,
                &made.key,
                "its end, `-----END CERTIFICATE-----`, is missing",
            ),
            (junk, &made.key, "a certificate that cannot be used"),
            (&made.chain, bad_key, "a private key that cannot be used"),
            (
                &made.chain,
                &other.key,
                "is not the key of the first certificate in the chain",
            ),
        ] {
            let error = Certificate::from_pem(chain, key).unwrap_err().to_string();
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }

    #[test]
    fn a_file_is_named_by_its_path() {
        let error = Certificate::from_pem_files("/nowhere/chain.pem", "/nowhere/key.pem");
        let error = error.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`/nowhere/chain.pem` cannot be read"),
            "{error}"
        );
        assert!(std::error::Error::source(&error).is_some());
    }
}
