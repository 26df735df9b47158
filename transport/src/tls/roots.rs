//! The certificates that a side trusts.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::error::{Origin, Problem, TlsError};
use super::{pem, provider};

/// The authorities whose certificates are believed.
///
/// There is no default: a mesh has an authority of its own, and to believe a hundred others besides
/// would undo it. Who wants those of the system names its file, such as
/// `/etc/ssl/certs/ca-certificates.crt`.
#[derive(Clone)]
pub struct Roots {
    store: Arc<RootCertStore>,
    /// Made when first used, since most processes verify in one direction only.
    clients: OnceLock<Arc<dyn ClientCertVerifier>>,
    servers: OnceLock<Arc<WebPkiServerVerifier>>,
}

impl Roots {
    /// Reads every certificate of a file.
    ///
    /// # Errors
    /// When the file cannot be read, holds no certificate, or holds one that cannot be used.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, TlsError> {
        let path = path.as_ref();
        Self::from_part(&pem::read(path)?, &Origin::file(path))
    }

    /// Reads every certificate of a text.
    ///
    /// # Errors
    /// When it holds no certificate, or one that cannot be used.
    pub fn from_pem(text: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        Self::from_part(text.as_ref(), &Origin::Memory("the text in memory"))
    }

    /// Both these and those, as while one authority follows another.
    #[must_use]
    pub fn and(self, others: &Self) -> Self {
        let mut store = Arc::unwrap_or_clone(self.store);
        store.roots.extend(others.store.roots.iter().cloned());
        Self::of(store)
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    pub(super) fn from_part(bytes: &[u8], origin: &Origin) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in pem::certificates(bytes, origin)? {
            store.add(certificate).map_err(|error| {
                TlsError::new(origin, Problem::Rustls("root certificate", error))
            })?;
        }
        Ok(Self::of(store))
    }

    fn of(store: RootCertStore) -> Self {
        Self {
            store: Arc::new(store),
            clients: OnceLock::new(),
            servers: OnceLock::new(),
        }
    }

    pub(super) fn store(&self) -> &RootCertStore {
        &self.store
    }

    /// What checks certificates of clients.
    pub(super) fn clients(&self) -> &Arc<dyn ClientCertVerifier> {
        self.clients.get_or_init(|| {
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.store), provider())
                .build()
                .expect("it fails only without roots or with revocation lists")
        })
    }

    /// What checks certificates of servers.
    pub(super) fn servers(&self) -> &Arc<WebPkiServerVerifier> {
        self.servers.get_or_init(|| {
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.store), provider())
                .build()
                .expect("it fails only without roots or with revocation lists")
        })
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots")
            .field("count", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_certificates::Authority;
    use super::*;

    #[test]
    fn every_certificate_of_a_text_counts() {
        let (one, two) = (Authority::new("one").pem(), Authority::new("two").pem());
        assert_eq!(Roots::from_pem(&one).unwrap().len(), 1);
        assert_eq!(Roots::from_pem(format!("{one}{two}")).unwrap().len(), 2);
        let both = Roots::from_pem(&one)
            .unwrap()
            .and(&Roots::from_pem(&two).unwrap());
        assert_eq!(both.len(), 2);
    }

    #[test]
    fn a_text_without_certificates_is_an_error() {
        let error = Roots::from_pem("nothing").unwrap_err().to_string();
        assert!(error.contains("no certificate in PEM form"), "{error}");
        let error = Roots::from_pem_file("/nowhere/ca.pem")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`/nowhere/ca.pem` cannot be read"),
            "{error}"
        );
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = Roots::from_pem(junk).unwrap_err().to_string();
        assert!(
            error.contains("root certificate that cannot be used"),
            "{error}"
        );
    }
}
