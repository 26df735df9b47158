//! Which protocol a request is in, and what its messages are written in.

use dreammesh_core::call::MethodKind;
use dreammesh_core::port;
use http::HeaderValue;

/// How a call speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) protocol: Protocol,
    pub(crate) json: bool,
}

/// A protocol for browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// gRPC-Web, whose bodies may be in Base64.
    GrpcWeb { text: bool },
    /// Connect, where the bodies are the one request and the one response.
    Unary,
    /// The same, where the request is in the query.
    Get,
    /// Connect, where bodies are messages with a prefix each.
    Stream,
}

impl Protocol {
    /// What it is called where all protocols are told apart.
    pub(crate) const fn spoken(self) -> port::Protocol {
        match self {
            Self::GrpcWeb { .. } => port::Protocol::GrpcWeb,
            Self::Unary | Self::Get | Self::Stream => port::Protocol::Connect,
        }
    }
}

impl Dialect {
    /// The dialect of the content type of a POST request.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let (is_known, subtype) = split(essence, "application/");
        if !is_known {
            return None;
        }
        if let Some(codec) = Codec::of(subtype) {
            return codec.dialect(Protocol::Unary);
        }
        for (family, protocol) in [
            ("connect", Protocol::Stream),
            ("grpc-web-text", Protocol::GrpcWeb { text: true }),
            ("grpc-web", Protocol::GrpcWeb { text: false }),
        ] {
            if let (true, rest) = split(subtype, family) {
                return match rest.strip_prefix('+') {
                    Some(codec) => Codec::of(codec)?.dialect(protocol),
                    None if rest.is_empty() && protocol != Protocol::Stream => {
                        Codec::Proto.dialect(protocol)
                    }
                    None => None,
                };
            }
        }
        None
    }

    /// The dialect of a GET request whose query says this of the encoding of its message.
    pub(crate) fn of_query(encoding: &str) -> Option<Self> {
        Codec::of(encoding)?.dialect(Protocol::Get)
    }

    /// Whether methods of a kind can be called so.
    pub(crate) const fn fits(self, kind: MethodKind) -> bool {
        match self.protocol {
            Protocol::GrpcWeb { .. } => true,
            Protocol::Unary | Protocol::Get => matches!(kind, MethodKind::Unary),
            Protocol::Stream => !matches!(kind, MethodKind::Unary),
        }
    }

    /// The content type of an answer that has messages.
    pub(crate) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match (self.protocol, self.json) {
            (Protocol::GrpcWeb { text: false }, false) => "application/grpc-web+proto",
            (Protocol::GrpcWeb { text: false }, true) => "application/grpc-web+json",
            (Protocol::GrpcWeb { text: true }, false) => "application/grpc-web-text+proto",
            (Protocol::GrpcWeb { text: true }, true) => "application/grpc-web-text+json",
            (Protocol::Unary | Protocol::Get, false) => "application/proto",
            (Protocol::Unary | Protocol::Get, true) => "application/json",
            (Protocol::Stream, false) => "application/connect+proto",
            (Protocol::Stream, true) => "application/connect+json",
        })
    }
}

/// The content types with which methods of a kind can be called.
pub(crate) const fn accepted(kind: MethodKind, grpc: bool) -> &'static str {
    let all = match kind {
        MethodKind::Unary => ACCEPTED_UNARY,
        _ => ACCEPTED_STREAM,
    };
    if grpc {
        all
    } else {
        all.split_at(GRPC_BYTES).1
    }
}

/// What messages are written in.
#[derive(Clone, Copy, Debug)]
enum Codec {
    Proto,
    Json,
}

impl Codec {
    fn of(name: &str) -> Option<Self> {
        match name {
            _ if name.eq_ignore_ascii_case("proto") => Some(Self::Proto),
            _ if name.eq_ignore_ascii_case("json") && cfg!(feature = "json") => Some(Self::Json),
            _ => None,
        }
    }

    #[allow(
        clippy::unnecessary_wraps,
        reason = "every place that asks wants an option"
    )]
    const fn dialect(self, protocol: Protocol) -> Option<Dialect> {
        let json = matches!(self, Self::Json);
        Some(Dialect { protocol, json })
    }
}

/// Whether a text begins with that, whatever the case, and what follows.
fn split<'a>(text: &'a str, start: &str) -> (bool, &'a str) {
    match text.split_at_checked(start.len()) {
        Some((found, rest)) if found.eq_ignore_ascii_case(start) => (true, rest),
        _ => (false, text),
    }
}

#[cfg(feature = "json")]
const ACCEPTED_UNARY: &str = "application/grpc, application/grpc+proto, \
    application/json, application/proto, \
    application/grpc-web, application/grpc-web+json, application/grpc-web+proto, \
    application/grpc-web-text, application/grpc-web-text+json, application/grpc-web-text+proto";
#[cfg(not(feature = "json"))]
const ACCEPTED_UNARY: &str = "application/grpc, application/grpc+proto, application/proto, \
    application/grpc-web, application/grpc-web+proto, \
    application/grpc-web-text, application/grpc-web-text+proto";
#[cfg(feature = "json")]
const ACCEPTED_STREAM: &str = "application/grpc, application/grpc+proto, \
    application/connect+json, application/connect+proto, \
    application/grpc-web, application/grpc-web+json, application/grpc-web+proto, \
    application/grpc-web-text, application/grpc-web-text+json, application/grpc-web-text+proto";
#[cfg(not(feature = "json"))]
const ACCEPTED_STREAM: &str = "application/grpc, application/grpc+proto, \
    application/connect+proto, \
    application/grpc-web, application/grpc-web+proto, \
    application/grpc-web-text, application/grpc-web-text+proto";
/// What stands at the beginning of both for gRPC itself.
const GRPC_BYTES: usize = "application/grpc, application/grpc+proto, ".len();

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: Protocol = Protocol::GrpcWeb { text: false };
    const TEXT: Protocol = Protocol::GrpcWeb { text: true };

    #[test]
    fn the_content_type_says_the_protocol_and_the_codec() {
        for (content_type, protocol, json) in [
            ("application/json", Protocol::Unary, true),
            ("Application/JSON; charset=utf-8", Protocol::Unary, true),
            ("application/proto", Protocol::Unary, false),
            ("application/connect+json", Protocol::Stream, true),
            ("application/connect+proto ;a=b", Protocol::Stream, false),
            ("application/grpc-web", WEB, false),
            ("application/grpc-web+proto", WEB, false),
            ("application/grpc-web+json", WEB, true),
            ("application/grpc-web-text", TEXT, false),
            ("application/grpc-web-text+proto", TEXT, false),
        ] {
            let expected = Dialect { protocol, json };
            // Without JSON nothing is said that is in it.
            let expected = (!json || cfg!(feature = "json")).then_some(expected);
            assert_eq!(Dialect::of(content_type), expected, "{content_type}");
        }
    }

    #[test]
    fn anything_else_says_none() {
        for content_type in [
            "",
            "application/",
            "application/grpc",
            "application/grpc+proto",
            "application/connect",
            "application/connect+xml",
            "application/grpc-webx",
            "application/grpc-web+xml",
            "application/grpc-web-textual",
            "application/jsonl",
            "text/json",
            "é",
        ] {
            assert_eq!(Dialect::of(content_type), None, "{content_type}");
        }
    }

    #[test]
    fn what_is_accepted_is_understood_and_fits() {
        for kind in [
            MethodKind::Unary,
            MethodKind::ClientStreaming,
            MethodKind::ServerStreaming,
            MethodKind::Bidi,
        ] {
            for content_type in accepted(kind, false).split(", ") {
                let dialect = Dialect::of(content_type).unwrap();
                assert!(dialect.fits(kind), "{content_type}");
                let answered = dialect.content_type();
                assert!(answered.to_str().unwrap().starts_with(content_type));
            }
            assert_eq!(
                accepted(kind, true).contains("json"),
                cfg!(feature = "json")
            );
            assert!(accepted(kind, true).starts_with("application/grpc, "));
            assert!(accepted(kind, true).ends_with(accepted(kind, false)));
        }
    }
}
