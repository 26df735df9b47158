//! Floods on the HTTP/2 side of the port, and peers that begin and do not go on.
//!
//! Each flood is written by hand and goes on until the server closes the connection. Meanwhile
//! others' calls are answered, and the process stays small.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::child;
use crate::to_server::{connect, honest};
use crate::watched::Watched;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
    pub(super) const UNKNOWN: u8 = 0x77;
}

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// GET / by http, from the static table.
const GET: &[u8] = &[0x82, 0x86, 0x84];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The same frames again and again, on each of the streams in turn.
fn repeat(times: u32, frames: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (0..times).flat_map(|index| frames(2 * index + 1)).collect()
}

/// A literal header of one letter, which the decoder is to remember, and so many bytes.
fn literal(bytes: u8) -> Vec<u8> {
    let mut header = vec![0x40, 1, b'x', bytes];
    header.extend(std::iter::repeat_n(b'y', bytes.into()));
    header
}

/// More than what any bound lets through, and less than would take long to send.
const FLOOD_FRAMES: u32 = 400_000;

pub(crate) fn floods() -> Vec<(&'static str, Vec<u8>)> {
    let on_one = |kind, payload: &[u8]| repeat(FLOOD_FRAMES, |_| frame(kind, 0, 1, payload));
    let on_none = |kind, payload: &[u8]| repeat(FLOOD_FRAMES, |_| frame(kind, 0, 0, payload));
    let open = frame(kind::HEADERS, END_HEADERS, 1, GET);
    let bomb = [GET, &literal(120), &vec![0xbe; 16_000]].concat();
    let oversized = [GET, &literal(120).repeat(1500)].concat();
    vec![
        (
            "rapid reset",
            repeat(FLOOD_FRAMES / 2, |stream| {
                let open = frame(kind::HEADERS, END_HEADERS, stream, GET);
                [open, frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
            }),
        ),
        (
            "CONTINUATION",
            [
                frame(kind::HEADERS, 0, 1, GET),
                on_one(kind::CONTINUATION, &literal(1)),
            ]
            .concat(),
        ),
        (
            "empty CONTINUATION",
            [
                frame(kind::HEADERS, 0, 1, GET),
                on_one(kind::CONTINUATION, &[]),
            ]
            .concat(),
        ),
        ("SETTINGS", on_none(kind::SETTINGS, &[])),
        ("PING", on_none(kind::PING, &[7; 8])),
        ("empty DATA", [open, on_one(kind::DATA, &[])].concat()),
        (
            "HPACK bomb",
            repeat(2000, |stream| {
                frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &bomb)
            }),
        ),
        (
            "oversized headers",
            repeat(200, |stream| {
                frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &oversized)
            }),
        ),
        ("PRIORITY", on_one(kind::PRIORITY, &[0, 0, 0, 3, 1])),
        ("WINDOW_UPDATE", on_none(kind::WINDOW_UPDATE, &[0, 0, 0, 1])),
        ("frames of no known type", on_none(kind::UNKNOWN, &[1])),
    ]
}

/// What the process may grow by, whatever the flood.
pub(crate) const GROWTH_BYTES_MAX: u64 = 32 << 20;

/// How long the server may take to close; before it would ask a silent peer for a sign of life, so
/// that it is the flood that ends the connection. What has not been read yet waits in the kernel.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

/// Sends everything, and says whether the server closed.
pub(crate) fn send(address: &str, flood: &[u8]) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut reading = stream.try_clone().unwrap();
    stream.set_write_timeout(Some(CLOSED_WITHIN)).unwrap();
    stream.set_read_timeout(Some(CLOSED_WITHIN)).unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = [0; 64 << 10];
        loop {
            match reading.read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !is_timeout(&error),
            }
        }
    });
    let opening = [PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&opening).unwrap();
    // It breaks when the server closes, or all of it is on its way.
    let _ = stream.write_all(flood);
    reader.join().unwrap()
}

#[test]
fn who_floods_is_closed_and_others_are_served() {
    let mut watched = Watched::start(child::SERVER);
    watched.warm_up(&honest(), connect);
    for (name, flood) in floods() {
        let (most, _) = watched.growth(|watched| {
            let address = watched.address.clone();
            thread::scope(|scope| {
                let sending = scope.spawn(|| send(&address, &flood));
                while !sending.is_finished() {
                    connect(watched, 1)[0].play(&honest());
                }
                assert!(sending.join().unwrap(), "{name}: it was not closed");
            });
        });
        assert!(most <= GROWTH_BYTES_MAX, "{name}: it grew by {most} bytes");
        watched.settle();
    }
}

/// What one that begins and does not go on may hold.
pub(crate) const HALF_BYTES_MAX: u64 = 16 << 10;
const HALVES: usize = 400;

#[test]
fn who_begins_and_does_not_go_on_holds_little_and_is_closed() {
    let half_of_headers = frame(kind::HEADERS, END_HEADERS, 1, GET);
    let settings = frame(kind::SETTINGS, 0, 0, &[]);
    let half_of_headers = [PREFACE, &settings, &half_of_headers[..10]].concat();
    let half_of_settings = [PREFACE, &settings[..4]].concat();
    for (name, half) in [
        ("half a preface of HTTP/2", &PREFACE[..12]),
        ("a preface without SETTINGS", PREFACE),
        ("half of SETTINGS", &half_of_settings),
        ("half a request of HTTP/1", b"GET / HTT"),
        ("half of HEADERS", &half_of_headers),
    ] {
        hold(child::SERVER, name, half, HALF_BYTES_MAX);
    }
}

/// Has many connections begin and not go on: each may hold so much, and is closed in time.
///
/// The server is a new one, so that nothing is held in room that was free before.
pub(crate) fn hold(role: &str, name: &str, half: &[u8], most: u64) {
    let mut watched = Watched::start(role);
    watched.warm_up(&honest(), connect);
    let mut streams = Vec::new();
    let (_, held) = watched.growth(|watched| {
        for _ in 0..HALVES {
            let mut stream = TcpStream::connect(&watched.address).unwrap();
            let bound = Some(Duration::from_secs(60));
            stream.set_read_timeout(bound).unwrap();
            stream.write_all(half).unwrap();
            streams.push(stream);
        }
        // All that came before these has been read by the time they are answered.
        (0..2).for_each(|_| connect(watched, 1)[0].play(&honest()));
    });
    let each = held / HALVES as u64;
    eprintln!("{name}: {each} bytes each");
    assert!(each <= most, "{name}: each holds {each} bytes");
    for mut stream in streams {
        let mut bytes = Vec::new();
        let ended = stream.read_to_end(&mut bytes);
        assert!(
            ended.as_ref().is_ok() || !is_timeout(ended.as_ref().unwrap_err()),
            "{name}: {ended:?}"
        );
    }
    watched.settle();
}

/// A connection that is closed with bytes unread is reset, which is an end, too.
fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}
