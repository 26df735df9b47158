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
                    so it is neither a DreamMesh server nor one of gRPC";
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
    let mut scan = Scan::default();
    loop {
        let found = scan.look(incoming);
        if found != Found::Part {
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
            // What begins with something else goes on with nothing that would be taken.
            let what = "the client does not begin with a hello of TLS";
            return Err(Refusal {
                error: io::Error::new(io::ErrorKind::InvalidData, what),
                alert: alert(AlertDescription::UnexpectedMessage).to_vec(),
            });
        }
        read_more(link, incoming).await?;
    }
}

/// How far the client's first message has come.
///
/// rustls takes it apart once, when all of it is there: who sends it in a thousand pieces does not
/// have it looked at a thousand times.
#[derive(Debug, Default)]
struct Scan {
    /// Where the next record begins; what is before it is whole.
    next: usize,
    /// What those records hold of the message.
    held: usize,
    /// The first bytes of the message: its kind and its length (RFC 8446 section 4).
    head: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Part,
    Whole,
    /// No handshake; what is wrong is for rustls to say.
    Strange,
}

impl Scan {
    /// Looks at what has come since the last look, which is more of the same bytes.
    fn look(&mut self, bytes: &[u8]) -> Found {
        while let Some([kind, major, _, high, low, rest @ ..]) = bytes.get(self.next..) {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if ContentType::from(*kind) != ContentType::Handshake
                || *major != TLS_MAJOR
                || length > RECORD_BYTES_MAX
            {
                return Found::Strange;
            }
            let Some(payload) = rest.get(..length) else {
                return Found::Part;
            };
            self.next += RECORD_HEAD_BYTES + length;
            self.held += length;
            let missing = MESSAGE_HEAD_BYTES - self.head.len();
            self.head.extend(payload.iter().take(missing));
            if self.head.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
                return Found::Strange;
            }
            if let [_, high, middle, low] = self.head[..] {
                let length = u32::from_be_bytes([0, high, middle, low]) as usize;
                if self.held >= MESSAGE_HEAD_BYTES + length {
                    return Found::Whole;
                }
            }
        }
        Found::Part
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
/// Kind, version and length of a record.
const RECORD_HEAD_BYTES: usize = 5;
/// RFC 8446 section 5.1.
const RECORD_BYTES_MAX: usize = 1 << 14;
/// The first byte of all versions of TLS, which a record begins with.
const TLS_MAJOR: u8 = 3;
/// The kind of a client's first message.
const CLIENT_HELLO: u8 = 1;
/// Kind and length of a message.
const MESSAGE_HEAD_BYTES: usize = 4;
/// A hello comes in one read.
const READ_BYTES: usize = 2 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &[u8]) -> Vec<u8> {
        [&[0x16, 3, 1, 0, payload.len() as u8], payload].concat()
    }

    #[test]
    fn a_message_in_a_thousand_pieces_is_taken_apart_once() {
        let message = [&[1, 0, 4, 0][..], &[7; 1024]].concat();
        for piece in [1, 3, 4, 5, 255] {
            let records: Vec<_> = message.chunks(piece).flat_map(record).collect();
            let mut scan = Scan::default();
            for end in 0..records.len() {
                assert_eq!(scan.look(&records[..end]), Found::Part, "{piece}: {end}");
            }
            assert_eq!(scan.look(&records), Found::Whole, "{piece}");
        }
        let mut all_at_once = record(&message[..5]);
        all_at_once.extend(record(&[]));
        all_at_once.extend(message[5..].chunks(200).flat_map(record));
        assert_eq!(Scan::default().look(&all_at_once), Found::Whole);
    }

    #[test]
    fn what_is_no_handshake_is_known_by_its_first_record() {
        for strange in [
            [0x15, 3, 1, 0, 2],
            [0x16, 2, 1, 0, 2],
            [0x16, 3, 1, 0x40, 1],
        ] {
            assert_eq!(
                Scan::default().look(&strange),
                Found::Strange,
                "{strange:?}"
            );
        }
        assert_eq!(Scan::default().look(&record(b"hello")), Found::Strange);
        assert_eq!(Scan::default().look(&[0x16, 3, 1, 0x40, 0]), Found::Part);
    }
}
