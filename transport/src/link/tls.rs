//! TLS over another link, usually TCP.
//!
//! rustls decides and encrypts, and keeps no bytes: its unbuffered interface works on slices that
//! it is given. So one set of large buffers a thread serves every connection, a batch is read and
//! written with as few system calls as in plaintext, and a connection that is idle holds no more
//! than an incomplete record.
//!
//! - `records`: one step of rustls, for either side; `scratch`: the buffers of a thread.
//! - `handshake`: making a link; `stream`: the link that comes of it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use dreammesh_core::call::Identity;
use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;

use super::{BoxLink, tcp};
use crate::tls::explain::Side;
use crate::tls::{ALPN, ClientTls, TlsError};

pub(crate) use handshake::{Accepted, accept, alert};

mod handshake;
mod records;
mod scratch;
mod stream;
#[cfg(test)]
mod tests;

/// How a client secures its links.
#[derive(Clone, Debug)]
pub(crate) struct Dialler {
    tls: ClientTls,
    config: Arc<ClientConfig>,
}

impl Dialler {
    /// For links that carry a session, or plain gRPC to a server that speaks nothing else.
    pub(crate) fn new(tls: ClientTls) -> Self {
        let config = tls.rustls_client(&[ALPN, HTTP]);
        Self { tls, config }
    }

    /// For links inside of which HTTP/2 is spoken, by a proxy as like as not.
    pub(crate) fn for_http(tls: ClientTls) -> Self {
        let config = tls.rustls_client(&[HTTP]);
        Self { tls, config }
    }

    /// Says whether a host can be verified at all, before anything is dialled.
    pub(crate) fn check_host(&self, host: &str) -> Result<(), TlsError> {
        // The address stands in for a host only where the host is not verified.
        let anywhere = IpAddr::from([0, 0, 0, 0]);
        self.tls.server_name_for(host, anywhere).map(drop)
    }

    /// Connects to the host and makes sure that it is who it should be; what it speaks is its
    /// choice of what was offered.
    pub(crate) async fn dial(
        &self,
        host: &str,
        port: u16,
        options: &tcp::TcpOptions,
    ) -> io::Result<(BoxLink, Spoken)> {
        let stream = tcp::connect(host, port, options).await?;
        let name = self.tls.server_name_for(host, stream.peer_addr()?.ip());
        let name = name.map_err(io::Error::other)?;
        self.secure(Box::new(stream), name).await
    }

    async fn secure(
        &self,
        link: BoxLink,
        name: ServerName<'static>,
    ) -> io::Result<(BoxLink, Spoken)> {
        let connection = UnbufferedClientConnection::new(Arc::clone(&self.config), name.clone());
        let connection = connection.map_err(|error| Side::Client.explain(error))?;
        let mut made = handshake::connect(link, connection).await?;
        let identity: Identity = self.tls.identity_of_server(made.certificates(), &name);
        made.identify(Some(identity));
        let spoken = match made.alpn() {
            Some(HTTP) => Spoken::Http,
            _ => Spoken::Session,
        };
        Ok((Box::new(made), spoken))
    }
}

/// What a server has agreed to speak inside of TLS; the handshake proves that it was the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Session,
    Http,
}

/// The name of HTTP/2 inside of TLS.
const HTTP: &[u8] = b"h2";
