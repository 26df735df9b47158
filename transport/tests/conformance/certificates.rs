//! Certificates for media that need them, made anew for each process.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dreammesh_transport::tls::{Certificate, ClientTls, Roots, ServerTls};

/// What a server presents whose address is on loopback, and what a client believes.
pub(crate) fn pair() -> (ServerTls, ClientTls) {
    static PAIR: OnceLock<(ServerTls, ClientTls)> = OnceLock::new();
    PAIR.get_or_init(make).clone()
}

fn make() -> (ServerTls, ClientTls) {
    let names = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let chain = pem("CERTIFICATE", made.cert.der());
    let key = pem("PRIVATE KEY", made.signing_key.serialized_der());
    let certificate = Certificate::from_pem(&chain, &key).unwrap();
    let roots = Roots::from_pem(&chain).unwrap();
    (ServerTls::new(certificate), ClientTls::new(roots))
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}
