//! A client of HTTP/1.1 and HTTP/2 that sends whatever it is told to.

use bytes::Bytes;
use dreammesh_core::codec::Protobuf as _;
use dreammesh_core::wkt::Any;
use dreammesh_transport::MemoryHub;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::media::Site;

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Http {
    One,
    Two,
}

pub(super) const BOTH: [Http; 2] = [Http::One, Http::Two];

/// All of an answer.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether it ended as its protocol has it.
    pub(super) whole: bool,
}

/// A request that is a POST of this content type.
pub(super) fn post(path: &str, content_type: &str) -> http::request::Builder {
    Request::post(format!("http://x{path}")).header("content-type", content_type)
}

/// Where a server is reached under the name `test`.
pub(super) trait Place {
    fn hub(&self) -> &MemoryHub;
}

impl Place for Site {
    fn hub(&self) -> &MemoryHub {
        &self.hub
    }
}

impl Place for MemoryHub {
    fn hub(&self) -> &MemoryHub {
        self
    }
}

impl Http {
    /// Makes a request on a connection of its own.
    pub(super) async fn ask(
        self,
        site: &impl Place,
        request: http::request::Builder,
        body: impl AsRef<[u8]>,
    ) -> Heard {
        let link = site.hub().dial("test").unwrap();
        self.ask_on(link, request, body).await
    }

    /// Makes the one request of a connection.
    pub(super) async fn ask_on<S>(
        self,
        link: S,
        request: http::request::Builder,
        body: impl AsRef<[u8]>,
    ) -> Heard
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let request = request.body(Bytes::copy_from_slice(body.as_ref())).unwrap();
        match self {
            Self::One => one(link, request).await,
            Self::Two => two(link, request).await,
        }
    }
}

/// The head of a request as HTTP/1.1 has it.
pub(super) fn head_of_one(request: &Request<Bytes>) -> String {
    let path = request.uri().path_and_query().unwrap();
    let mut text = format!("{} {path} HTTP/1.1\r\nhost: x\r\n", request.method());
    for (name, value) in request.headers() {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    text + "\r\n"
}

async fn one<S>(mut link: S, mut request: Request<Bytes>) -> Heard
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let length = request.body().len().into();
    request.headers_mut().insert("content-length", length);
    let close = HeaderValue::from_static("close");
    request.headers_mut().insert("connection", close);
    link.write_all(head_of_one(&request).as_bytes())
        .await
        .unwrap();
    // A server that has answered need not take the rest.
    let _ = link.write_all(request.body()).await;
    let mut answer = Vec::new();
    let _ = link.read_to_end(&mut answer).await;
    heard(&answer)
}

/// Reads an answer of HTTP/1.1.
pub(super) fn heard(answer: &[u8]) -> Heard {
    let text = String::from_utf8_lossy(answer);
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = str::from_utf8(&answer[..end]).unwrap().split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (
            name.parse::<HeaderName>().unwrap(),
            value.parse::<HeaderValue>().unwrap(),
        )
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.map(pair) {
        headers.append(name, value);
    }
    let rest = &answer[end + 4..];
    let (body, whole) = match headers.get("content-length") {
        Some(length) => {
            let length: usize = length.to_str().unwrap().parse().unwrap();
            (rest.to_vec(), rest.len() == length)
        }
        None if headers.contains_key("transfer-encoding") => unchunked(rest),
        None => (rest.to_vec(), true),
    };
    Heard {
        status,
        headers,
        body,
        whole,
    }
}

fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|it| it == b"\r\n") {
        let length = str::from_utf8(&rest[..at]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let Some(chunk) = rest.get(at + 2..at + 2 + length) else {
            break;
        };
        body.extend_from_slice(chunk);
        rest = rest.get(at + 4 + length..).unwrap_or_default();
    }
    (body, false)
}

async fn two<S>(link: S, request: Request<Bytes>) -> Heard
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut requests, connection) = h2::client::handshake(link).await.unwrap();
    let driven = tokio::spawn(connection);
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts, ());
    let (answer, mut send) = requests.send_request(request, body.is_empty()).unwrap();
    if !body.is_empty() {
        // A server that has answered need not take the rest.
        let _ = send.send_data(body, true);
    }
    let (head, mut receive) = answer.await.unwrap().into_parts();
    let mut body = Vec::new();
    let mut whole = true;
    while let Some(data) = receive.data().await {
        let Ok(data) = data else {
            whole = false;
            break;
        };
        receive.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    driven.abort();
    Heard {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
        whole,
    }
}

impl Heard {
    pub(super) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// What a header says; nothing if it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }

    /// The messages of a body that has prefixes before them.
    pub(super) fn messages(&self) -> Vec<(u8, Vec<u8>)> {
        assert!(self.whole, "{self:?}");
        messages(&self.body)
    }
}

pub(super) fn messages(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((prefix, rest)) = body.split_at_checked(5) {
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
        found.push((prefix[0], rest[..length].to_vec()));
        body = &rest[length..];
    }
    assert!(body.is_empty(), "the body ends inside a prefix");
    found
}

pub(super) fn proto(message: &Any) -> Vec<u8> {
    message.to_protobuf().unwrap().to_vec()
}
