//! A QUIC client that sends whatever frames it is told to.
//!
//! It does as much of RFC 9000 and 9001 as a handshake takes; from then on a packet holds what the
//! test wrote. A library's client would not send most of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::aws_lc_rs::kx_group::X25519;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::quic::{ClientConnection, KeyChange, Keys, Secrets, Version};
use rustls::{ClientConfig, DigitallySignedStruct, Error, Side, SignatureScheme};

/// How far an encryption level has come, both ways.
#[derive(Default)]
struct Space {
    keys: Option<Keys>,
    /// The number of our next packet.
    next: u64,
    /// The largest number that came, and is to be acknowledged.
    largest: Option<u64>,
    /// The last numbers that came.
    came: BTreeSet<u64>,
    /// What is to be sent of the handshake, and from which offset on.
    crypto: Vec<u8>,
    crypto_at: u64,
    /// What has come of it out of order.
    received: BTreeMap<u64, Vec<u8>>,
    received_to: u64,
}

const INITIAL: usize = 0;
const HANDSHAKE: usize = 1;
const DATA: usize = 2;

/// How the server ended the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u64,
    pub(crate) reason: String,
    /// By what is above QUIC, and not by QUIC itself.
    pub(crate) by_application: bool,
}

/// One hostile connection.
pub(crate) struct QuicPeer {
    socket: UdpSocket,
    tls: ClientConnection,
    spaces: [Space; 3],
    /// Whose keys the next bytes of the handshake are for.
    level: usize,
    /// The first message of the handshake.
    hello: Vec<u8>,
    source: [u8; 8],
    destination: Vec<u8>,
    token: Vec<u8>,
    is_done: bool,
    /// What the keys are made from that follow when the server wants new ones.
    next_keys: Option<Secrets>,
    /// Which of two keys is in use, as a bit of the header.
    phase: u8,
    pub(crate) close: Option<Close>,
}

/// What makes a first packet as long as it has to be, 1,200 bytes with its header and seal.
const INITIAL_BYTES: usize = 1_170;

/// What a packet may have for frames.
pub(crate) const PAYLOAD_MAX: usize = 1_150;

impl QuicPeer {
    /// A client whose first packet is not sent yet.
    pub(crate) fn new(address: &str, number: u64) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        let source = number.to_be_bytes();
        let destination = [0x5a, 1, 2, 3, 4, 5, 6, number as u8].to_vec();
        // A hello with a key of this kind fits one packet.
        let provider = CryptoProvider {
            kx_groups: vec![X25519],
            ..default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"dreammesh/1".to_vec()];
        let name = "localhost".try_into().unwrap();
        let parameters = parameters(&source);
        let tls = ClientConnection::new(Arc::new(config), Version::V1, name, parameters).unwrap();
        let mut peer = Self {
            socket,
            tls,
            spaces: Default::default(),
            level: INITIAL,
            hello: Vec::new(),
            source,
            destination,
            token: Vec::new(),
            is_done: false,
            next_keys: None,
            phase: 0,
            close: None,
        };
        peer.derive_initial();
        peer.write_handshake();
        peer.hello = peer.spaces[INITIAL].crypto.clone();
        peer
    }

    /// Sees a handshake through.
    pub(crate) fn connect(address: &str, number: u64) -> Self {
        let mut peer = Self::new(address, number);
        peer.begin();
        for _ in 0..HANDSHAKE_WAITS {
            assert!(peer.close.is_none(), "{:?}", peer.close);
            peer.wait(Duration::from_millis(200));
            peer.flush_handshake();
            if peer.is_done {
                return peer;
            }
        }
        panic!("no handshake");
    }

    /// Sends the first packet, whole and as long as it must be.
    pub(crate) fn begin(&mut self) {
        self.flush_handshake();
    }

    /// Waits for the server's answer, and proves the address if that is what it wants; says
    /// whether it was.
    pub(crate) fn prove_address(&mut self) -> bool {
        self.wait(Duration::from_secs(10));
        let is_asked = !self.token.is_empty();
        if is_asked {
            self.flush_handshake();
        }
        is_asked
    }

    fn derive_initial(&mut self) {
        let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
        let quic = suite.quic.unwrap();
        let keys = Keys::initial(Version::V1, suite, quic, &self.destination, Side::Client);
        self.spaces[INITIAL].keys = Some(keys);
    }

    /// Takes what TLS has to say.
    fn write_handshake(&mut self) {
        loop {
            let mut bytes = Vec::new();
            let change = self.tls.write_hs(&mut bytes);
            self.spaces[self.level].crypto.extend(&bytes);
            match change {
                Some(KeyChange::Handshake { keys }) => {
                    self.level = HANDSHAKE;
                    self.spaces[HANDSHAKE].keys = Some(keys);
                }
                Some(KeyChange::OneRtt { keys, next }) => {
                    self.level = DATA;
                    self.next_keys = Some(next);
                    self.spaces[DATA].keys = Some(keys);
                    self.is_done = true;
                }
                None if bytes.is_empty() => return,
                None => {}
            }
        }
    }

    /// Sends what there is of the handshake, and acknowledges what came.
    fn flush_handshake(&mut self) {
        for level in [INITIAL, HANDSHAKE] {
            let space = &mut self.spaces[level];
            if space.keys.is_none() {
                continue;
            }
            let mut frames = acknowledge(&space.came);
            let crypto = std::mem::take(&mut space.crypto);
            if frames.is_empty() && crypto.is_empty() {
                continue;
            }
            if !crypto.is_empty() {
                frames.push(0x06);
                frames.extend(varint(space.crypto_at));
                frames.extend(varint(crypto.len() as u64));
                frames.extend(&crypto);
                space.crypto_at += crypto.len() as u64;
            }
            self.send_long(level, &frames);
        }
    }

    fn send_long(&mut self, level: usize, frames: &[u8]) {
        let mut payload = frames.to_vec();
        if level == INITIAL {
            payload.resize(payload.len().max(INITIAL_BYTES), 0);
        }
        let mut header = vec![if level == INITIAL { 0xc3 } else { 0xe3 }, 0, 0, 0, 1];
        header.push(self.destination.len() as u8);
        header.extend(&self.destination);
        header.push(self.source.len() as u8);
        header.extend(self.source);
        if level == INITIAL {
            header.extend(varint(self.token.len() as u64));
            header.extend(&self.token);
        }
        // Two bytes, whatever the length.
        let length = (4 + payload.len() + TAG_BYTES) as u16;
        header.extend((length | 0x4000).to_be_bytes());
        let packet = self.seal(level, header, payload);
        let _ = self.socket.send(&packet);
    }

    /// Sends frames in a packet of a connection whose handshake is done.
    pub(crate) fn send(&mut self, frames: &[u8]) {
        let mut payload = frames.to_vec();
        // What the protection of the header takes its sample of.
        payload.resize(payload.len().max(4), 0);
        let header = [&[0x43 | self.phase][..], &self.destination].concat();
        let packet = self.seal(DATA, header, payload);
        // What the kernel has no room for is lost, as on any way.
        let _ = self.socket.send(&packet);
    }

    /// Acknowledges what came last.
    pub(crate) fn acknowledge(&mut self) {
        let frame = acknowledge(&self.spaces[DATA].came);
        if !frame.is_empty() {
            self.send(&frame);
        }
    }

    fn seal(&mut self, level: usize, mut header: Vec<u8>, mut payload: Vec<u8>) -> Vec<u8> {
        let space = &mut self.spaces[level];
        let number = space.next;
        space.next += 1;
        let number_at = header.len();
        header.extend((number as u32).to_be_bytes());
        let keys = &space.keys.as_ref().unwrap().local;
        let tag = keys.packet.encrypt_in_place(number, &header, &mut payload);
        payload.extend(tag.unwrap().as_ref());
        let mut packet = header;
        packet.extend(payload);
        let (head, rest) = packet.split_at_mut(number_at);
        let (number, rest) = rest.split_at_mut(4);
        let sample = &rest[..keys.header.sample_len()];
        keys.header
            .encrypt_in_place(sample, &mut head[0], number)
            .unwrap();
        packet
    }

    /// Reads what has come, waiting no longer than this for the first of it.
    fn wait(&mut self, patience: Duration) {
        let mut datagram = [0; 65_536];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        if let Ok(length) = self.socket.recv(&mut datagram) {
            self.open_all(&mut datagram[..length]);
        }
        self.receive();
    }

    /// Reads what has come.
    pub(crate) fn receive(&mut self) {
        let mut datagram = [0; 65_536];
        self.socket.set_nonblocking(true).unwrap();
        while let Ok(length) = self.socket.recv(&mut datagram) {
            self.open_all(&mut datagram[..length]);
        }
        self.socket.set_nonblocking(false).unwrap();
    }

    fn open_all(&mut self, mut datagram: &mut [u8]) {
        if datagram.last_chunk() == self.reset_token().as_ref() {
            // The server knows nothing of the connection any more, and how it ended was lost.
            self.close.get_or_insert_with(|| Close {
                code: 0,
                reason: "stateless reset".to_owned(),
                by_application: false,
            });
            return;
        }
        while !datagram.is_empty() {
            let Some((level, number_at, end)) = self.find_packet(datagram) else {
                return;
            };
            let (packet, rest) = datagram.split_at_mut(end);
            if let Some(payload) = self.open(level, number_at, packet) {
                self.handle_frames(level, &payload);
            }
            datagram = rest;
        }
    }

    /// What a datagram ends with that is sent for a connection of ours which is forgotten (RFC 9000
    /// section 10.3).
    fn reset_token(&self) -> Option<[u8; 16]> {
        let mut rest = Reader(self.tls.quic_transport_parameters()?);
        loop {
            let (id, length) = (rest.varint()?, rest.varint()?);
            let value = rest.take(usize::try_from(length).ok()?)?;
            if id == 0x02 {
                return value.try_into().ok();
            }
        }
    }

    /// The level of the first packet, where its number is, and where it ends.
    fn find_packet(&mut self, bytes: &[u8]) -> Option<(usize, usize, usize)> {
        let first = bytes[0];
        if first & 0x80 == 0 {
            return Some((DATA, 1 + self.source.len(), bytes.len()));
        }
        let mut rest = Reader(bytes.get(5..)?);
        let destination_bytes = rest.byte()?;
        rest.take(destination_bytes.into())?;
        let source_bytes = rest.byte()?;
        let source = rest.take(source_bytes.into())?.to_vec();
        let level = match first & 0x30 {
            0x00 => INITIAL,
            0x20 => HANDSHAKE,
            0x30 => {
                self.retried(source, rest.0);
                return None;
            }
            _ => return None,
        };
        self.destination = source;
        if level == INITIAL {
            let token_bytes = rest.varint()?;
            rest.take(usize::try_from(token_bytes).ok()?)?;
        }
        let length = usize::try_from(rest.varint()?).ok()?;
        let number_at = bytes.len() - rest.0.len();
        Some((
            level,
            number_at,
            number_at.checked_add(length)?.min(bytes.len()),
        ))
    }

    /// The server wants the address proven (RFC 9000 section 8.1.2).
    fn retried(&mut self, source: Vec<u8>, token_and_seal: &[u8]) {
        self.token = token_and_seal[..token_and_seal.len() - 16].to_vec();
        self.destination = source;
        self.derive_initial();
        // The first flight again, under the new keys.
        self.spaces[INITIAL].crypto = self.hello.clone();
        self.spaces[INITIAL].crypto_at = 0;
    }

    fn open(&mut self, level: usize, number_at: usize, packet: &mut [u8]) -> Option<Vec<u8>> {
        let space = &mut self.spaces[level];
        let keys = &space.keys.as_ref()?.remote;
        let (head, rest) = packet.split_at_mut(number_at);
        let (number, sampled) = rest.split_at_mut_checked(4)?;
        let sample = sampled.get(..keys.header.sample_len())?;
        keys.header
            .decrypt_in_place(sample, &mut head[0], number)
            .ok()?;
        let number_bytes = usize::from(head[0] & 3) + 1;
        let truncated = number[..number_bytes]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        let number = whole_number(truncated, number_bytes, space.largest);
        let (header, payload) = packet.split_at_mut(number_at + number_bytes);
        if level == DATA && header[0] & PHASE != self.phase {
            // The server has changed its keys, and this side follows (RFC 9001 section 6).
            let set = self.next_keys.as_mut()?.next_packet_keys();
            let keys = space.keys.as_mut()?;
            (keys.local.packet, keys.remote.packet) = (set.local, set.remote);
            self.phase ^= PHASE;
        }
        let keys = &space.keys.as_ref()?.remote;
        let payload = keys.packet.decrypt_in_place(number, header, payload).ok()?;
        space.largest = Some(space.largest.map_or(number, |largest| largest.max(number)));
        space.came.insert(number);
        if space.came.len() > CAME_MAX {
            space.came.pop_first();
        }
        Some(payload.to_vec())
    }

    fn handle_frames(&mut self, level: usize, payload: &[u8]) {
        let mut rest = Reader(payload);
        while let Some(kind) = rest.varint() {
            if self.handle_frame(level, kind, &mut rest).is_none() {
                return;
            }
        }
    }

    fn handle_frame(&mut self, level: usize, kind: u64, rest: &mut Reader<'_>) -> Option<()> {
        match kind {
            0x00 | 0x01 | 0x1e => {}
            0x02 | 0x03 => {
                rest.varints(2)?;
                let ranges = rest.varint()?;
                rest.varints(1 + 2 * ranges)?;
                rest.varints(if kind == 3 { 3 } else { 0 })?;
            }
            0x04 => rest.varints(3)?,
            0x05 | 0x11 | 0x15 | 0xaf_00 => rest.varints(2)?,
            0x06 => {
                let (offset, length) = (rest.varint()?, rest.varint()?);
                let bytes = rest.take(usize::try_from(length).ok()?)?.to_vec();
                self.handle_crypto(level, offset, bytes);
            }
            0x07 => {
                let length = rest.varint()?;
                rest.take(usize::try_from(length).ok()?)?;
            }
            0x08..=0x0f => {
                rest.varints(1 + (kind >> 2 & 1))?;
                if kind & 2 == 0 {
                    return None;
                }
                let length = rest.varint()?;
                rest.take(usize::try_from(length).ok()?)?;
            }
            0x10 | 0x12 | 0x13 | 0x14 | 0x16 | 0x17 | 0x19 => rest.varints(1)?,
            0x18 => {
                rest.varints(2)?;
                let length = rest.byte()?;
                rest.take(usize::from(length) + 16)?;
            }
            0x1a | 0x1b => {
                rest.take(8)?;
            }
            0x1c | 0x1d => {
                let code = rest.varint()?;
                rest.varints(0x1d - kind)?;
                let length = rest.varint()?;
                let reason = rest.take(usize::try_from(length).ok()?)?;
                self.close = Some(Close {
                    code,
                    reason: String::from_utf8_lossy(reason).into_owned(),
                    by_application: kind == 0x1d,
                });
            }
            // ACK_FREQUENCY and IMMEDIATE_ACK.
            0xaf => rest.varints(4)?,
            0x1f => {}
            other => panic!("a frame of kind {other:#x}"),
        }
        Some(())
    }

    fn handle_crypto(&mut self, level: usize, offset: u64, bytes: Vec<u8>) {
        self.spaces[level].received.insert(offset, bytes);
        loop {
            let space = &mut self.spaces[level];
            let Some(entry) = space.received.first_entry() else {
                return;
            };
            let (at, bytes) = (*entry.key(), entry.get().clone());
            if at > space.received_to {
                return;
            }
            entry.remove();
            let known = usize::try_from(space.received_to - at).unwrap();
            if let Some(new) = bytes.get(known..).filter(|new| !new.is_empty()) {
                space.received_to += new.len() as u64;
                self.tls.read_hs(new).unwrap();
                self.write_handshake();
            }
        }
    }
}

/// For so many fifths of a second a handshake is waited for, which turns a hang into a failure.
const HANDSHAKE_WAITS: u32 = 150;
/// How many numbers of packets are remembered: what comes between two acknowledgements.
const CAME_MAX: usize = 128;
/// The bit of a header that says which keys are in use.
const PHASE: u8 = 0x04;
/// The bytes of a seal.
const TAG_BYTES: usize = 16;

/// What a client says of itself (RFC 9000 section 18.2), generous in all that is the server's to
/// use.
fn parameters(source: &[u8]) -> Vec<u8> {
    let mut parameters = Vec::new();
    let numbers = [
        (0x04, 1 << 30),
        (0x05, 1 << 30),
        (0x06, 1 << 30),
        (0x07, 1 << 30),
        (0x08, 100),
        (0x0e, 8),
    ];
    for (id, number) in numbers {
        let value = varint(number);
        parameters.extend(varint(id));
        parameters.extend(varint(value.len() as u64));
        parameters.extend(value);
    }
    parameters.extend([0x0f, source.len() as u8]);
    parameters.extend(source);
    parameters
}

/// ACK of these packets; nothing if there are none (RFC 9000 section 19.3).
fn acknowledge(numbers: &BTreeSet<u64>) -> Vec<u8> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers.iter().rev() {
        match ranges.last_mut() {
            Some((_, first)) if *first == number + 1 => *first = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let Some((largest, first)) = ranges.first() else {
        return Vec::new();
    };
    let more = ranges.len() as u64 - 1;
    let mut frame = vec![0x02];
    for number in [*largest, 0, more, largest - first] {
        frame.extend(varint(number));
    }
    for pair in ranges.windows(2) {
        let [(_, above), (last, first)] = pair else {
            unreachable!("windows are as long as asked for");
        };
        frame.extend(varint(above - last - 2));
        frame.extend(varint(last - first));
    }
    frame
}

/// RFC 9000 section 16.
pub(crate) fn varint(number: u64) -> Vec<u8> {
    match number {
        0..=0x3f => vec![number as u8],
        0x40..=0x3fff => (number as u16 | 0x4000).to_be_bytes().to_vec(),
        0x4000..=0x3fff_ffff => (number as u32 | 0x8000_0000).to_be_bytes().to_vec(),
        _ => (number | 0xc000_0000_0000_0000).to_be_bytes().to_vec(),
    }
}

/// RFC 9000 section A.3.
fn whole_number(truncated: u64, bytes: usize, largest: Option<u64>) -> u64 {
    let expected = largest.map_or(0, |largest| largest + 1);
    let window = 1_u64 << (8 * bytes);
    let candidate = expected & !(window - 1) | truncated;
    if candidate + window / 2 <= expected {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

/// What is left of some bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn varint(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let rest = self.take((1 << (first >> 6)) - 1)?;
        let begun = u64::from(first & 0x3f);
        Some(
            rest.iter()
                .fold(begun, |number, byte| number << 8 | u64::from(*byte)),
        )
    }

    fn varints(&mut self, count: u64) -> Option<()> {
        (0..count).try_for_each(|_| self.varint().map(drop))
    }
}

/// Believes whoever answers: it is the server that is under test.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
