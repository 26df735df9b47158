//! What a peer hears that speaks plaintext where only TLS is permitted, or TLS where there is none.
//!
//! It is told in the protocol that it speaks itself, so that its user reads the reason.

use rustls::AlertDescription;

use super::detect::Protocol;
use crate::link::tls;

/// Why a session in plaintext is refused, and every other protocol too.
pub(super) const NO_PLAINTEXT: &str = "this port takes TLS only, as in `dreammesh+tls://host:port`";

/// What to answer to a protocol that is refused; none where a session says it.
pub(super) fn words(protocol: Protocol) -> Option<Vec<u8>> {
    match protocol {
        Protocol::Session => None,
        // As a server does that finds no terms in common with its client.
        Protocol::Tls => Some(tls::alert(AlertDescription::HandshakeFailure).to_vec()),
        Protocol::Http1 => Some(http1()),
        Protocol::Http2 => Some(http2()),
    }
}

/// As other servers answer plain HTTP on the port of TLS.
fn http1() -> Vec<u8> {
    let head = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n";
    let length = NO_PLAINTEXT.len() + 1;
    format!("{head}content-length: {length}\r\n\r\n{NO_PLAINTEXT}\n").into_bytes()
}

/// Empty SETTINGS, without which nothing else may come, and a GOAWAY (RFC 9113 sections 6.5, 6.8).
fn http2() -> Vec<u8> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const INADEQUATE_SECURITY: u32 = 0xc;
    let length = u32::try_from(8 + NO_PLAINTEXT.len()).expect("it is a short constant");
    let mut words = SETTINGS.to_vec();
    words.extend_from_slice(&length.to_be_bytes()[1..]);
    words.extend_from_slice(&[7, 0, 0, 0, 0, 0]);
    words.extend_from_slice(&0_u32.to_be_bytes());
    words.extend_from_slice(&INADEQUATE_SECURITY.to_be_bytes());
    words.extend_from_slice(NO_PLAINTEXT.as_bytes());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_is_answered_in_its_own_words() {
        assert_eq!(words(Protocol::Session), None);
        assert_eq!(words(Protocol::Tls).unwrap(), [21, 3, 3, 0, 2, 2, 40]);
        let http1 = String::from_utf8(words(Protocol::Http1).unwrap()).unwrap();
        let (head, body) = http1.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert!(
            head.ends_with(&format!("content-length: {}", body.len())),
            "{head}"
        );
        assert_eq!(body.trim_end(), NO_PLAINTEXT);
        let http2 = words(Protocol::Http2).unwrap();
        let (length, rest) = http2[9..].split_at(3);
        assert_eq!(usize::from(length[2]), rest.len() - 6);
        assert!(http2.ends_with(NO_PLAINTEXT.as_bytes()));
    }
}
