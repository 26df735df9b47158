//! How an HTTP/2 connection begins.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::link::BoxLink;

/// The client's connection preface, RFC 9113 section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How a connection began.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    pub(super) bytes: Vec<u8>,
    /// Where the preface and the client's SETTINGS end; `settings_end <= bytes.len()`.
    pub(super) settings_end: usize,
}

/// Reads the preface and the client's SETTINGS to their end, some of which may have been read
/// already, and what has come with them; if that is part of a frame or of a header block, also the
/// rest of it.
///
/// Until then a connection costs no more than its link, so that half a beginning holds next to
/// nothing. What would make it hold more is left in the link. The caller bounds the time.
///
/// # Errors
/// When the link fails or ends, or brings something else.
pub(super) async fn read(link: &mut BoxLink, first: &[u8]) -> io::Result<Beginning> {
    let mut bytes = first.to_vec();
    let settings_end = loop {
        let wanted = wanted(&bytes)?;
        let count = bytes.len();
        if count == wanted {
            break wanted;
        }
        bytes.resize(wanted, 0);
        let more = link.read(&mut bytes[count..]).await?;
        if more == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(count + more);
    };
    while bytes.len() + PIECE_BYTES <= HELD_BYTES_MAX {
        let is_whole = is_whole(&bytes[settings_end..]);
        let more = poll_fn(|cx| match poll_more(link, &mut bytes, cx) {
            // Nothing has begun for which there would be a reason to wait.
            Poll::Pending if is_whole => Poll::Ready(Ok(0)),
            polled => polled,
        });
        match more.await? {
            0 if is_whole => break,
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
    }
    Ok(Beginning {
        bytes,
        settings_end,
    })
}

/// Reads a piece of what there is.
fn poll_more(
    link: &mut BoxLink,
    bytes: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut piece = [0; PIECE_BYTES];
    let mut piece = ReadBuf::new(&mut piece);
    ready!(Pin::new(link).poll_read(cx, &mut piece))?;
    bytes.extend_from_slice(piece.filled());
    Poll::Ready(Ok(piece.filled().len()))
}

/// Whether these frames end with one, and outside of a header block. Data may take its time.
fn is_whole(mut frames: &[u8]) -> bool {
    let mut in_block = false;
    while let Some((&[a, b, c, kind, flags, ..], rest)) = frames.split_first_chunk::<HEADER_LEN>() {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        match kind {
            DATA => return true,
            HEADERS | CONTINUATION => in_block = flags & END_HEADERS == 0,
            _ => {}
        }
        let Some(behind) = rest.get(length..) else {
            return false;
        };
        frames = behind;
    }
    frames.is_empty() && !in_block
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
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
/// Sixty-four of them, of which some ten are defined.
const SETTINGS_BYTES_MAX: usize = 64 * 6;
/// Most first requests have a tenth of it. Beyond it `h2` takes what comes, whose state is some
/// 20 KiB.
const HELD_BYTES_MAX: usize = 8 * 1024;
const PIECE_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::memory::pair;
    use tokio::io::AsyncWriteExt;

    /// What it takes for the beginning, and what it leaves, of a link that is open or closed then.
    async fn read_in_two(text: &[u8], at: usize, open: bool) -> io::Result<(Beginning, Vec<u8>)> {
        let (mut ours, theirs) = pair();
        let mut theirs: BoxLink = Box::new(theirs);
        ours.write_all(&text[at..]).await.unwrap();
        let mut ours = Some(ours).filter(|_| open);
        let begun = read(&mut theirs, &text[..at]).await?;
        ours.take();
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await?;
        Ok((begun, rest))
    }

    fn beginning(settings: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(6 * settings).unwrap().to_be_bytes();
        let header = [a, b, c, SETTINGS, 0, 0, 0, 0, 0];
        [&PREFACE[..], &header, &vec![0; 6 * settings]].concat()
    }

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(length).unwrap().to_be_bytes();
        [&[a, b, c, kind, flags, 0, 0, 0, 1][..], &vec![7; length]].concat()
    }

    #[tokio::test]
    async fn wherever_it_was_cut_the_beginning_is_read_to_its_end() {
        for settings in [0, 3, 64] {
            let begun = beginning(settings);
            for rest in [vec![], frame(HEADERS, END_HEADERS, 700), frame(6, 0, 8)] {
                let text = [&begun[..], &rest].concat();
                for at in [0, 3, 23, 24] {
                    for open in [false, true] {
                        let (read, left) = read_in_two(&text, at, open).await.unwrap();
                        assert_eq!((&read.bytes, &left[..]), (&text, &b""[..]), "{at}");
                        assert_eq!(read.settings_end, begun.len());
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn half_a_frame_or_block_is_waited_for_and_half_of_data_is_not() {
        let begun = beginning(1);
        let block = [frame(HEADERS, 0, 20), frame(CONTINUATION, END_HEADERS, 20)].concat();
        for whole in [frame(HEADERS, END_HEADERS, 20), block, frame(8, 0, 4)] {
            for cut in 1..whole.len() {
                let text = [&begun[..], &whole[..cut]].concat();
                let half = read_in_two(&text, 3, false).await;
                assert_eq!(half.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
                let (mut ours, theirs) = pair();
                let mut theirs: BoxLink = Box::new(theirs);
                ours.write_all(&text[3..]).await.unwrap();
                let reading = read(&mut theirs, &text[..3]);
                let writing = async {
                    tokio::task::yield_now().await;
                    ours.write_all(&whole[cut..]).await.unwrap();
                };
                let (read, ()) = tokio::join!(reading, writing);
                assert_eq!(read.unwrap().bytes, [&begun[..], &whole].concat(), "{cut}");
            }
        }
        let data = [begun.clone(), frame(DATA, 0, 20)].concat();
        let (read, _) = read_in_two(&data[..data.len() - 1], 3, true).await.unwrap();
        assert_eq!(read.bytes, data[..data.len() - 1]);
    }

    #[tokio::test]
    async fn no_more_than_so_much_is_held() {
        let begun = beginning(0);
        for (bytes, is_taken) in [(0, true), (1, false)] {
            let held = HELD_BYTES_MAX - PIECE_BYTES + bytes;
            let text = [&begun[..], &frame(HEADERS, END_HEADERS, HELD_BYTES_MAX)].concat();
            let first = &text[..held];
            let read = read_in_two(first, 24, false).await;
            // One that is held is waited for, and here it does not come.
            assert_eq!(read.is_err(), is_taken, "{bytes}");
            assert!(read.is_err() || read.unwrap().0.bytes.len() <= HELD_BYTES_MAX);
        }
    }

    #[tokio::test]
    async fn anything_else_is_an_error() {
        let mut ping = beginning(0);
        ping[PREFACE.len() + 3] = 6;
        let text = b"PRI /hello HTTP/1.1\r\n\r\n\r\n".to_vec();
        for unlike in [text, ping, beginning(65)] {
            let error = read_in_two(&unlike, 3, false).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        for count in [23, 24, 30, 35] {
            let half = read_in_two(&beginning(1)[..count], 3, false).await;
            assert_eq!(half.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
