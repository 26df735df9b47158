//! What secures a run on one machine: a certificate made for it, and the root that clients believe.

use std::error::Error;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dreammesh::tls::{Certificate, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Where the root of the server on that port is left for clients, in the directory of temporary files.
pub fn root_path(port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("dreammesh-interop-{port}.pem"))
}

/// A certificate, its key and the root that it leads to, as PEM.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The root.
    pub root: String,
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

/// Makes a certificate, and gives the root that it leads to as PEM.
///
/// # Errors
/// When the system gives no random numbers.
pub fn make() -> Result<(ServerTls, String), Box<dyn Error>> {
    let issued = issue()?;
    let certificate = Certificate::from_pem(issued.chain, issued.key)?;
    Ok((ServerTls::new(certificate), issued.root))
}

/// Makes a root, and a certificate for this host and for the name that gRPC's own tests use.
///
/// # Errors
/// When the system gives no random numbers.
pub fn issue() -> Result<Issued, rcgen::Error> {
    let mut authority = CertificateParams::new([])?;
    // Some clients take a certificate whose issuer has its own name for one that is self-signed.
    let name = "DreamMesh interoperability tests";
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let names = ["localhost", "127.0.0.1", "::1", "foo.test.google.fr"];
    let key = KeyPair::generate()?;
    let own = CertificateParams::new(names.map(str::to_owned))?.signed_by(&key, &authority)?;
    Ok(Issued {
        root: pem("CERTIFICATE", authority.der()),
        chain: pem("CERTIFICATE", own.der()),
        key: pem("PRIVATE KEY", key.serialized_der()),
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (at, character) in text.chars().enumerate() {
        // Some readers take no longer lines.
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem + &format!("\n-----END {label}-----\n")
}
