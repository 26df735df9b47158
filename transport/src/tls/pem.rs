//! Reading PEM, with errors that say what was there instead.

use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::{Origin, Problem, TlsError};

/// Reads a file of certificates or keys.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::new(&Origin::file(path), Problem::Io(error)))
}

/// Every certificate of a text, of which there is at least one.
pub(super) fn certificates(
    bytes: &[u8],
    origin: &Origin,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let found = found.map_err(|error| broken(CERTIFICATE, &error, origin))?;
    if found.is_empty() {
        let problem = Problem::Missing(CERTIFICATE, sections(bytes));
        return Err(TlsError::new(origin, problem));
    }
    Ok(found)
}

/// The first private key of a text.
pub(super) fn key(bytes: &[u8], origin: &Origin) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::new(origin, Problem::Missing(KEY, sections(bytes))),
        error => broken(KEY, &error, origin),
    })
}

fn broken(what: &'static str, error: &pem::Error, origin: &Origin) -> TlsError {
    let why = match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let label = String::from_utf8_lossy(end_marker);
            format!("its end, `-----END {label}-----`, is missing")
        }
        pem::Error::IllegalSectionStart { line } => {
            format!("the line `{}`", String::from_utf8_lossy(line).trim_end())
        }
        error => error.to_string(),
    };
    TlsError::new(origin, Problem::Malformed(what, why))
}

/// The labels of the sections of a text, for messages; of a long text, the first few.
fn sections(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("-----BEGIN ")?
                .strip_suffix("-----")
        })
        .map(|label| label.chars().take(LABEL_CHARS_MAX).collect())
        .take(SECTIONS_NAMED_MAX)
        .collect()
}

pub(super) const CERTIFICATE: &str = "certificate";
/// Keys that need a passphrase have another label, and so are shown as what was found instead.
pub(super) const KEY: &str = "unencrypted private key";
/// More would make a message that nobody reads.
const SECTIONS_NAMED_MAX: usize = 4;
/// The longest label in use is `ENCRYPTED PRIVATE KEY`.
const LABEL_CHARS_MAX: usize = 40;
