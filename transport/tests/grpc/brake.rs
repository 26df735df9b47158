//! Makes a way long for signs of life alone, so that windows can be measured without a clock.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

/// The way between the side under test and a peer, whose end is given back.
///
/// Whatever goes passes at once, but for the PINGs of the side under test: each waits until so many
/// bytes have come towards that side. `greeting` bytes stand before its first frame.
pub(crate) fn brake<S>(near: S, greeting: usize, bytes: u64) -> DuplexStream
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (far, peer) = tokio::io::duplex(256 * 1024);
    tokio::spawn(async move {
        let (mut from_near, mut to_near) = tokio::io::split(near);
        let (mut from_far, mut to_far) = tokio::io::split(far);
        let mut way = Way {
            greeting,
            seen: BytesMut::new(),
            held: None,
            passed: 0,
        };
        let mut came = BytesMut::with_capacity(64 * 1024);
        loop {
            tokio::select! {
                biased;
                read = from_near.read_buf(&mut way.seen) => {
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                    while let Some(frame) = way.next_frame(bytes) {
                        if to_far.write_all(&frame).await.is_err() {
                            return;
                        }
                    }
                }
                read = from_far.read_buf(&mut came) => {
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                    way.passed += came.len() as u64;
                    let ping = way.held.take_if(|(due, _)| *due <= way.passed);
                    if to_near.write_all_buf(&mut came).await.is_err() {
                        return;
                    }
                    let Some((_, ping)) = ping else { continue };
                    if to_far.write_all(&ping).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    peer
}

struct Way {
    greeting: usize,
    /// What was sent by the side under test and has not passed.
    seen: BytesMut,
    /// A PING, and how much has to have come until it passes.
    held: Option<(u64, BytesMut)>,
    passed: u64,
}

impl Way {
    /// What is to pass next.
    fn next_frame(&mut self, bytes: u64) -> Option<BytesMut> {
        loop {
            if self.greeting > 0 && self.seen.len() >= self.greeting {
                return Some(self.seen.split_to(std::mem::take(&mut self.greeting)));
            }
            if self.greeting > 0 || self.seen.len() < 9 {
                return None;
            }
            let [a, b, c, kind, flags, ..] = self.seen[..9] else {
                return None;
            };
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            if self.seen.len() < 9 + length {
                return None;
            }
            let frame = self.seen.split_to(9 + length);
            if (kind, flags) != (PING, 0) {
                return Some(frame);
            }
            self.held = Some((self.passed + bytes, frame));
        }
    }
}

const PING: u8 = 6;
