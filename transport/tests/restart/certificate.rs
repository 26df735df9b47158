//! The certificate of all servers here, made by the test and handed to their processes.

use dreammesh_transport::tls::{Certificate, ClientTls, Roots, ServerTls};

use crate::authority::Authority;

/// The variables that hold the chain and the key.
pub(crate) const CHAIN: &str = "RESTART_CHAIN";
pub(crate) const KEY: &str = "RESTART_KEY";

/// A chain, its key and whom to believe, as PEM.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    roots: String,
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Made {
    pub(crate) fn new() -> Self {
        let authority = Authority::new("root");
        let issued = authority.issue(&["127.0.0.1", "::1", "localhost"]);
        Self {
            roots: authority.pem(),
            chain: issued.chain,
            key: issued.key,
        }
    }

    pub(crate) fn client(&self) -> ClientTls {
        ClientTls::new(Roots::from_pem(&self.roots).unwrap())
    }
}

/// What a server's process was handed.
pub(crate) fn server() -> ServerTls {
    let [chain, key] = [CHAIN, KEY].map(|name| std::env::var(name).unwrap());
    ServerTls::new(Certificate::from_pem(chain, key).unwrap())
}
