//! The messages in the body of a request, brought into the form that gRPC has: each behind a prefix.

use std::mem;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dreammesh_core::call::Status;

use super::text;
use crate::grpc::prefix::{PREFIX_BYTES, prefix};
use crate::grpc::server::exchange::Receive;

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
    /// The first piece, which is not copied if it is the only one.
    first: Bytes,
    /// All pieces, if there are several.
    all: Vec<u8>,
    compressed: bool,
    limit_bytes: usize,
}

impl Body {
    /// One whose content is one message of at most that length.
    pub(super) const fn whole(compressed: bool, limit_bytes: usize) -> Self {
        Self::Whole(Gathered {
            first: Bytes::new(),
            all: Vec::new(),
            compressed,
            limit_bytes,
        })
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
            let come = self.first.len().max(self.all.len()) + data.len();
            if come > self.limit_bytes {
                let limit = self.limit_bytes;
                return Poll::Ready(Err(Status::resource_exhausted(format!(
                    "a message of more than {limit} bytes exceeds the limit of {limit}"
                ))));
            }
            if self.first.is_empty() {
                self.first = data;
            } else {
                if self.all.is_empty() {
                    self.all.extend_from_slice(&self.first);
                }
                self.all.extend_from_slice(&data);
            }
        }
        Poll::Ready(Ok(match self.all.is_empty() {
            true => mem::take(&mut self.first),
            false => mem::take(&mut self.all).into(),
        }))
    }
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
            assert_eq!(
                all(Body::whole(false, 4), pieces).unwrap(),
                b"\0\0\0\0\x04abcd"
            );
            assert_eq!(
                all(Body::whole(true, 4), pieces).unwrap(),
                b"\x01\0\0\0\x04abcd"
            );
            let status = all(Body::whole(false, 3), pieces).unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted);
        }
        assert_eq!(all(Body::whole(true, 0), &[]).unwrap(), [0; 5]);
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
