//! What a new connection speaks, by its first bytes.

use std::io;

use tokio::io::AsyncReadExt;

use crate::link::BoxLink;

/// What a peer speaks on a port that serves several protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// The session protocol, and whatever is none of the others: its answer to a wrong preface
    /// says what is wrong.
    Session,
    /// A TLS handshake.
    Tls,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// HTTP/1, by a method's letters.
    Http1,
}

/// The first bytes of a connection, which whoever serves it must read before the rest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct First {
    bytes: [u8; FIRST_BYTES],
    count: usize,
}

impl First {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.count]
    }

    /// What these bytes begin, or nothing if one more could make a difference.
    fn protocol(&self) -> Option<Protocol> {
        match self.bytes() {
            [] => None,
            // The content type of a TLS record that holds a handshake, RFC 8446 section 5.1.
            [0x16, ..] => Some(Protocol::Tls),
            // The methods of HTTP/1 with that letter are POST, PUT, PATCH and some of WebDAV's,
            // none of which is `PRI`, which RFC 9113 section 3.4 reserves for this purpose.
            [b'P'] | [b'P', b'R'] => None,
            [b'P', b'R', b'I', ..] => Some(Protocol::Http2),
            [first, ..] if first.is_ascii_uppercase() => Some(Protocol::Http1),
            _ => Some(Protocol::Session),
        }
    }
}

/// Reads until the first bytes tell what the peer speaks; no more than is needed to tell, if the
/// peer sends no more.
///
/// # Errors
/// When the link fails or ends before that. The caller bounds the time.
pub(super) async fn detect(link: &mut BoxLink) -> io::Result<(Protocol, First)> {
    let mut first = First::default();
    loop {
        match link.read(&mut first.bytes[first.count..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => first.count += count,
        }
        if let Some(protocol) = first.protocol() {
            return Ok((protocol, first));
        }
    }
}

/// The longest of the openings, HTTP/2's; what is behind it stays in the link.
const FIRST_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::memory::pair;
    use tokio::io::AsyncWriteExt;

    fn first(text: &[u8]) -> First {
        let mut first = First::default();
        first.bytes[..text.len()].copy_from_slice(text);
        first.count = text.len();
        first
    }

    #[test]
    fn the_first_bytes_tell_the_protocols_apart() {
        let told = [
            (&b"\xd7"[..], Protocol::Session),
            (b"\xd7DMESH\r\n", Protocol::Session),
            (b"\x16\x03\x01", Protocol::Tls),
            (b"PRI", Protocol::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::Http2),
            (b"G", Protocol::Http1),
            (b"POST", Protocol::Http1),
            (b"PROPFIND", Protocol::Http1),
            (b"get", Protocol::Session),
            (b"\0\0\0", Protocol::Session),
        ];
        for (bytes, protocol) in told {
            assert_eq!(first(bytes).protocol(), Some(protocol), "{bytes:?}");
        }
        for undecided in [&b""[..], b"P", b"PR"] {
            assert_eq!(first(undecided).protocol(), None, "{undecided:?}");
        }
    }

    #[tokio::test]
    async fn what_was_read_is_handed_on_and_the_rest_stays() {
        let (mut ours, theirs) = pair();
        let mut theirs: BoxLink = Box::new(theirs);
        ours.write_all(b"P").await.unwrap();
        let detecting = tokio::spawn(async move { (detect(&mut theirs).await, theirs) });
        ours.write_all(b"UT / HTTP/1.1\r\nhost: example\r\n")
            .await
            .unwrap();
        drop(ours);
        let (found, mut theirs) = detecting.await.unwrap();
        let (protocol, first) = found.unwrap();
        assert_eq!(protocol, Protocol::Http1);
        let mut all = first.bytes().to_vec();
        theirs.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"PUT / HTTP/1.1\r\nhost: example\r\n");
    }

    #[tokio::test]
    async fn a_link_that_ends_before_it_has_told_is_an_error() {
        let (mut ours, theirs) = pair();
        let mut theirs: BoxLink = Box::new(theirs);
        ours.write_all(b"PR").await.unwrap();
        drop(ours);
        let error = detect(&mut theirs).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
