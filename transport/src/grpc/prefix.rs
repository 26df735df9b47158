//! The five bytes before each message: a flag that says whether it is compressed, and its length.

use bytes::Bytes;
use dreammesh_core::call::Status;

/// What stands before a message: the flag, and the length as a big-endian number.
pub(crate) const PREFIX_BYTES: usize = 5;

/// A message as it lay between two prefixes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framed {
    /// Whether it has to be decompressed.
    pub(crate) compressed: bool,
    pub(crate) bytes: Bytes,
}

/// Finds the messages in the data of one direction of one call.
///
/// Data goes in by [`Self::handle_data`]; then [`Self::poll_message`] is asked until there is none,
/// which leaves nothing behind but the beginning of a message. [`Self::handle_end`] says whether
/// the end came where it may.
#[derive(Debug)]
pub(crate) struct Reader {
    /// What has been handed in and not looked at.
    data: Bytes,
    prefix: [u8; PREFIX_BYTES],
    /// How much of that is there; `prefix_bytes <= PREFIX_BYTES`.
    prefix_bytes: usize,
    /// The message behind the prefix as far as it has come in pieces.
    message: Vec<u8>,
    limit_bytes: usize,
}

impl Reader {
    /// A reader of messages each of which may be so long as it travels.
    pub(crate) const fn new(limit_bytes: usize) -> Self {
        Self {
            data: Bytes::new(),
            prefix: [0; PREFIX_BYTES],
            prefix_bytes: 0,
            message: Vec::new(),
            limit_bytes,
        }
    }

    /// Takes in what came next; everything before must have been asked for.
    pub(crate) fn handle_data(&mut self, data: Bytes) {
        debug_assert!(self.data.is_empty(), "messages are taken before more comes");
        self.data = data;
    }

    /// The next whole message, or none before more data comes.
    ///
    /// # Errors
    /// When the flag is none that is known, or the message is longer than the limit. The reader
    /// does not get past it.
    pub(crate) fn poll_message(&mut self) -> Result<Option<Framed>, Status> {
        if !self.fill_prefix() {
            return Ok(None);
        }
        let (compressed, length) = self.parsed()?;
        let missing = length - self.message.len();
        let bytes = if self.data.len() < missing {
            self.keep(length);
            return Ok(None);
        } else if self.message.is_empty() {
            self.data.split_to(missing)
        } else {
            self.message.extend_from_slice(&self.data.split_to(missing));
            Bytes::from(std::mem::take(&mut self.message))
        };
        self.prefix_bytes = 0;
        Ok(Some(Framed { compressed, bytes }))
    }

    /// Says whether the messages may end here.
    ///
    /// # Errors
    /// When a message has begun and is not whole.
    pub(crate) fn handle_end(&self) -> Result<(), Status> {
        debug_assert!(self.data.is_empty(), "messages are taken before the end");
        if self.prefix_bytes == 0 {
            return Ok(());
        }
        Err(Status::internal(match self.parsed() {
            Ok((_, length)) if self.prefix_bytes == PREFIX_BYTES => {
                let arrived = self.message.len();
                format!("the stream ended after {arrived} of the {length} bytes of a message")
            }
            _ => "the stream ended inside the prefix of a message".to_owned(),
        }))
    }

    /// How much is kept of a message that is not whole.
    pub(crate) const fn kept(&self) -> usize {
        self.message.len()
    }

    /// Whether all that came has been taken as whole messages.
    pub(crate) fn is_between(&self) -> bool {
        self.data.is_empty() && self.prefix_bytes == 0
    }

    /// Completes the prefix if it can, and says whether it is whole.
    fn fill_prefix(&mut self) -> bool {
        let missing = PREFIX_BYTES - self.prefix_bytes;
        if missing > 0 {
            let count = missing.min(self.data.len());
            let part = self.data.split_to(count);
            self.prefix[self.prefix_bytes..][..count].copy_from_slice(&part);
            self.prefix_bytes += count;
        }
        self.prefix_bytes == PREFIX_BYTES
    }

    fn parsed(&self) -> Result<(bool, usize), Status> {
        let [flag, length @ ..] = self.prefix;
        if flag > COMPRESSED {
            return Err(Status::internal(format!(
                "a message has the flag {flag}, which is not known"
            )));
        }
        let (length, limit) = (u32::from_be_bytes(length), self.limit_bytes);
        match usize::try_from(length) {
            Ok(length) if length <= limit => Ok((flag == COMPRESSED, length)),
            _ => Err(Status::resource_exhausted(format!(
                "a message of {length} bytes exceeds the limit of {limit}"
            ))),
        }
    }

    /// Keeps a piece of a message that will be so long.
    ///
    /// The buffer is at most twice what has arrived, so that a length that is merely announced
    /// costs nothing, and a long message is moved a few times only.
    fn keep(&mut self, length: usize) {
        let piece = std::mem::take(&mut self.data);
        let arrived = self.message.len() + piece.len();
        if self.message.capacity() < arrived {
            let wanted = length.min(arrived.saturating_mul(2));
            self.message.reserve_exact(wanted - self.message.len());
        }
        self.message.extend_from_slice(&piece);
    }
}

/// What stands before a message of so many bytes.
///
/// # Errors
/// When the prefix cannot tell the length.
pub(crate) fn prefix(compressed: bool, length: usize) -> Result<[u8; PREFIX_BYTES], Status> {
    let length = u32::try_from(length).map_err(|_| {
        Status::resource_exhausted(format!("gRPC has no message of {length} bytes"))
    })?;
    let [a, b, c, d] = length.to_be_bytes();
    Ok([u8::from(compressed), a, b, c, d])
}

/// The highest flag there is.
const COMPRESSED: u8 = 1;

#[cfg(test)]
mod tests {
    use dreammesh_core::call::Code;

    use super::*;

    const LIMIT: usize = 300;

    fn framed(compressed: bool, message: &[u8]) -> Vec<u8> {
        let prefix = prefix(compressed, message.len()).unwrap();
        [&prefix[..], message].concat()
    }

    fn messages(reader: &mut Reader, data: &[u8]) -> Vec<Framed> {
        reader.handle_data(Bytes::copy_from_slice(data));
        std::iter::from_fn(|| reader.poll_message().unwrap()).collect()
    }

    #[test]
    fn however_they_are_cut_messages_come_out_as_they_went_in() {
        let long = [7; LIMIT];
        let all = [
            framed(false, b"first"),
            framed(true, b""),
            framed(true, &long),
            framed(false, b""),
        ]
        .concat();
        for first in 0..all.len() {
            for second in first..all.len() {
                let mut reader = Reader::new(LIMIT);
                let (mut found, mut from) = (Vec::new(), 0);
                for to in [first, second, all.len()] {
                    found.extend(messages(&mut reader, &all[from..to]));
                    from = to;
                }
                let found: Vec<_> = found.iter().map(|it| (it.compressed, &*it.bytes)).collect();
                let sent: [(bool, &[u8]); 4] =
                    [(false, b"first"), (true, b""), (true, &long), (false, b"")];
                assert_eq!(found, sent, "cut at {first} and {second}");
                assert_eq!(reader.handle_end(), Ok(()));
                assert!(reader.is_between());
            }
        }
    }

    #[test]
    fn a_message_that_lies_in_one_piece_is_not_copied() {
        let data = Bytes::from([framed(false, &[1; 64]), framed(false, &[2; 64])].concat());
        let range = data.as_ptr_range();
        let mut reader = Reader::new(LIMIT);
        reader.handle_data(data);
        for _ in 0..2 {
            let message = reader.poll_message().unwrap().unwrap().bytes;
            assert!(range.contains(&message.as_ptr()));
        }
    }

    #[test]
    fn no_flag_but_two_is_known() {
        for flag in 2..=u8::MAX {
            let mut reader = Reader::new(LIMIT);
            reader.handle_data(Bytes::from(vec![flag, 0, 0, 0, 0, 9, 9]));
            for _ in 0..2 {
                let status = reader.poll_message().unwrap_err();
                assert_eq!(status.code(), Code::Internal, "{flag}");
            }
        }
    }

    #[test]
    fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
        let mut reader = Reader::new(LIMIT);
        assert_eq!(messages(&mut reader, &framed(false, &[0; LIMIT])).len(), 1);
        for length in [LIMIT + 1, u32::MAX as usize] {
            let mut reader = Reader::new(LIMIT);
            reader.handle_data(Bytes::copy_from_slice(&prefix(false, length).unwrap()));
            let status = reader.poll_message().unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted);
            let said = format!("a message of {length} bytes exceeds the limit of {LIMIT}");
            assert_eq!(status.message(), said);
        }
    }

    #[test]
    fn an_announced_length_takes_no_memory() {
        let mut reader = Reader::new(u32::MAX as usize);
        let mut arrived = 0;
        reader.handle_data(Bytes::copy_from_slice(&[0, 255, 255, 255, 255]));
        assert_eq!(reader.poll_message(), Ok(None));
        for piece in [1, 10, 4096, 1 << 20] {
            reader.handle_data(vec![0; piece].into());
            assert_eq!(reader.poll_message(), Ok(None));
            arrived += piece;
            assert!(reader.message.capacity() <= 2 * arrived, "{piece}");
        }
    }

    #[test]
    fn the_end_may_come_between_messages_alone() {
        let whole = framed(false, b"whole");
        for cut in 1..whole.len() {
            let mut reader = Reader::new(LIMIT);
            assert!(messages(&mut reader, &whole[..cut]).is_empty());
            assert!(!reader.is_between());
            let status = reader.handle_end().unwrap_err();
            assert_eq!(status.code(), Code::Internal);
            let said = match cut {
                ..PREFIX_BYTES => "inside the prefix",
                _ => "of the 5 bytes",
            };
            assert!(status.message().contains(said), "{}", status.message());
        }
    }

    #[test]
    fn what_the_prefix_cannot_tell_is_not_sent() {
        assert_eq!(prefix(true, 0x0102_0304), Ok([1, 1, 2, 3, 4]));
        assert_eq!(
            prefix(false, u32::MAX as usize),
            Ok([0, 255, 255, 255, 255])
        );
        let status = prefix(false, u32::MAX as usize + 1).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
}
