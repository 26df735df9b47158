//! How an HTTP/2 connection begins.

use std::io;

use tokio::io::AsyncReadExt;

use crate::link::BoxLink;

/// The client's connection preface, RFC 9113 section 3.4.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads the preface to its end, some of which may have been read already.
///
/// Until then a connection costs no more than its link, so that half a preface holds next to
/// nothing. The caller bounds the time.
///
/// # Errors
/// When the link fails or ends, or brings something else.
pub(super) async fn read(link: &mut BoxLink, first: &[u8]) -> io::Result<()> {
    let mut bytes = [0; PREFACE.len()];
    let mut count = first.len();
    bytes
        .get_mut(..count)
        .ok_or(io::ErrorKind::InvalidData)?
        .copy_from_slice(first);
    while bytes[..count] == PREFACE[..count] {
        if count == PREFACE.len() {
            return Ok(());
        }
        match link.read(&mut bytes[count..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => count += more,
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "it began like HTTP/2 and went on differently",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::memory::pair;
    use tokio::io::AsyncWriteExt;

    async fn read_in_two(text: &[u8], at: usize) -> io::Result<Vec<u8>> {
        let (mut ours, theirs) = pair();
        let mut theirs: BoxLink = Box::new(theirs);
        ours.write_all(&text[at..]).await.unwrap();
        drop(ours);
        read(&mut theirs, &text[..at]).await?;
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await?;
        Ok(rest)
    }

    #[tokio::test]
    async fn wherever_it_was_cut_the_preface_is_read_and_the_rest_stays() {
        let text = [&PREFACE[..], b"\0\0\0\x04"].concat();
        for at in [0, 3, 23, 24] {
            let rest = read_in_two(&text, at).await.unwrap();
            assert_eq!(rest, b"\0\0\0\x04", "{at}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_an_error() {
        let unlike = read_in_two(b"PRI /hello HTTP/1.1\r\n\r\n\r\n", 3).await;
        assert_eq!(unlike.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let half = read_in_two(&PREFACE[..23], 3).await;
        assert_eq!(half.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
