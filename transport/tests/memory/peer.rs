//! The hostile end of a connection: a socket and a script.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use dreammesh_session::frame::{CloseCode, HEADER_LEN, Header, PREFACE, kind};

use crate::frames::{hello, ping};

/// What the process under watch must do about some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// It closes the session with this code.
    Closed(CloseCode),
    /// It ends a call with this status.
    Ended(u32),
    /// It ends a call somehow.
    Answered,
    /// It takes the bytes in and goes on.
    Pong,
    /// It gives the call up.
    Cancelled,
}

/// Bytes, and what must come of them.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) bytes: Vec<u8>,
    pub(crate) expect: Expect,
}

/// What one connection sends after the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) name: String,
    /// Announcements to which credit was granted, and so how much may be reserved for them.
    pub(crate) admitted_bytes: u64,
    /// How many messages it announces, where that is more than one.
    pub(crate) announcements: u64,
    pub(crate) steps: Vec<Step>,
}

impl Script {
    pub(crate) fn new(name: impl Into<String>, expect: Expect, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            admitted_bytes: 0,
            announcements: 1,
            steps: vec![Step { bytes, expect }],
        }
    }

    /// Credit covers so many announcements, and so many bytes in them.
    pub(crate) fn admitted(mut self, bytes: u64, announcements: u32) -> Self {
        self.admitted_bytes = bytes;
        self.announcements = announcements.into();
        self
    }
}

/// Every setting of HELLO as great as it may be, and greater.
pub(crate) fn settings() -> Vec<Script> {
    let most = u64::from(u32::MAX);
    let accepted = [
        (1, most),
        (2, 1 << 31),
        (3, 1 << 31),
        (5, most),
        (6, most),
        (7, u64::MAX),
    ];
    let refused = [
        (1, most + 1),
        (2, (1 << 31) + 1),
        (3, (1 << 31) + 1),
        (3, u64::MAX),
        (4, most),
    ];
    let script = |settings: &[(u8, u64)], expect| {
        let bytes = [hello(settings), ping()].concat();
        Script::new(format!("settings {settings:?}"), expect, bytes)
    };
    let mut all = vec![script(&accepted, Expect::Pong)];
    all.extend(refused.map(|one| script(&[one], Expect::Closed(CloseCode::PROTOCOL))));
    all
}

/// A frame of the other side.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) kind: u8,
    pub(crate) id: (u32, u32),
    pub(crate) head: Vec<u8>,
}

/// One hostile connection.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    pub(crate) sent_bytes: u64,
}

impl Peer {
    /// Takes the socket and exchanges prefaces, a server's coming only after its client's.
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Not a measure of anything: it turns a hang into a failure.
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        let mut peer = Self {
            stream,
            sent_bytes: 0,
        };
        peer.send(&PREFACE);
        let mut preface = [0; PREFACE.len()];
        peer.stream.read_exact(&mut preface).unwrap();
        assert_eq!(preface, PREFACE);
        peer
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // The other side may have closed at the first of several lies.
        let _ = self.stream.write_all(bytes);
        self.sent_bytes += bytes.len() as u64;
    }

    /// The next frame; none at the end.
    pub(crate) fn next(&mut self) -> Option<Seen> {
        let mut header = [0; HEADER_LEN];
        self.stream.read_exact(&mut header).ok()?;
        let header = Header::read(&header);
        let mut rest = vec![0; header.frame_len() - HEADER_LEN];
        self.stream.read_exact(&mut rest).ok()?;
        rest.truncate(usize::from(header.head_len));
        Some(Seen {
            kind: header.kind,
            id: (header.slot, header.generation),
            head: rest,
        })
    }

    pub(crate) fn play(&mut self, script: &Script) {
        for (index, step) in script.steps.iter().enumerate() {
            self.send(&step.bytes);
            if let Err(seen) = self.wait_for(step.expect) {
                let name = &script.name;
                panic!(
                    "{name}, step {index}: {:?} expected, not {seen:?}",
                    step.expect
                );
            }
        }
    }

    /// Reads until what is expected, and fails with the frame that rules it out.
    fn wait_for(&mut self, expect: Expect) -> Result<(), Option<Seen>> {
        loop {
            let Some(seen) = self.next() else {
                return Err(None);
            };
            let number = seen
                .head
                .first_chunk()
                .map(|code| u32::from_le_bytes(*code));
            match (expect, seen.kind) {
                (Expect::Closed(code), kind::CLOSE) if number == Some(code.0) => return Ok(()),
                (Expect::Ended(code), kind::END) if number == Some(code) => return Ok(()),
                (Expect::Answered, kind::END | kind::MESSAGE)
                | (Expect::Cancelled, kind::CANCEL)
                | (Expect::Pong, kind::PONG) => return Ok(()),
                (_, kind::CLOSE) => return Err(Some(seen)),
                (Expect::Ended(_), kind::END) => return Err(Some(seen)),
                _ => {}
            }
        }
    }
}
