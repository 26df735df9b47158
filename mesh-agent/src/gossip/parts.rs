//! Messages that are longer than a datagram.

/// What stands before the bytes of a part: which message of the sender's, which part, of how many.
pub(super) const PART_BYTES: usize = 4 + 1 + 1;

/// The place of a part in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Numbers the messages of a sender, so that parts of two are not mixed.
    pub(super) message: u32,
    /// Which part it is, from 0.
    pub(super) index: u8,
    /// How many there are, at least one.
    pub(super) count: u8,
}

impl Place {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.message.to_be_bytes());
        out.extend_from_slice(&[self.index, self.count]);
    }

    /// The place, and the bytes behind it.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (place, rest) = bytes.split_first_chunk::<PART_BYTES>()?;
        let [a, b, c, d, index, count] = *place;
        let message = u32::from_be_bytes([a, b, c, d]);
        (index < count).then_some((
            Self {
                message,
                index,
                count,
            },
            rest,
        ))
    }
}

/// The parts of one message that have come.
#[derive(Debug)]
pub(super) struct Parts {
    message: u32,
    parts: Vec<Option<Vec<u8>>>,
    /// How many bytes the parts that are there have together.
    bytes: usize,
}

impl Parts {
    /// A message of which nothing has come.
    pub(super) fn of(place: Place) -> Self {
        Self {
            message: place.message,
            parts: vec![None; place.count.into()],
            bytes: 0,
        }
    }

    /// How many bytes are kept.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a part belongs to this message.
    pub(super) const fn is_of(&self, place: Place) -> bool {
        self.message == place.message && self.parts.len() == place.count as usize
    }

    /// Takes in a part of this message; `false` when there is one in its place, or the message
    /// would have more bytes than it may.
    pub(super) fn put(&mut self, place: Place, bytes: &[u8], bytes_max: usize) -> bool {
        let kept = self.bytes + bytes.len();
        let Some(slot @ None) = self.parts.get_mut(usize::from(place.index)) else {
            return false;
        };
        if kept > bytes_max {
            return false;
        }
        *slot = Some(bytes.to_vec());
        self.bytes = kept;
        true
    }

    /// The message, once every part is there.
    pub(super) fn whole(&self) -> Option<Vec<u8>> {
        let parts: Option<Vec<_>> = self.parts.iter().map(Option::as_deref).collect();
        parts.map(|parts| parts.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn place(index: u8, count: u8) -> Place {
        Place {
            message: 7,
            index,
            count,
        }
    }

    #[test]
    fn a_place_reads_as_written() {
        let mut bytes = Vec::new();
        place(254, 255).write(&mut bytes);
        bytes.push(9);
        assert_eq!(Place::read(&bytes), Some((place(254, 255), &[9_u8][..])));
        assert_eq!(Place::read(&bytes[..PART_BYTES - 1]), None);
        for (index, count) in [(0, 0), (1, 1), (255, 255)] {
            let mut bytes = Vec::new();
            place(index, count).write(&mut bytes);
            assert_eq!(Place::read(&bytes), None, "{index} of {count}");
        }
    }

    #[test]
    fn parts_come_together_in_any_order_within_their_bound() {
        let mut parts = Parts::of(place(0, 3));
        assert!(parts.put(place(2, 3), b"c", 5));
        assert!(!parts.put(place(2, 3), b"d", 5), "there is one");
        assert!(!parts.put(place(0, 3), b"aaaaa", 5), "one byte too many");
        assert!(parts.put(place(0, 3), b"aaa", 5));
        assert_eq!(parts.whole(), None);
        assert!(parts.put(place(1, 3), b"b", 5));
        assert_eq!(parts.whole().unwrap(), b"aaabc");
        assert!(parts.is_of(place(0, 3)) && !parts.is_of(place(0, 4)));
    }
}
