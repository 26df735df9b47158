//! An archive ready to be sent: one buffer, and large `bytes` that were not copied into it.

use bytes::Bytes;

/// An archive as the builder leaves it.
///
/// `externals` are spliced in: each stands at a position of `head`, ascending. Dropping a segment
/// hands its buffer back to the thread's pool.
#[derive(Debug, Default)]
pub struct Segment {
    head: Vec<u8>,
    /// Boxed, as nearly all segments have none and every segment is moved a few times.
    externals: Option<Box<Externals>>,
}

/// Shared buffers and where each is spliced in.
#[derive(Debug)]
pub(crate) struct Externals {
    first: (usize, Bytes),
    others: Vec<(usize, Bytes)>,
}

impl Externals {
    /// Adds a buffer at `position`, which is not below those before.
    pub(crate) fn push(externals: &mut Option<Box<Self>>, position: usize, bytes: Bytes) {
        match externals {
            Some(externals) => externals.others.push((position, bytes)),
            None => {
                *externals = Some(Box::new(Self {
                    first: (position, bytes),
                    others: Vec::new(),
                }));
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &(usize, Bytes)> {
        core::iter::once(&self.first).chain(&self.others)
    }

    /// The bytes of all together.
    fn len(&self) -> usize {
        self.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

impl Segment {
    /// A segment of bytes that already are an archive or another encoding of a message.
    #[must_use]
    pub fn from_vec(head: Vec<u8>) -> Self {
        Self {
            head,
            externals: None,
        }
    }

    /// A segment that shares `bytes`.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        let mut externals = None;
        Externals::push(&mut externals, 0, bytes);
        Self {
            head: Vec::new(),
            externals,
        }
    }

    #[inline(always)]
    pub(crate) const fn from_parts(head: Vec<u8>, externals: Option<Box<Externals>>) -> Self {
        Self { head, externals }
    }

    /// The bytes of all parts together.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.head.len()
            + self
                .externals
                .as_ref()
                .map_or(0, |externals| externals.len())
    }

    /// Whether there is nothing at all.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole as one slice, if nothing is external.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> Option<&[u8]> {
        match &self.externals {
            None => Some(&self.head),
            Some(externals) if self.head.is_empty() && externals.others.is_empty() => {
                Some(&externals.first.1)
            }
            Some(_) => None,
        }
    }

    /// The parts in order; joined they are the archive.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut from = 0;
        let mut next = self.externals.iter().flat_map(|externals| externals.iter());
        let mut pending: Option<&Bytes> = None;
        core::iter::from_fn(move || {
            if let Some(bytes) = pending.take() {
                return Some(Part::Shared(bytes));
            }
            let (until, external) = match next.next() {
                Some((position, bytes)) => (*position, Some(bytes)),
                None => (self.head.len(), None),
            };
            let part = &self.head[from..until];
            from = until;
            if part.is_empty() {
                return external.map(Part::Shared);
            }
            pending = external;
            Some(Part::Head(part))
        })
    }

    /// Appends the whole to `out`.
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        for part in self.parts() {
            out.extend_from_slice(part.as_slice());
        }
    }

    /// The whole as one buffer; copies only if something is external.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        match self.externals.take() {
            Some(externals) if self.head.is_empty() && externals.others.is_empty() => {
                return externals.first.1;
            }
            externals => self.externals = externals,
        }
        Bytes::from(self.into_vec())
    }

    /// The whole as one vector; copies only if something is external.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        if self.externals.is_none() {
            return core::mem::take(&mut self.head);
        }
        let mut out = Vec::new();
        self.copy_to(&mut out);
        out
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        crate::builder::pool::recycle(core::mem::take(&mut self.head));
    }
}

/// One part of a [`Segment`].
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a part is either copied or shared")]
pub enum Part<'a> {
    /// Bytes the segment owns.
    Head(&'a [u8]),
    /// Bytes shared by reference count, worth sending without a copy.
    Shared(&'a Bytes),
}

impl<'a> Part<'a> {
    /// The bytes, whoever owns them.
    #[must_use]
    pub fn as_slice(self) -> &'a [u8] {
        match self {
            Self::Head(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}
