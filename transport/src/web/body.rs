//! The messages in the body of a request, brought into the form that gRPC has: each behind a prefix.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dreammesh_core::call::Status;

use super::text;
use crate::grpc::prefix::{PREFIX_BYTES, prefix};
use crate::grpc::server::exchange::Receive;
use crate::grpc::server::sum::{Share, Sum};

/// How the messages lie in a body.
#[derive(Debug)]
pub(super) enum Body {
    /// As gRPC has them.
    Framed,
    /// The same in Base64; none when it has ended.
    Text(Option<text::Reader>),
    /// The body is one message.
    Whole(Gathered),
    /// The message is known, and what of it is still to be handed out.
    Given { prefix: Bytes, message: Bytes },
}

/// A body that is one message.
#[derive(Debug)]
pub(super) struct Gathered {
    /// The first piece, which is not copied if it is the only one; empty once there are more.
    first: Bytes,
    /// All pieces, if there are several.
    all: Vec<u8>,
    compressed: bool,
    /// How long it will be, as far as that was said; `length <= limit_bytes`.
    length: Option<usize>,
    limit_bytes: usize,
    /// What of it counts as long as it is not whole.
    share: Share,
}

impl Body {
    /// One whose content is one message of at most that length.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when it is said to be longer.
    pub(super) fn whole(
        compressed: bool,
        length: Option<usize>,
        limit_bytes: usize,
        sum: Arc<Sum>,
    ) -> Result<Self, Status> {
        if length.is_some_and(|length| length > limit_bytes) {
            return Err(too_long(limit_bytes));
        }
        Ok(Self::Whole(Gathered {
            first: Bytes::new(),
            all: Vec::new(),
            compressed,
            length,
            limit_bytes,
            share: Share::new(sum),
        }))
    }

    /// One message, which need not come.
    ///
    /// # Errors
    /// When its length cannot be told.
    pub(super) fn given(compressed: bool, message: Bytes) -> Result<Self, Status> {
        // What has no length has nothing to be decompressed.
        let prefix = prefix(compressed && !message.is_empty(), message.len())?;
        Ok(Self::Given {
            prefix: Bytes::copy_from_slice(&prefix),
            message,
        })
    }

    /// The next piece, or none at the end.
    pub(super) fn poll_data(
        &mut self,
        transfer: &mut impl Receive,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Status>>> {
        match self {
            Self::Framed => transfer.poll_data(cx),
            Self::Text(reader) => Poll::Ready(ready!(poll_text(reader, transfer, cx)).transpose()),
            Self::Whole(gathered) => {
                let given = ready!(gathered.poll_whole(transfer, cx))
                    .and_then(|message| Self::given(gathered.compressed, message));
                match given {
                    Ok(given) => *self = given,
                    Err(status) => return Poll::Ready(Some(Err(status))),
                }
                self.poll_data(transfer, cx)
            }
            Self::Given { prefix, message } => {
                let next = match prefix.is_empty() {
                    false => mem::take(prefix),
                    true => mem::take(message),
                };
                Poll::Ready(Some(Ok(next)).filter(|next| !matches!(next, Ok(it) if it.is_empty())))
            }
        }
    }

    /// Lets the peer send as much more, unless that was done as it came.
    pub(super) fn release(&self, transfer: &mut impl Receive, bytes: usize) {
        if matches!(self, Self::Framed) {
            transfer.release(bytes);
        }
    }

    /// Whether all of it has come and been taken.
    pub(super) fn is_end(&self, transfer: &impl Receive) -> bool {
        match self {
            Self::Framed => transfer.is_end(),
            Self::Text(reader) => reader.is_none(),
            Self::Whole(_) => false,
            Self::Given { prefix, message } => prefix.is_empty() && message.is_empty(),
        }
    }
}

impl Gathered {
    /// The whole body.
    fn poll_whole(
        &mut self,
        transfer: &mut impl Receive,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Status>> {
        while let Some(data) = ready!(transfer.poll_data(cx)).transpose()? {
            transfer.release(data.len());
            if self.come() + data.len() > self.limit_bytes {
                return Poll::Ready(Err(too_long(self.limit_bytes)));
            }
            self.share.add(data.len())?;
            self.keep(data);
        }
        self.share.clear();
        Poll::Ready(Ok(match self.all.is_empty() {
            true => mem::take(&mut self.first),
            false => mem::take(&mut self.all).into(),
        }))
    }

    const fn come(&self) -> usize {
        self.first.len() + self.all.len()
    }

    /// Keeps a piece. The buffer is at most twice what has come, so that a length that is merely
    /// announced costs nothing, and no more than the message will be, if that is known.
    fn keep(&mut self, data: Bytes) {
        let come = self.come() + data.len();
        if self.come() == 0 {
            self.first = data;
            return;
        }
        if self.all.capacity() < come {
            let wanted = self.length.unwrap_or(self.limit_bytes);
            let wanted = wanted.clamp(come, come.saturating_mul(2));
            self.all.reserve_exact(wanted - self.all.len());
        }
        self.all.extend_from_slice(&mem::take(&mut self.first));
        self.all.extend_from_slice(&data);
    }
}

fn too_long(limit_bytes: usize) -> Status {
    Status::resource_exhausted(format!(
        "a message of more than {limit_bytes} bytes exceeds the limit of {limit_bytes}"
    ))
}

/// The next piece of what Base64 stands for, or none at its end.
fn poll_text(
    reader: &mut Option<text::Reader>,
    transfer: &mut impl Receive,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, Status>> {
    loop {
        let Some(text) = reader else {
            return Poll::Ready(Ok(None));
        };
        let piece = match ready!(transfer.poll_data(cx)).transpose()? {
            Some(data) => {
                transfer.release(data.len());
                text.handle_data(&data)?
            }
            None => {
                let last = text.handle_end()?;
                *reader = None;
                last
            }
        };
        if !piece.is_empty() {
            return Poll::Ready(Ok(Some(piece)));
        }
    }
}

const _: () = assert!(
    PREFIX_BYTES > 0,
    "an empty prefix is one that has been taken"
);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use dreammesh_core::call::Code;

    use super::*;

    /// A body in pieces, all of which have come.
    #[derive(Debug)]
    struct Pieces(VecDeque<&'static [u8]>, usize);

    impl Receive for Pieces {
        fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
            Poll::Ready(self.0.pop_front().map(|it| Ok(Bytes::from_static(it))))
        }

        fn release(&mut self, bytes: usize) {
            self.1 += bytes;
        }

        fn is_end(&self) -> bool {
            self.0.is_empty()
        }

        fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<Status> {
            Poll::Pending
        }
    }

    fn whole(compressed: bool, limit_bytes: usize) -> Body {
        Body::whole(compressed, None, limit_bytes, Arc::default()).unwrap()
    }

    fn all(mut body: Body, pieces: &[&'static [u8]]) -> Result<Vec<u8>, Status> {
        let mut transfer = Pieces(pieces.iter().copied().collect(), 0);
        let mut cx = Context::from_waker(Waker::noop());
        let mut out = Vec::new();
        while let Poll::Ready(Some(piece)) = body.poll_data(&mut transfer, &mut cx) {
            let piece = piece?;
            assert!(!piece.is_empty());
            body.release(&mut transfer, piece.len());
            out.extend_from_slice(&piece);
        }
        assert!(body.is_end(&transfer));
        let come: usize = pieces.iter().map(|it| it.len()).sum();
        assert_eq!(transfer.1, come, "what was taken is given back once");
        Ok(out)
    }

    #[test]
    fn a_body_that_is_one_message_gets_a_prefix() {
        for pieces in [
            &[&b"abcd"[..]][..],
            &[b"a", b"bc", b"d"],
            &[b"", b"ab", b"", b"cd"],
        ] {
            assert_eq!(all(whole(false, 4), pieces).unwrap(), b"\0\0\0\0\x04abcd");
            assert_eq!(all(whole(true, 4), pieces).unwrap(), b"\x01\0\0\0\x04abcd");
            let status = all(whole(false, 3), pieces).unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted);
        }
        assert_eq!(all(whole(true, 0), &[]).unwrap(), [0; 5]);
    }

    #[test]
    fn a_length_that_is_said_is_refused_at_once_or_reserved_as_bytes_come() {
        let of = |length| Body::whole(false, Some(length), 100, Arc::default());
        assert_eq!(of(101).unwrap_err().code(), Code::ResourceExhausted);
        for (length, capacities) in [(100, [0, 4, 4, 100]), (50, [0, 4, 4, 50])] {
            let Body::Whole(mut gathered) = of(length).unwrap() else {
                panic!("it is gathered");
            };
            let pieces: [&'static [u8]; 4] = [b"a", b"b", b"cd", &[0; 46]];
            for (piece, capacity) in pieces.into_iter().zip(capacities) {
                gathered.keep(Bytes::from_static(piece));
                assert_eq!(gathered.all.capacity(), capacity);
            }
            assert_eq!((gathered.come(), gathered.first.len()), (50, 0));
        }
    }

    #[test]
    fn a_message_that_is_given_has_one_too() {
        let given = Body::given(true, Bytes::from_static(b"ab")).unwrap();
        assert_eq!(all(given, &[]).unwrap(), b"\x01\0\0\0\x02ab");
        assert_eq!(
            all(Body::given(true, Bytes::new()).unwrap(), &[]).unwrap(),
            [0; 5]
        );
    }

    #[test]
    fn a_body_in_base64_is_what_it_stands_for() {
        let text = || Body::Text(Some(text::Reader::default()));
        assert_eq!(
            all(text(), &[b"Y", b"WJ", b"jZA==", b"ZQ=="]).unwrap(),
            b"abcde"
        );
        assert_eq!(all(text(), &[]).unwrap(), b"");
        assert_eq!(all(text(), &[b"Y"]).unwrap_err().code(), Code::Internal);
    }
}
