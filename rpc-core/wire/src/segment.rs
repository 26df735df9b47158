//! An archive ready to be sent: one buffer, and large `bytes` that were not copied into it.

use bytes::Bytes;

use crate::builder::pool;

/// An archive as the builder leaves it.
///
/// Dropping a segment hands its buffer back to the thread's pool.
#[derive(Debug, Default)]
pub struct Segment {
    /// Nothing stands for no bytes. A segment is moved a few times on its way, and one word moves
    /// in a register, where a vector's three are stored apart and loaded together.
    content: Option<Box<Content>>,
}

/// The bytes of a segment.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) head: Vec<u8>,
    /// Shared buffers and where in `head` each is spliced in, ascending. Where there is a `head`,
    /// an archive's builder wrote it, and each of them is all of a value of `bytes`.
    pub(crate) externals: Vec<(usize, Bytes)>,
}

/// What a segment without content holds.
static NOTHING: Content = Content {
    head: Vec::new(),
    externals: Vec::new(),
};

impl Segment {
    /// A segment of bytes that already are an archive or another encoding of a message.
    #[must_use]
    pub fn from_vec(head: Vec<u8>) -> Self {
        let externals = Vec::new();
        Self::from_content(Some(Box::new(Content { head, externals })))
    }

    /// A segment that shares `bytes`.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        let mut content = pool::spare().unwrap_or_default();
        content.externals.push((0, bytes));
        Self::from_content(Some(content))
    }

    /// A segment of parts that it shares, in this order.
    #[must_use]
    pub fn from_parts(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let mut content = pool::spare().unwrap_or_default();
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        content.externals.extend(parts.map(|part| (0, part)));
        Self::from_content(Some(content))
    }

    #[inline(always)]
    pub(crate) const fn from_content(content: Option<Box<Content>>) -> Self {
        Self { content }
    }

    #[inline]
    fn content(&self) -> &Content {
        self.content.as_deref().unwrap_or(&NOTHING)
    }

    /// The bytes of all parts together.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        let content = self.content();
        let externals = content.externals.iter().map(|(_, bytes)| bytes.len());
        content.head.len() + externals.sum::<usize>()
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
        let content = self.content();
        match content.externals.as_slice() {
            [] => Some(&content.head),
            [(_, bytes)] if content.head.is_empty() => Some(bytes),
            _ => None,
        }
    }

    /// The parts in order; joined they are the archive.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let content = self.content();
        let mut from = 0;
        let mut next = content.externals.iter();
        let mut pending: Option<&Bytes> = None;
        core::iter::from_fn(move || {
            if let Some(bytes) = pending.take() {
                return Some(Part::Shared(bytes));
            }
            let (until, external) = match next.next() {
                Some((position, bytes)) => (*position, Some(bytes)),
                None => (content.head.len(), None),
            };
            let part = &content.head[from..until];
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

    /// The parts in order as buffers that can be shared; copies nothing.
    #[must_use]
    pub fn into_parts(mut self) -> Vec<Bytes> {
        let Some(content) = &mut self.content else {
            return Vec::new();
        };
        let head = Bytes::from(core::mem::take(&mut content.head));
        let mut parts = Vec::with_capacity(2 * content.externals.len() + 1);
        let mut from = 0;
        for (position, external) in content.externals.drain(..) {
            parts.extend([head.slice(from..position), external]);
            from = position;
        }
        parts.push(head.slice(from..));
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// The whole as one buffer; copies only if something is external.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if let Some(content) = &mut self.content
            && content.head.is_empty()
            && content.externals.len() == 1
            && let Some((_, bytes)) = content.externals.pop()
        {
            return bytes;
        }
        Bytes::from(self.into_vec())
    }

    /// What the builder of an archive wrote, and the values of `bytes` that are spliced in there;
    /// the segment itself if there are none, or nobody knows what it is made of.
    pub(crate) fn into_written(mut self) -> Result<(Bytes, Vec<(usize, Bytes)>), Self> {
        match &mut self.content {
            Some(content) if !content.head.is_empty() && !content.externals.is_empty() => {
                let head = Bytes::from(core::mem::take(&mut content.head));
                Ok((head, core::mem::take(&mut content.externals)))
            }
            _ => Err(self),
        }
    }

    /// The whole as one vector; copies only if something is external.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        match &mut self.content {
            Some(content) if content.externals.is_empty() => core::mem::take(&mut content.head),
            _ => {
                let mut out = Vec::new();
                self.copy_to(&mut out);
                out
            }
        }
    }
}

impl Drop for Segment {
    #[inline]
    fn drop(&mut self) {
        if let Some(content) = self.content.take() {
            pool::recycle(content);
        }
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
