//! What secures a run on one machine: a certificate made for it, and the root that clients believe.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use dreammesh::tls::{Certificate, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

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
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let names = ["localhost", "127.0.0.1", "::1", "foo.test.google.fr"];
    let key = KeyPair::generate()?;
    let own = CertificateParams::new(names.map(str::to_owned))?.signed_by(&key, &authority)?;
    fs::write(root, authority.pem())?;
    let certificate = Certificate::from_pem(own.pem().as_bytes(), key.serialize_pem().as_bytes())?;
    Ok(ServerTls::new(certificate))
}
