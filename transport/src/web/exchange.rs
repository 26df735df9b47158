//! A request of HTTP and its answer as a call of Connect or gRPC-Web.

use std::mem;
use std::task::{Context, Poll};

use bytes::Bytes;
use dreammesh_core::call::{Code, Metadata, Status};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::body::Body;
use super::connect::{error, head};
use super::dialect::{Dialect, Protocol};
use super::origins::Sharing;
use super::{text, trailers};
use crate::grpc::encoding::{self, Encoding};
use crate::grpc::prefix::PREFIX_BYTES;
use crate::grpc::server::exchange::{Exchange, Gone, Receive, Transfer};
use crate::grpc::{metadata, status};

/// A call in a protocol for browsers.
#[derive(Debug)]
pub(super) struct Web<T> {
    transfer: T,
    body: Body,
    dialect: Dialect,
    sharing: Sharing,
    /// What is held back of an answer that is one message, until it is known how the call ended.
    whole: Option<Box<Whole>>,
}

/// An answer that is one message.
#[derive(Debug)]
struct Whole {
    head: Response<()>,
    /// The encoding that the message may be compressed with.
    encoding: Option<Encoding>,
    /// The message with its prefix.
    parts: Vec<Bytes>,
}

impl<T: Transfer> Web<T> {
    pub(super) fn new(transfer: T, dialect: Dialect, sharing: Sharing) -> Self {
        Self {
            transfer,
            body: match dialect.protocol {
                Protocol::GrpcWeb { text: true } => Body::Text(Some(text::Reader::default())),
                _ => Body::Framed,
            },
            dialect,
            sharing,
            whole: None,
        }
    }

    /// Says how the messages lie in the body of the request.
    pub(super) fn expect(&mut self, body: Body) {
        self.body = body;
    }

    fn head_of(&self, headers: &Metadata) -> Response<()> {
        let mut response = Response::new(());
        let into = response.headers_mut();
        into.insert(CONTENT_TYPE, self.dialect.content_type());
        let has_trailers = matches!(self.dialect.protocol, Protocol::Unary | Protocol::Get);
        metadata::append_to(into, headers);
        remove(into, "connect-");
        if has_trailers {
            remove(into, TRAILER);
        }
        response
    }

    fn send_head(&mut self, mut head: Response<()>, ends: bool) -> Result<(), Gone> {
        if self.dialect.protocol == Protocol::Get {
            // It may be kept by whoever lies between, and given to others.
            let by = HeaderValue::from_static("accept-encoding");
            head.headers_mut().append(VARY, by);
        }
        self.sharing.write(head.headers_mut());
        self.transfer.send_head(head, ends)
    }

    /// Sends an answer whose body is known.
    fn send_all(&mut self, mut head: Response<()>, parts: Vec<Bytes>) -> Result<(), Gone> {
        let length: usize = parts.iter().map(Bytes::len).sum();
        head.headers_mut().insert(CONTENT_LENGTH, length.into());
        let mut parts = parts.into_iter().filter(|part| !part.is_empty()).peekable();
        self.send_head(head, parts.peek().is_none())?;
        while let Some(part) = parts.next() {
            self.transfer.send_body(part, parts.peek().is_none())?;
        }
        Ok(())
    }

    /// Sends an error that is the whole answer.
    fn send_error(
        &mut self,
        mut head: Response<()>,
        status: &Status,
        trailers: &Metadata,
    ) -> Result<(), Gone> {
        *head.status_mut() = error::http_status(status.code());
        let json = HeaderValue::from_static("application/json");
        head.headers_mut().insert(CONTENT_TYPE, json);
        append_trailers(head.headers_mut(), trailers);
        self.send_all(head, vec![error::body(status)])
    }

    /// Has what still comes of the request read, and says how sending went.
    fn ended(&mut self, sent: Result<(), Gone>) -> Result<(), Gone> {
        if !self.transfer.is_end() {
            self.transfer.leave_rest();
        }
        sent
    }

    fn fail_with(
        &mut self,
        status: &Status,
        mut head: Response<()>,
        trailers: &Metadata,
    ) -> Result<(), Gone> {
        let sent = match self.dialect.protocol {
            Protocol::Unary | Protocol::Get => self.send_error(head, status, trailers),
            Protocol::Stream => {
                let end = error::end(status, trailers);
                self.send_all(head, vec![end])
            }
            Protocol::GrpcWeb { .. } => {
                let room = status::TRAILERS_BYTES;
                status::write(head.headers_mut(), status, trailers, room);
                self.send_all(head, Vec::new())
            }
        };
        self.ended(sent)
    }
}

impl<T: Transfer> Receive for Web<T> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        self.body.poll_data(&mut self.transfer, cx)
    }

    fn release(&mut self, bytes: usize) {
        self.body.release(&mut self.transfer, bytes);
    }

    fn is_end(&self) -> bool {
        self.body.is_end(&self.transfer)
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        self.transfer.poll_gone(cx)
    }
}

impl<T: Transfer> Exchange for Web<T> {
    /// In Connect, what cannot be read is an argument that is none.
    fn fault(&self, status: Status) -> Status {
        match (self.dialect.protocol, status.code()) {
            (Protocol::Unary | Protocol::Get | Protocol::Stream, Code::Internal) => {
                Status::invalid_argument(status.message().to_owned())
            }
            _ => status,
        }
    }

    fn begin(&mut self, encoding: Option<Encoding>, headers: &Metadata) -> Result<(), Gone> {
        let mut head = self.head_of(headers);
        let name = match self.dialect.protocol {
            Protocol::GrpcWeb { .. } => encoding::ENCODING,
            Protocol::Stream => head::ENCODING,
            Protocol::Unary | Protocol::Get => {
                self.whole = Some(Box::new(Whole {
                    head,
                    encoding,
                    parts: Vec::new(),
                }));
                return Ok(());
            }
        };
        if let Some(encoding) = encoding {
            head.headers_mut().insert(name, encoding.value());
        }
        self.send_head(head, false)
    }

    fn send_data(&mut self, data: Bytes) -> Result<(), Gone> {
        match (&mut self.whole, self.dialect.protocol) {
            (Some(whole), _) => {
                whole.parts.push(data);
                Ok(())
            }
            (None, Protocol::GrpcWeb { text: true }) => {
                self.transfer.send_body(text::written(data), false)
            }
            (None, _) => self.transfer.send_body(data, false),
        }
    }

    fn end(&mut self, status: &Status, trailers: &Metadata) -> Result<(), Gone> {
        let sent = match (self.whole.take(), self.dialect.protocol) {
            (Some(whole), _) if !status.is_ok() => self.send_error(whole.head, status, trailers),
            (Some(whole), _) => {
                let (mut head, parts) = whole.unwrapped();
                append_trailers(head.headers_mut(), trailers);
                self.send_all(head, parts)
            }
            (None, Protocol::GrpcWeb { text }) => {
                let frame = trailers::frame(status, trailers);
                let last = if text { text::written(frame) } else { frame };
                self.transfer.send_body(last, true)
            }
            (None, _) => self.transfer.send_body(error::end(status, trailers), true),
        };
        self.ended(sent)
    }

    fn fail(
        &mut self,
        status: &Status,
        headers: &Metadata,
        trailers: &Metadata,
    ) -> Result<(), Gone> {
        self.fail_with(status, self.head_of(headers), trailers)
    }

    fn refuse(&mut self, status: &Status) {
        let mut head = self.head_of(&Metadata::new());
        let name = match self.dialect.protocol {
            Protocol::GrpcWeb { .. } => encoding::ACCEPT_ENCODING,
            Protocol::Stream => head::ACCEPT_ENCODING,
            Protocol::Unary | Protocol::Get => ACCEPT_ENCODING,
        };
        // By whatever it was refused, this says what would have been right of its encoding.
        head.headers_mut().insert(name, encoding::ACCEPTED);
        // Whoever is gone needs no answer.
        let _ = self.fail_with(status, head, &Metadata::new());
    }
}

impl Whole {
    /// The head, and the message without its prefix.
    fn unwrapped(self) -> (Response<()>, Vec<Bytes>) {
        let Self {
            mut head,
            encoding,
            mut parts,
        } = self;
        let Some(first) = parts.first_mut().filter(|it| it.len() >= PREFIX_BYTES) else {
            return (head, Vec::new());
        };
        let prefix = first.split_to(PREFIX_BYTES);
        if let Some(encoding) = encoding.filter(|_| prefix[0] != 0) {
            let headers = head.headers_mut();
            headers.insert(CONTENT_ENCODING, encoding.value());
        }
        (head, mem::take(&mut parts))
    }
}

/// Adds trailers to the head of an answer that has no other place for them, unless they are too
/// many.
fn append_trailers(headers: &mut HeaderMap, trailers: &Metadata) {
    if trailers.is_empty() || status::coded_size(trailers) > status::TRAILERS_BYTES {
        return;
    }
    let mut own = HeaderMap::new();
    metadata::append_to(&mut own, trailers);
    for (name, value) in &own {
        if let Ok(name) = HeaderName::try_from(format!("{TRAILER}{name}")) {
            headers.append(name, value.clone());
        }
    }
}

/// Takes out what handlers may not say, since the protocol does.
fn remove(headers: &mut HeaderMap, prefix: &str) {
    let is_it = |name: &&HeaderName| name.as_str().starts_with(prefix);
    let names: Vec<_> = headers.keys().filter(is_it).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// What the names of trailers begin with that are headers.
const TRAILER: &str = "trailer-";

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::web::origins::Origins;

    /// What was sent of an answer.
    #[derive(Debug, Default)]
    struct Sent(Option<Response<()>>);

    impl Receive for Sent {
        fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
            Poll::Ready(None)
        }

        fn release(&mut self, _: usize) {}

        fn is_end(&self) -> bool {
            true
        }

        fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<Status> {
            Poll::Pending
        }
    }

    impl Transfer for Sent {
        fn send_head(&mut self, head: Response<()>, _: bool) -> Result<(), Gone> {
            self.0 = Some(head);
            Ok(())
        }

        fn send_body(&mut self, _: Bytes, _: bool) -> Result<(), Gone> {
            Ok(())
        }

        fn leave_rest(&mut self) {}
    }

    const PROTOCOLS: [Protocol; 4] = [
        Protocol::Unary,
        Protocol::Get,
        Protocol::Stream,
        Protocol::GrpcWeb { text: false },
    ];

    fn web(protocol: Protocol) -> Web<Sent> {
        let json = false;
        let sharing = Origins::default().sharing(&HeaderMap::new());
        Web::new(Sent::default(), Dialect { protocol, json }, sharing)
    }

    /// The heads of an answer that goes well and of an error.
    fn heads(protocol: Protocol, headers: &Metadata) -> [HeaderMap; 2] {
        let none = Metadata::new();
        let mut well = web(protocol);
        well.begin(None, headers).unwrap();
        well.send_data(Bytes::from_static(&[0; 5])).unwrap();
        well.end(&Status::ok(), &none).unwrap();
        let mut ill = web(protocol);
        ill.fail(&Status::aborted("x"), headers, &none).unwrap();
        [well, ill].map(|web| web.transfer.0.unwrap().headers().clone())
    }

    #[test]
    fn metadata_does_not_say_how_the_body_is() {
        let mut headers = Metadata::new();
        for name in [
            "content-encoding",
            "connect-content-encoding",
            "trailer-a",
            "a",
        ] {
            headers.append(name, "gzip").unwrap();
        }
        for protocol in PROTOCOLS {
            for head in heads(protocol, &headers) {
                assert!(!head.contains_key("content-encoding"), "{protocol:?}");
                assert!(!head.contains_key("connect-content-encoding"));
                let is_unary = matches!(protocol, Protocol::Unary | Protocol::Get);
                assert_eq!(head.contains_key("trailer-a"), !is_unary, "{protocol:?}");
                assert_eq!(head["a"], "gzip");
            }
        }
    }

    #[test]
    fn what_may_be_kept_says_by_what_it_varies() {
        for protocol in PROTOCOLS {
            for head in heads(protocol, &Metadata::new()) {
                let varies = head.get("vary").is_some_and(|it| it == "accept-encoding");
                assert_eq!(varies, protocol == Protocol::Get, "{protocol:?}");
            }
        }
    }

    #[test]
    fn only_connect_says_that_what_cannot_be_read_is_an_argument() {
        for protocol in PROTOCOLS {
            let is_connect = !matches!(protocol, Protocol::GrpcWeb { .. });
            let said = web(protocol).fault(Status::internal("x"));
            let code = if is_connect {
                Code::InvalidArgument
            } else {
                Code::Internal
            };
            assert_eq!((said.code(), said.message()), (code, "x"));
            let said = web(protocol).fault(Status::resource_exhausted("x"));
            assert_eq!(said.code(), Code::ResourceExhausted);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(web(protocol).poll_gone(&mut cx).is_pending());
        }
    }
}
