//! The URIs among the names of a certificate, byte for byte.
//!
//! webpki passes over those that are not text, and over whatever follows a name that it cannot
//! read; the rules for SPIFFE IDs count them all. So this walks the few layers of DER down to them
//! (RFC 5280, section 4.1 and 4.2.1.6). Certificates come here after webpki has accepted them.

/// All URIs of a certificate, in its order; none if it cannot be read down to its end.
pub(super) fn of(certificate: &[u8]) -> Option<Vec<&[u8]>> {
    let (certificate, []) = expect(SEQUENCE, certificate)? else {
        return None;
    };
    let (mut body, _) = expect(SEQUENCE, certificate)?;
    let mut uris = Vec::new();
    while let Some((tag, content, rest)) = element(body)? {
        body = rest;
        if tag == EXTENSIONS {
            let (mut extensions, []) = expect(SEQUENCE, content)? else {
                return None;
            };
            while let Some((_, extension, rest)) = element(extensions)? {
                extensions = rest;
                in_extension(extension, &mut uris)?;
            }
        }
    }
    Some(uris)
}

/// Adds the URIs of an extension, if it is the one with names.
fn in_extension<'a>(extension: &'a [u8], uris: &mut Vec<&'a [u8]>) -> Option<()> {
    let (id, rest) = expect(OBJECT_IDENTIFIER, extension)?;
    if id != SUBJECT_ALT_NAME {
        return Some(());
    }
    let value = match expect(BOOLEAN, rest) {
        Some((_critical, value)) => value,
        None => rest,
    };
    let (names, []) = expect(OCTET_STRING, value)? else {
        return None;
    };
    let (mut names, []) = expect(SEQUENCE, names)? else {
        return None;
    };
    while let Some((tag, content, rest)) = element(names)? {
        names = rest;
        if tag == URI {
            uris.push(content);
        }
    }
    Some(())
}

/// The content of the first element, which has this tag, and what follows it.
fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)??;
    (found == tag).then_some((content, rest))
}

/// An element's tag and content, and what follows it.
type Element<'a> = (u8, &'a [u8], &'a [u8]);

/// The first element, unless there is nothing more; outside, none if it is malformed.
fn element(bytes: &[u8]) -> Option<Option<Element<'_>>> {
    let (tag, rest) = match bytes {
        [] => return Some(None),
        // The low five bits all set announce a tag of more bytes, which no certificate has.
        [tag, ..] if tag & 0x1f == 0x1f => return None,
        [tag, rest @ ..] => (*tag, rest),
    };
    let (length, rest) = match rest {
        [length @ ..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        // A certificate of 64 KiB and more comes through no handshake.
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(Some((tag, content, rest)))
}

const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// The last field of a certificate's body.
const EXTENSIONS: u8 = 0xa3;
/// `uniformResourceIdentifier` among the kinds of names.
const URI: u8 = 0x86;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

#[cfg(test)]
mod tests {
    use super::super::test_certificates::Authority;
    use super::super::{error::Origin, pem};
    use super::*;

    fn certificate(names: &[&str]) -> Vec<u8> {
        let made = Authority::new("root").issue(names);
        let chain = pem::certificates(made.chain.as_bytes(), &Origin::Memory("x")).unwrap();
        chain[0].to_vec()
    }

    #[test]
    fn uris_are_found_among_other_names() {
        assert_eq!(of(&certificate(&[])), Some(vec![]));
        assert_eq!(of(&certificate(&["a.b", "127.0.0.1"])), Some(vec![]));
        let long = format!("https://a/{}", "b".repeat(300));
        let found = certificate(&["a.b", &long, "127.0.0.1", "https://c/"]);
        assert_eq!(of(&found), Some(vec![long.as_bytes(), &b"https://c/"[..]]));
    }

    #[test]
    fn whatever_is_cut_or_added_is_no_certificate() {
        let whole = certificate(&["https://a/", "a.b"]);
        for end in 0..whole.len() {
            assert_eq!(of(&whole[..end]), None, "{end}");
        }
        assert_eq!(of(&[&whole[..], &[0]].concat()), None);
    }

    #[test]
    fn no_byte_that_is_changed_makes_it_panic() {
        let whole = certificate(&["https://a/", "a.b"]);
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0x82, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = of(&changed);
            }
        }
    }
}
