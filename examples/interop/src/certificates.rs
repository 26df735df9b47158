//! What secures a run on one machine: a certificate made for it, and the root that clients believe.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dreammesh::tls::{Certificate, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Where the root of the server on that port is left for clients, in the directory of temporary files.
pub fn root_path(port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("dreammesh-interop-{port}.pem"))
}

/// Makes a root, writes it to that path, and gives a certificate that leads to it.
///
/// The certificate is for this host, and for the name that gRPC's own tests use.
///
/// # Errors
/// When the root cannot be written.
pub fn make(root: &PathBuf) -> Result<ServerTls, Box<dyn Error>> {
    let mut authority = CertificateParams::new([])?;
    // Some clients take a certificate whose issuer has its own name for one that is self-signed.
    let name = "DreamMesh interoperability tests";
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let names = ["localhost", "127.0.0.1", "::1", "foo.test.google.fr"];
    let key = KeyPair::generate()?;
    let own = CertificateParams::new(names.map(str::to_owned))?.signed_by(&key, &authority)?;
    fs::write(root, pem("CERTIFICATE", authority.der()))?;
    let chain = pem("CERTIFICATE", own.der());
    let certificate = Certificate::from_pem(chain, pem("PRIVATE KEY", key.serialized_der()))?;
    Ok(ServerTls::new(certificate))
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
