//! How an HTTP/2 connection begins.

use std::io;

use tokio::io::AsyncReadExt;

use crate::link::BoxLink;

/// The client's connection preface, RFC 9113 section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads the preface and the client's SETTINGS to their end, some of which may have been read
/// already, and hands them out; nothing behind them is read.
///
/// Until then a connection costs no more than its link, so that half a beginning holds next to
/// nothing. The caller bounds the time.
///
/// # Errors
/// When the link fails or ends, or brings something else.
pub(super) async fn read(link: &mut BoxLink, first: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = first.to_vec();
    loop {
        let wanted = wanted(&bytes)?;
        let count = bytes.len();
        if count == wanted {
            return Ok(bytes);
        }
        bytes.resize(wanted, 0);
        let more = link.read(&mut bytes[count..]).await?;
        if more == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(count + more);
    }
}

/// How many bytes are wanted in all, as far as these tell.
fn wanted(bytes: &[u8]) -> io::Result<usize> {
    let unlike = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    let count = bytes.len().min(PREFACE.len());
    if bytes[..count] != PREFACE[..count] {
        return unlike("it began like HTTP/2 and went on differently");
    }
    let header = &bytes[count..];
    let Some(&[a, b, c, kind, ..]) = header.first_chunk::<HEADER_LEN>() else {
        return Ok(PREFACE.len() + HEADER_LEN);
    };
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    if kind != SETTINGS {
        return unlike("its first frame is not SETTINGS");
    }
    if length > SETTINGS_BYTES_MAX {
        return unlike("its SETTINGS are too many");
    }
    Ok(PREFACE.len() + HEADER_LEN + length)
}

/// RFC 9113 section 4.1: length, type, flags, stream.
const HEADER_LEN: usize = 9;
const SETTINGS: u8 = 4;
/// Sixty-four of them, of which some ten are defined.
const SETTINGS_BYTES_MAX: usize = 64 * 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::memory::pair;
    use tokio::io::AsyncWriteExt;

    /// What it takes for the beginning, and what it leaves.
    async fn read_in_two(text: &[u8], at: usize) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let (mut ours, theirs) = pair();
        let mut theirs: BoxLink = Box::new(theirs);
        ours.write_all(&text[at..]).await.unwrap();
        drop(ours);
        let begun = read(&mut theirs, &text[..at]).await?;
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await?;
        Ok((begun, rest))
    }

    fn beginning(settings: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(6 * settings).unwrap().to_be_bytes();
        let header = [a, b, c, SETTINGS, 0, 0, 0, 0, 0];
        [&PREFACE[..], &header, &vec![0; 6 * settings]].concat()
    }

    #[tokio::test]
    async fn wherever_it_was_cut_the_beginning_is_read_and_the_rest_stays() {
        for settings in [0, 3, 64] {
            let begun = beginning(settings);
            let text = [&begun[..], b"more"].concat();
            for at in [0, 3, 23, 24] {
                let read = read_in_two(&text, at).await.unwrap();
                assert_eq!(read, (begun.clone(), b"more".to_vec()), "{at}");
            }
        }
    }

    #[tokio::test]
    async fn anything_else_is_an_error() {
        let mut ping = beginning(0);
        ping[PREFACE.len() + 3] = 6;
        let text = b"PRI /hello HTTP/1.1\r\n\r\n\r\n".to_vec();
        for unlike in [text, ping, beginning(65)] {
            let error = read_in_two(&unlike, 3).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        for count in [23, 24, 30, 35] {
            let half = read_in_two(&beginning(1)[..count], 3).await;
            assert_eq!(half.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
