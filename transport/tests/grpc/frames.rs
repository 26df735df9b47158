//! Frames of HTTP/2 made and read by hand, for what no server of it can be brought to do.

use h2::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(crate) fn goaway(last: u32, reason: Reason, data: &[u8]) -> Vec<u8> {
    let payload = [
        &last.to_be_bytes()[..],
        &u32::from(reason).to_be_bytes(),
        data,
    ]
    .concat();
    frame(7, 0, 0, &payload)
}

/// Takes the preface and says that this speaks HTTP/2.
pub(crate) async fn greet(stream: &mut TcpStream) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let hello = [frame(SETTINGS, 0, 0, b""), frame(SETTINGS, ACK, 0, b"")].concat();
    stream.write_all(&hello).await.unwrap();
}

pub(crate) async fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.unwrap();
    [&head[..], &payload].concat()
}

/// Reads frames until one is of the kind, and gives it.
pub(crate) async fn read_until(stream: &mut TcpStream, kind: u8) -> Vec<u8> {
    loop {
        let frame = read_frame(stream).await;
        if frame[3] == kind {
            return frame;
        }
    }
}

pub(crate) async fn read_requests(stream: &mut TcpStream, count: usize) {
    for _ in 0..count {
        read_until(stream, HEADERS).await;
    }
}
