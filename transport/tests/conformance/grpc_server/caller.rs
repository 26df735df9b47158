//! A gRPC client that is nothing but `h2` and sends whatever it is told to.

use bytes::Bytes;
use dreammesh_core::codec::Protobuf;
use dreammesh_core::wkt::Any;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Method, Request, header::HeaderName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use crate::echo::ask;
use crate::media::Site;

/// A connection of its own to the server of a site.
pub(crate) struct Caller {
    pub(crate) requests: SendRequest<Bytes>,
    pub(crate) driven: JoinHandle<Result<(), h2::Error>>,
}

/// A call that goes on.
pub(crate) struct Going {
    pub(crate) send: SendStream<Bytes>,
    answer: Option<ResponseFuture>,
    head: Option<(u16, HeaderMap)>,
    body: Option<RecvStream>,
    /// What has come of the next message.
    rest: Vec<u8>,
}

/// All that was answered to a call.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) http: u16,
    pub(crate) head: HeaderMap,
    pub(crate) messages: Vec<(u8, Vec<u8>)>,
    /// Those of the head, if the answer is nothing else.
    pub(crate) trailers: HeaderMap,
    pub(crate) trailers_only: bool,
}

impl Caller {
    pub(crate) async fn new(site: &Site) -> Self {
        let mut settings = Builder::new();
        // Streams that nobody reads leave the others of the connection room.
        settings.initial_connection_window_size(1 << 30);
        Self::on(site.hub.dial("test").unwrap(), &settings).await
    }

    pub(crate) async fn on<S>(link: S, settings: &Builder) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (requests, connection) = settings.handshake(link).await.unwrap();
        let driven = tokio::spawn(connection);
        Self { requests, driven }
    }

    /// Begins a call with headers besides those that every call has.
    pub(crate) async fn begin(&self, path: &str, headers: &[(&str, &str)]) -> Going {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://x{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            let into = request.headers_mut().unwrap();
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            if name == "content-type" {
                into.remove(&name);
            }
            into.append(name, HeaderValue::from_str(value).unwrap());
        }
        let mut requests = self.requests.clone().ready().await.unwrap();
        let request = request.body(()).unwrap();
        let (answer, send) = requests.send_request(request, false).unwrap();
        Going {
            send,
            answer: Some(answer),
            head: None,
            body: None,
            rest: Vec::new(),
        }
    }

    /// Makes a call whose body is that.
    pub(crate) async fn call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answered {
        let mut going = self.begin(path, headers).await;
        going.send(body, true);
        going.end().await
    }

    /// Makes a call that is as it should be, and says whether it is answered so.
    pub(crate) async fn is_well(&self) -> bool {
        let answered = self.call(UNARY, &[], framed(&ask("echo"))).await;
        answered.status() == 0 && answered.anys() == [ask("echo")]
    }
}

impl Going {
    pub(crate) fn send(&mut self, body: impl Into<Bytes>, last: bool) {
        // Whoever has ended the call hears no more of it.
        let _ = self.send.send_data(body.into(), last);
    }

    /// Waits for the head of the answer.
    pub(crate) async fn head(&mut self) -> &(u16, HeaderMap) {
        if let Some(answer) = self.answer.take() {
            let (head, body) = answer.await.unwrap().into_parts();
            self.head = Some((head.status.as_u16(), head.headers));
            self.body = Some(body);
        }
        self.head.as_ref().unwrap()
    }

    /// Waits until the server resets a call that it has not begun to answer.
    pub(crate) async fn reset(mut self) -> Option<h2::Reason> {
        let ended = self.answer.take().unwrap().await;
        ended.err().and_then(|error| error.reason())
    }

    /// The next message, or none at the end.
    pub(crate) async fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        self.head().await;
        loop {
            if let Some((prefix, rest)) = self.rest.split_at_checked(5) {
                let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
                if rest.len() >= length {
                    let message = (prefix[0], rest[..length].to_vec());
                    self.rest.drain(..5 + length);
                    return Some(message);
                }
            }
            let body = self.body.as_mut().unwrap();
            let data = body.data().await?.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            self.rest.extend_from_slice(&data);
        }
    }

    pub(crate) async fn any(&mut self) -> Any {
        let (flag, message) = self.message().await.unwrap();
        assert_eq!(flag, 0);
        Any::from_protobuf(&message).unwrap()
    }

    /// Takes all that is still answered.
    pub(crate) async fn end(mut self) -> Answered {
        let mut messages = Vec::new();
        while let Some(message) = self.message().await {
            messages.push(message);
        }
        assert!(self.rest.is_empty(), "the answer ends inside a message");
        let trailers = self.body.unwrap().trailers().await.unwrap();
        let (http, head) = self.head.unwrap();
        Answered {
            http,
            messages,
            trailers_only: trailers.is_none(),
            trailers: trailers.unwrap_or_else(|| head.clone()),
            head,
        }
    }
}

impl Answered {
    /// The number in `grpc-status`.
    pub(crate) fn status(&self) -> u32 {
        let status = self.trailers.get("grpc-status");
        let status = status.unwrap_or_else(|| panic!("no grpc-status in {self:?}"));
        status.to_str().unwrap().parse().unwrap()
    }

    pub(crate) fn said(&self) -> &str {
        self.trailers
            .get("grpc-message")
            .map_or("", |it| it.to_str().unwrap())
    }

    /// The messages, none of which may be compressed.
    pub(crate) fn anys(&self) -> Vec<Any> {
        let read = |(flag, message): &(u8, Vec<u8>)| {
            assert_eq!(*flag, 0);
            Any::from_protobuf(message).unwrap()
        };
        self.messages.iter().map(read).collect()
    }
}

/// A message with its prefix.
pub(crate) fn framed(message: &Any) -> Vec<u8> {
    flagged(0, &message.to_protobuf().unwrap())
}

/// Bytes with the prefix of a message.
pub(crate) fn flagged(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat()
}

pub(crate) const UNARY: &str = "/test.Echo/Unary";
pub(crate) const LIST: &str = "/test.Echo/List";
pub(crate) const RECORD: &str = "/test.Echo/Record";
pub(crate) const CHAT: &str = "/test.Echo/Chat";
