//! TLS: certificates, roots, what each side demands of the other, and who the other side is.
//!
//! There is one TLS stack, rustls on aws-lc-rs, and one version, 1.3: both ends are peers of the
//! same age, and what speaks gRPC has had 1.3 for years, so nothing is lost with 1.2 and a class of
//! downgrades is gone. The cryptography is handed to rustls explicitly and never taken from the
//! process, which other libraries may have set to something else.
//!
//! Sessions are not resumed, except over QUIC by those that ask for early data (`tickets`). A resumed
//! handshake skips the certificates, so it would let in a peer whose certificate has expired or
//! whose root was taken away since; connections of a mesh live long, and a whole handshake is a
//! fraction of a millisecond.
//!
//! - `certificate`, `roots`: what is read from PEM.
//! - `live`: values that are replaced while they are in use; `watch`: from files that change.
//! - `server`, `client`: what each side presents and demands.
//! - `verify`: checking what the other side presents; `identity`: its name;
//!   `uris`: the names that rules for SPIFFE IDs count.
//! - `sparing`: keys of QUIC that take room only once they are used.
//! - `explain`: failures in the words of whoever has to mend them.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use tokio::sync::OnceCell;

pub use certificate::Certificate;
pub use client::ClientTls;
pub use error::TlsError;
pub use live::Live;
pub use roots::Roots;
pub use server::ServerTls;

mod certificate;
mod client;
mod error;
pub(crate) mod explain;
pub(crate) mod identity;
mod live;
mod pem;
mod roots;
mod server;
mod sparing;
#[cfg(test)]
pub(crate) mod test_certificates;
mod tickets;
mod uris;
mod verify;
mod watch;

/// What the session is called in the negotiation of protocols (ALPN), over TCP and over QUIC.
pub(crate) const ALPN: &[u8] = b"dreammesh/1";

/// The cryptography of every connection.
///
/// The key exchange that withstands quantum computers comes first, so that what is recorded today
/// cannot be read later; a peer without it is met with one that it has.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let provider = aws_lc_rs::default_provider();
    Arc::new(CryptoProvider {
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..provider
    })
}

/// Waits until random numbers can be had at once.
///
/// aws-lc gathers its first seed from the jitter of the processor's clock, which takes a process some
/// 50 ms of computing, once. Within a handshake it would hold up whatever else runs on that thread.
pub(crate) async fn seeded() {
    static SEEDED: OnceCell<()> = OnceCell::const_new();
    let seed = || async {
        // A failure is the handshake's to report, which is not long in coming.
        let draw = || provider().secure_random.fill(&mut [0]);
        let _ = tokio::task::spawn_blocking(draw).await;
    };
    SEEDED.get_or_init(seed).await;
}
