//! One step of rustls at a time, the same for both sides.

use std::ops::DerefMut;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedConnectionCommon, UnbufferedStatus,
};
use rustls::{CommonState, Error};

use crate::tls::explain::Side;

/// A connection of rustls that keeps no bytes.
pub(crate) trait Records: Send + Unpin + 'static {
    const SIDE: Side;
    /// What rustls keeps for this side.
    type Data;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn common(&self) -> &CommonState;
}

impl Records for UnbufferedClientConnection {
    const SIDE: Side = Side::Client;
    type Data = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        let common: &mut UnbufferedConnectionCommon<_> = self.deref_mut();
        common.process_tls_records(incoming)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

impl Records for UnbufferedServerConnection {
    const SIDE: Side = Side::Server;
    type Data = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        let common: &mut UnbufferedConnectionCommon<_> = self.deref_mut();
        common.process_tls_records(incoming)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The handshake goes on when more has arrived.
    Handshake,
    /// Data may be sent, and received when more has arrived.
    Open,
    /// The peer has said that it will send nothing more.
    Ended,
}

/// Takes in what has arrived and says how much of it is used up.
///
/// What is to be sent goes to the end of `outgoing`, what was received to `plain`. After an error,
/// `outgoing` ends with the alert that tells the peer.
pub(super) fn advance<C: Records>(
    connection: &mut C,
    incoming: &mut [u8],
    outgoing: &mut Vec<u8>,
    mut plain: impl FnMut(&[u8]),
) -> (usize, Result<Stage, Error>) {
    let mut used = 0;
    loop {
        let UnbufferedStatus { mut discard, state } = connection.process(&mut incoming[used..]);
        let stage = match state {
            Err(error) => {
                used += discard;
                tell(connection, &mut incoming[used..], outgoing);
                return (used, Err(error));
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            discard += record.discard;
                            plain(record.payload);
                        }
                        Err(error) => return (used + discard, Err(error)),
                    }
                }
                None
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(&mut data, outgoing);
                None
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // It stands in `outgoing`, before everything that comes later.
                data.done();
                None
            }
            Ok(ConnectionState::WriteTraffic(_)) => Some(Stage::Open),
            Ok(ConnectionState::BlockedHandshake) => Some(Stage::Handshake),
            // Early data is never accepted, so nothing else is left.
            Ok(_) => Some(Stage::Ended),
        };
        used += discard;
        if let Some(stage) = stage {
            return (used, Ok(stage));
        }
    }
}

/// Encrypts data into `room`, which has to be large enough, and says how much of it is filled.
///
/// `incoming` is what has arrived of an incomplete record, which rustls looks at first.
pub(super) fn encrypt<C: Records>(
    connection: &mut C,
    incoming: &mut [u8],
    data: &[u8],
    room: &mut [u8],
) -> Result<usize, Error> {
    let mut filled = 0;
    loop {
        match connection.process(incoming).state? {
            ConnectionState::WriteTraffic(mut traffic) => {
                let written = traffic.encrypt(data, &mut room[filled..]);
                return match written {
                    Ok(written) => Ok(filled + written),
                    Err(_) => Err(Error::EncryptError),
                };
            }
            ConnectionState::EncodeTlsData(mut data) => match data.encode(&mut room[filled..]) {
                Ok(written) => filled += written,
                Err(_) => return Err(Error::EncryptError),
            },
            ConnectionState::TransmitTlsData(data) => data.done(),
            // Having been open once, it can only have ended; the link fails as a closed one does.
            _ => return Err(Error::HandshakeNotComplete),
        }
    }
}

/// How much room some data takes, encrypted, with a few small messages of TLS's own before it.
pub(super) const fn room_for(data_bytes: usize) -> usize {
    data_bytes + (data_bytes / RECORD_BYTES + 1) * RECORD_OVERHEAD + OWN_BYTES
}

/// Adds the peer's notice that nothing more is sent.
pub(super) fn close<C: Records>(connection: &mut C, incoming: &mut [u8], outgoing: &mut Vec<u8>) {
    while let Ok(state) = connection.process(incoming).state {
        match state {
            ConnectionState::WriteTraffic(mut traffic) => {
                // Without room in the sequence of records there is nothing to be said any more.
                let _ = fill(outgoing, |room| match traffic.queue_close_notify(room) {
                    Ok(written) => Ok(Ok(written)),
                    Err(EncryptError::InsufficientSize(size)) => Err(size),
                    Err(EncryptError::EncryptExhausted) => Ok(Err(Error::EncryptError)),
                });
                return;
            }
            ConnectionState::EncodeTlsData(mut data) => encode(&mut data, outgoing),
            ConnectionState::TransmitTlsData(data) => data.done(),
            _ => return,
        }
    }
}

/// Adds the alert that an error left behind.
fn tell<C: Records>(connection: &mut C, incoming: &mut [u8], outgoing: &mut Vec<u8>) {
    // Without anything to send it would look at the faulty record once more.
    while connection.common().wants_write() {
        match connection.process(incoming).state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, outgoing),
            _ => return,
        }
    }
}

fn encode<D>(data: &mut EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) {
    let encoded: Result<(), Error> = fill(outgoing, |room| match data.encode(room) {
        Ok(written) => Ok(Ok(written)),
        Err(EncodeError::InsufficientSize(size)) => Err(size),
        Err(EncodeError::AlreadyEncoded) => Ok(Ok(0)),
    });
    debug_assert!(encoded.is_ok(), "there is no such case above");
}

/// Has something written to the end of a buffer, first into the room that is there.
fn fill(
    outgoing: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<Result<usize, Error>, InsufficientSizeError>,
) -> Result<(), Error> {
    let start = outgoing.len();
    let mut room = 0;
    loop {
        outgoing.resize(start + room, 0);
        match write(&mut outgoing[start..]) {
            Ok(written) => {
                outgoing.truncate(start + *written.as_ref().unwrap_or(&0));
                return written.map(drop);
            }
            Err(InsufficientSizeError { required_size }) => room = required_size,
        }
    }
}

/// The most that one record holds (RFC 8446 section 5.1).
pub(super) const RECORD_BYTES: usize = 1 << 14;
/// A record's header, its inner type and its tag.
const RECORD_OVERHEAD: usize = 5 + 1 + 16;
/// A change of keys, of which each side may have one to tell of.
const OWN_BYTES: usize = 256;
