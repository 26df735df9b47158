//! Handshakes of both sides, and the last words to a peer that is turned away.

use std::io;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::server::{Acceptor, UnbufferedServerConnection};
use rustls::{AlertDescription, ContentType, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::records::{self, Records, Stage};
use super::stream::TlsLink;
use crate::link::{BoxLink, parting};
use crate::tls::explain::Side;
use crate::tls::identity;

/// A link to a client, and what it is to carry.
pub(crate) type Accepted = TlsLink<UnbufferedServerConnection>;

/// Answers a client, whose first bytes may have been read.
///
/// It holds at most [`PENDING_BYTES_MAX`] of what the client sends and rustls's state. A client
/// that is refused is told why, and the caller bounds the time.
///
/// # Errors
/// Says what the client did wrong, or what it does not accept.
pub(crate) async fn accept(
    mut link: BoxLink,
    first: &[u8],
    config: Arc<ServerConfig>,
) -> io::Result<Accepted> {
    let mut incoming = first.to_vec();
    let names_protocol = match read_hello(&mut link, &mut incoming).await {
        Ok(names_protocol) => names_protocol,
        Err(Refusal { error, alert }) => {
            parting::say(&mut link, &alert).await;
            return Err(error);
        }
    };
    if !names_protocol {
        parting::say(&mut link, &alert(AlertDescription::NoApplicationProtocol)).await;
        let what = "the client names no protocol to speak inside of TLS (ALPN)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let connection = UnbufferedServerConnection::new(config);
    let connection = connection.map_err(|error| Side::Server.explain(error))?;
    let mut made = run(link, connection, incoming).await?;
    let identity = identity::of(made.certificates()).map_err(io::Error::other)?;
    made.identify(identity);
    Ok(made)
}

/// Greets a server and makes sure of who it is, and that it agrees on a protocol.
///
/// # Errors
/// Says what the server did wrong, or what it does not accept.
pub(super) async fn connect(
    link: BoxLink,
    connection: UnbufferedClientConnection,
) -> io::Result<TlsLink<UnbufferedClientConnection>> {
    let made = run(link, connection, Vec::new()).await?;
    if made.alpn().is_none() {
        let what = "the server agrees on no protocol inside of TLS (ALPN), \
                    so it is no DreamMesh server";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(made)
}

/// An alert before any handshake, which ends the connection (RFC 8446 section 6).
pub(crate) fn alert(reason: AlertDescription) -> [u8; 7] {
    const FATAL: u8 = 2;
    let [major, minor] = u16::from(ProtocolVersion::TLSv1_2).to_be_bytes();
    let kind = u8::from(ContentType::Alert);
    [kind, major, minor, 0, 2, FATAL, u8::from(reason)]
}

struct Refusal {
    error: io::Error,
    /// What tells the client.
    alert: Vec<u8>,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        let alert = Vec::new();
        Self { error, alert }
    }
}

/// Reads until the client's first message is whole, and says whether it names a protocol.
///
/// rustls would go on without one, and could not end the connection with the reason afterwards.
async fn read_hello(link: &mut BoxLink, incoming: &mut Vec<u8>) -> Result<bool, Refusal> {
    loop {
        if record_is_whole(incoming) {
            // It copies what it reads, so it is not kept while the client is waited for.
            let mut acceptor = Acceptor::default();
            let mut rest = &incoming[..];
            while !rest.is_empty() {
                acceptor.read_tls(&mut rest)?;
                match acceptor.accept() {
                    Ok(None) => {}
                    Ok(Some(accepted)) => return Ok(accepted.client_hello().alpn().is_some()),
                    Err((error, mut alert)) => {
                        let error = Side::Server.explain(error);
                        let mut refusal = Refusal::from(error);
                        alert.write_all(&mut refusal.alert)?;
                        if refusal.alert.is_empty() {
                            refusal.alert = self::alert(AlertDescription::DecodeError).to_vec();
                        }
                        return Err(refusal);
                    }
                }
            }
        }
        read_more(link, incoming).await?;
    }
}

/// Whether the first record has arrived; if it cannot be one, that is for rustls to say.
fn record_is_whole(bytes: &[u8]) -> bool {
    match bytes {
        [_, _, _, high, low, rest @ ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            rest.len() >= length || length > PENDING_BYTES_MAX
        }
        _ => false,
    }
}

async fn run<C: Records>(
    mut link: BoxLink,
    mut connection: C,
    mut incoming: Vec<u8>,
) -> io::Result<TlsLink<C>> {
    let (mut outgoing, mut plain) = (Vec::new(), Vec::new());
    loop {
        let taken = |bytes: &[u8]| plain.extend_from_slice(bytes);
        let (used, stage) = records::advance(&mut connection, &mut incoming, &mut outgoing, taken);
        incoming.drain(..used);
        let stage = match stage {
            Ok(stage) => stage,
            Err(error) => {
                parting::say(&mut link, &outgoing).await;
                return Err(C::SIDE.explain(error));
            }
        };
        if !outgoing.is_empty() {
            link.write_all(&outgoing).await?;
            link.flush().await?;
            outgoing = Vec::new();
        }
        match stage {
            Stage::Handshake => read_more(&mut link, &mut incoming).await?,
            Stage::Open => {
                incoming.shrink_to_fit();
                return Ok(TlsLink::new(link, connection, incoming, plain));
            }
            Stage::Ended => return Err(ended_early()),
        }
    }
}

/// Reads once, within the bound on what may wait to be understood.
async fn read_more(link: &mut BoxLink, incoming: &mut Vec<u8>) -> io::Result<()> {
    let room = PENDING_BYTES_MAX.saturating_sub(incoming.len());
    if room == 0 {
        let what = "a message of the TLS handshake is longer than 8 KiB";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    incoming.reserve_exact(room.min(READ_BYTES));
    let read = (&mut *link).take(room as u64).read_buf(incoming).await?;
    if read == 0 {
        return Err(ended_early());
    }
    Ok(())
}

fn ended_early() -> io::Error {
    let what = "the peer closed the link during the TLS handshake";
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}

/// What may have arrived of a message that is not whole. A hello is below 2 KiB, and a client's
/// chain of three certificates with RSA keys of 4096 bits below 6.
const PENDING_BYTES_MAX: usize = 8 * 1024;
/// A hello comes in one read.
const READ_BYTES: usize = 2 * 1024;
