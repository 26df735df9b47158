//! An archive whose long values may lie elsewhere, to be read as if they were in it.

use core::cell::Cell;

use bytes::Bytes;

use crate::segment::Segment;

/// What an archive is read from, and its long values are shared with.
#[derive(Debug)]
pub(crate) enum Source {
    /// All of it lies in one piece.
    Whole(Bytes),
    /// It has holes where values belong that lie elsewhere.
    Hollow(Hollow),
}

/// The bytes that the builder wrote, where they are in the archive, and nought in between.
#[derive(Debug)]
pub(crate) struct Hollow {
    /// All nought but for what was written of the archive; at least as long as that.
    room: Vec<u8>,
    len: usize,
    /// The same without the holes.
    head: Bytes,
    /// Each value with where it is in the archive and where in `head`, ascending.
    values: Vec<Value>,
}

#[derive(Debug)]
struct Value {
    at: usize,
    in_head: usize,
    bytes: Bytes,
}

thread_local! {
    /// The thread's room, all nought, unless it is in use.
    ///
    /// To clear so much memory for each message would cost about as much as to copy the values.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Source {
    /// An archive in a segment; copies at most what its builder wrote.
    pub(crate) fn new(segment: Segment) -> Self {
        match segment.into_written() {
            Ok((head, values)) => Self::Hollow(Hollow::new(head, values)),
            Err(segment) => Self::Whole(segment.into_bytes()),
        }
    }

    /// The archive; of a value that lies elsewhere the length alone is right.
    pub(crate) fn archive(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Hollow(hollow) => &hollow.room[..hollow.len],
        }
    }

    /// A value that was found in the archive.
    pub(crate) fn share(&self, value: &[u8]) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes.slice_ref(value),
            Self::Hollow(hollow) => hollow.share(value),
        }
    }
}

impl Hollow {
    fn new(head: Bytes, externals: Vec<(usize, Bytes)>) -> Self {
        let mut values = Vec::with_capacity(externals.len());
        let mut outside = 0;
        for (in_head, bytes) in externals {
            let at = in_head + outside;
            outside += bytes.len();
            values.push(Value { at, in_head, bytes });
        }
        let len = head.len() + outside;
        // Within a thread's destructors there is none left.
        let mut room = ROOM.try_with(Cell::take).unwrap_or_default();
        if room.len() < len {
            // What is new comes from the system as it has it, and is not touched before it is used.
            let wanted = match len {
                ..=ROOM_BYTES_MAX => len.next_power_of_two(),
                _ => len,
            };
            room = vec![0; wanted];
        }
        let mut hollow = Self {
            room,
            len,
            head,
            values,
        };
        hollow.each_written(|room, head| room.copy_from_slice(head));
        hollow
    }

    /// Goes through what was written: its place, and the bytes.
    fn each_written(&mut self, mut then: impl FnMut(&mut [u8], &[u8])) {
        let Self {
            room, head, values, ..
        } = self;
        let (mut from, mut outside) = (0, 0);
        let places = values
            .iter()
            .map(|value| (value.in_head, value.bytes.len()));
        for (until, behind) in places.chain([(head.len(), 0)]) {
            then(
                &mut room[from + outside..until + outside],
                &head[from..until],
            );
            from = until;
            outside += behind;
        }
    }

    fn share(&self, value: &[u8]) -> Bytes {
        let at = (value.as_ptr() as usize).wrapping_sub(self.room.as_ptr() as usize);
        let before = self.values.partition_point(|value| value.at <= at);
        let Some(nearest) = before.checked_sub(1).map(|index| &self.values[index]) else {
            return self.head.slice(at..at + value.len());
        };
        match at - nearest.at {
            within if within < nearest.bytes.len() => {
                nearest.bytes.slice(within..within + value.len())
            }
            behind => {
                let at = nearest.in_head + behind - nearest.bytes.len();
                self.head.slice(at..at + value.len())
            }
        }
    }
}

impl Drop for Hollow {
    fn drop(&mut self) {
        if self.room.len() > ROOM_BYTES_MAX {
            return;
        }
        self.each_written(|room, _| room.fill(0));
        let room = core::mem::take(&mut self.room);
        // Within a thread's destructors there is no place left for it.
        let _ = ROOM.try_with(|kept| kept.set(room));
    }
}

/// More than most messages have; what is longer has room made for it each time.
const ROOM_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn hollow(head: &'static [u8], values: &[(usize, Bytes)]) -> Hollow {
        Hollow::new(Bytes::from_static(head), values.to_vec())
    }

    fn shared(hollow: &Hollow, at: usize, len: usize) -> Bytes {
        hollow.share(&hollow.room[at..at + len])
    }

    #[test]
    fn what_was_written_is_in_its_place_and_values_are_found() {
        let (first, second) = (Bytes::from(vec![1; 3]), Bytes::from(vec![2; 4]));
        let hollow = hollow(
            b"abcdef",
            &[(2, first.clone()), (2, second.clone()), (5, first.clone())],
        );
        assert_eq!(hollow.len, 16);
        assert_eq!(&hollow.room[..16], b"ab\0\0\0\0\0\0\0cde\0\0\0f");
        for (at, value) in [(2, &first), (5, &second), (12, &first)] {
            let found = shared(&hollow, at, value.len());
            assert_eq!((found.as_ptr(), found.len()), (value.as_ptr(), value.len()));
            assert_eq!(shared(&hollow, at + 1, value.len() - 1), value[1..]);
        }
        for (at, written) in [(0, "ab"), (1, "b"), (9, "cde"), (11, "e"), (15, "f")] {
            assert_eq!(shared(&hollow, at, written.len()), written);
        }
    }

    #[test]
    fn the_room_is_kept_and_left_as_it_was() {
        let value = Bytes::from(vec![9; 100]);
        let first = hollow(b"first", &[(5, value.clone())]);
        let start = first.room.as_ptr();
        drop(first);
        let second = hollow(b"2", &[(0, value)]);
        assert_eq!(second.room.as_ptr(), start);
        assert_eq!(second.archive_is_nought_but(100), b"2");
    }

    #[test]
    fn room_is_kept_up_to_its_bound() {
        let filler = |len| [(0, Bytes::from(vec![9; len - 1]))];
        drop(hollow(b"1", &filler(ROOM_BYTES_MAX + 1)));
        assert_eq!(ROOM.take().len(), 0);
        drop(hollow(b"1", &filler(ROOM_BYTES_MAX)));
        assert_eq!(ROOM.take().len(), ROOM_BYTES_MAX);
    }

    impl Hollow {
        /// What is written behind so many bytes of nought, up to the end of the archive.
        fn archive_is_nought_but(&self, nought: usize) -> &[u8] {
            assert!(self.room[..nought].iter().all(|byte| *byte == 0));
            assert!(self.room[self.len..].iter().all(|byte| *byte == 0));
            &self.room[nought..self.len]
        }
    }
}
