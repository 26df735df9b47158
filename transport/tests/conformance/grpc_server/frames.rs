//! Frames made by hand, for what no client of HTTP/2 can be brought to send.

use std::sync::atomic::Ordering;

use dreammesh_transport::link::BoxLink;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::caller::{Caller, UNARY, framed};
use crate::echo::ask;
use crate::media::{Medium, Site};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
/// The most that a server takes of a request's headers.
const HEADER_LIST_BYTES: usize = 16 << 10;
const END_HEADERS: u8 = 4;

/// A connection on which frames are sent as they are.
struct Wire(BoxLink);

impl Wire {
    async fn new(site: &Site) -> Self {
        let mut link = site.hub.dial("test").unwrap();
        link.write_all(PREFACE).await.unwrap();
        let mut wire = Self(link);
        wire.send(SETTINGS, 0, 0, &[]).await;
        wire
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        // The server may have ended the connection.
        let _ = self.0.write_all(&[&head[..], payload].concat()).await;
    }

    /// Sends a call with headers besides those that every call has.
    async fn call(&mut self, stream: u32, headers: &[(&[u8], &[u8])]) {
        self.head(stream, UNARY, headers).await;
        self.body(stream, "echo").await;
    }

    /// Sends the request of a call, all of it.
    async fn body(&mut self, stream: u32, what: &str) {
        let body = framed(&ask(what));
        self.send(DATA, END_STREAM, stream, &body).await;
    }

    /// Sends the head of a call alone.
    async fn head(&mut self, stream: u32, path: &str, headers: &[(&[u8], &[u8])]) {
        let mut block = Vec::new();
        for (name, value) in [
            (&b":method"[..], &b"POST"[..]),
            (b":scheme", b"http"),
            (b":path", path.as_bytes()),
            (b":authority", b"x"),
            (b"content-type", b"application/grpc"),
        ]
        .iter()
        .chain(headers)
        {
            // A literal that is not indexed, its name and value as they are (RFC 7541 section 6.2.2).
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend_from_slice(text);
            }
        }
        self.send(HEADERS, END_HEADERS, stream, &block).await;
    }

    /// The next frame: its kind, the number of its stream and its payload.
    async fn frame(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        if (kind, flags & ACK) == (PING, 0) {
            self.send(PING, ACK, 0, &payload).await;
        }
        Some((kind, u32::from_be_bytes(stream), payload))
    }

    /// The next frame that says something of a stream.
    async fn answer(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        loop {
            let frame = self.frame().await?;
            if matches!(frame.0, DATA | HEADERS | RESET | GO_AWAY) {
                return Some(frame);
            }
        }
    }
}

#[tokio::test]
async fn a_header_that_http_2_forbids_resets_the_call_alone() {
    let site = Site::new(Medium::Memory).await;
    let mut wire = Wire::new(&site).await;
    let headers: [(&[u8], &[u8]); 6] = [
        (b"connection", b"keep-alive"),
        (b"keep-alive", b"5"),
        (b"proxy-connection", b"close"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"h2c"),
        (b"te", b"gzip"),
    ];
    let mut stream = 1;
    for header in headers {
        wire.call(stream, &[header]).await;
        let (kind, of, reason) = wire.answer().await.unwrap();
        let name = String::from_utf8_lossy(header.0);
        assert_eq!((kind, of), (RESET, stream), "{name}");
        assert_eq!(reason, [0, 0, 0, 1], "{name}");
        wire.call(stream + 2, &[(b"te", b"trailers")]).await;
        let (kind, of, _) = wire.answer().await.unwrap();
        assert_eq!((kind, of), (HEADERS, stream + 2), "{name}");
        for expected in [DATA, HEADERS] {
            assert_eq!(wire.answer().await.unwrap().0, expected, "{name}");
        }
        stream += 4;
    }
}

#[tokio::test]
async fn line_ends_and_nul_in_a_value_harm_nobody_else() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    for value in [&b"a\rb"[..], b"a\nb", b"a\0b", b"a\r\ngrpc-status: 0"] {
        let mut wire = Wire::new(&site).await;
        wire.call(1, &[(b"x-name", value)]).await;
        let (kind, of, reason) = wire.answer().await.unwrap();
        assert!(
            matches!((kind, of), (RESET, 1) | (GO_AWAY, 0)),
            "{kind} {of} {reason:?}"
        );
        assert!(caller.is_well().await);
    }
}

#[tokio::test]
async fn metadata_of_bytes_that_are_no_text_is_left_out() {
    let site = Site::new(Medium::Memory).await;
    let mut wire = Wire::new(&site).await;
    wire.call(1, &[(b"x-name", b"\xff\xfe")]).await;
    assert_eq!(wire.answer().await.unwrap().0, HEADERS);
    assert_eq!(wire.answer().await.unwrap().0, DATA);
}

#[tokio::test]
async fn what_a_connection_may_cost_is_said_at_its_beginning() {
    let site = Site::new(Medium::Memory).await;
    let mut wire = Wire::new(&site).await;
    let (kind, of, settings) = wire.frame().await.unwrap();
    assert_eq!((kind, of), (SETTINGS, 0));
    let told: Vec<_> = settings
        .chunks(6)
        .map(|it| {
            let [a, b, value @ ..] = <[u8; 6]>::try_from(it).unwrap();
            (u16::from_be_bytes([a, b]), u32::from_be_bytes(value))
        })
        .collect();
    // RFC 9113 section 6.5.2: streams at once, their windows, the longest frame, the header list.
    assert_eq!(
        told,
        [(3, 1024), (4, 2 << 20), (5, 256 << 10), (6, 16 << 10)]
    );
    let window = loop {
        let (kind, of, payload) = wire.frame().await.unwrap();
        if (kind, of) == (WINDOW_UPDATE, 0) {
            break u32::from_be_bytes(payload.try_into().unwrap());
        }
    };
    assert_eq!(window + 65_535, 32 << 20);
}

#[tokio::test]
async fn headers_beyond_what_is_taken_end_the_call_alone() {
    let site = Site::new(Medium::Memory).await;
    let caller = Caller::new(&site).await;
    // How HTTP/2 counts: 32 bytes for each, its name and its value.
    let others = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", UNARY),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let name = "grpc-accept-encoding";
    let counted = |(name, value): &(&str, &str)| 32 + name.len() + value.len();
    let room = HEADER_LIST_BYTES - others.iter().map(counted).sum::<usize>() - 32 - name.len();
    // `h2` takes what is shorter than the bound.
    for (bytes, http) in [(room - 1, 200), (room, 431), (20 << 10, 431)] {
        let value = "v".repeat(bytes);
        let answered = caller
            .call(UNARY, &[(name, &value)], framed(&ask("echo")))
            .await;
        assert_eq!(answered.http, http, "{bytes}");
        assert!(caller.is_well().await);
    }
}

#[tokio::test]
async fn a_server_that_drains_says_which_calls_it_takes() {
    let mut site = Site::new(Medium::Memory).await;
    let mut wire = Wire::new(&site).await;
    wire.head(1, UNARY, &[]).await;
    wire.body(1, "gate").await;
    site.probe.alive_is(1).await;
    site.stop();
    // First that nothing more should come, and then what has come.
    for last in [u32::MAX >> 1, 1] {
        let (kind, _, payload) = wire.answer().await.unwrap();
        let expected = [last.to_be_bytes(), [0; 4]].concat();
        assert_eq!((kind, payload), (GO_AWAY, expected));
    }
    wire.call(3, &[]).await;
    site.probe.gate.notify_one();
    for expected in [HEADERS, DATA, HEADERS] {
        let (kind, of, _) = wire.answer().await.unwrap();
        assert_eq!((kind, of), (expected, 1));
    }
    assert_eq!(wire.answer().await, None);
    let stopped = (&mut site.serving).await.unwrap();
    assert_eq!(stopped.calls_ended, 0);
    assert_eq!(site.probe.begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn requests_that_go_on_after_they_were_refused_harm_nobody() {
    const AT_ONCE: u32 = 100;
    let site = Site::new(Medium::Memory).await;
    let mut wire = Wire::new(&site).await;
    let mut stream = 1;
    // More at once than HTTP/2 remembers of itself, and more in all than it forgives.
    for _ in 0..10 {
        let refused = (0..AT_ONCE).map(|nth| stream + 2 * nth);
        for (nth, stream) in refused.clone().enumerate() {
            match nth % 2 {
                0 => wire.head(stream, "/test.Echo/Missing", &[]).await,
                _ => wire.head(stream, UNARY, &[(b"x-bytes-bin", b"A")]).await,
            }
        }
        for _ in 0..AT_ONCE {
            assert_eq!(wire.answer().await.unwrap().0, HEADERS);
        }
        let body = framed(&ask("echo"));
        for stream in refused {
            wire.send(DATA, END_STREAM, stream, &body).await;
        }
        stream += 2 * AT_ONCE;
        wire.call(stream, &[]).await;
        for expected in [HEADERS, DATA, HEADERS] {
            let (kind, of, _) = wire.answer().await.unwrap();
            assert_eq!((kind, of), (expected, stream));
        }
        stream += 2;
    }
}
