//! The name by which a certificate's holder is known.

use std::fmt;

use dreammesh_core::call::Identity;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::uris;

/// Reads the name in a certificate that was verified, which is the first of a chain.
///
/// A SPIFFE ID, if it has one; otherwise the first of its DNS names, in the order in which the
/// certificate lists them, that is no wildcard, for a wildcard names nobody in particular. A
/// certificate without either has no name here.
///
/// # Errors
/// When the certificate claims a SPIFFE ID and breaks the rules for it.
pub(crate) fn of(chain: &[CertificateDer<'_>]) -> Result<Option<Identity>, Wrong> {
    let Some(first) = chain.first() else {
        return Ok(None);
    };
    let certificate = EndEntityCert::try_from(first).map_err(|_| Wrong::Unreadable)?;
    if let Some(id) = spiffe_id(first)? {
        return Ok(Some(Identity::new(id)));
    }
    let name = certificate
        .valid_dns_names()
        .find(|name| !name.starts_with('*'));
    Ok(name.map(|name| Identity::new(name.to_ascii_lowercase())))
}

/// The SPIFFE ID of a certificate, which is then its only URI (X509-SVID, section 2).
fn spiffe_id(certificate: &[u8]) -> Result<Option<&str>, Wrong> {
    let uris = uris::of(certificate).ok_or(Wrong::Unreadable)?;
    let Some(id) = uris.iter().find(|uri| is_spiffe(uri)) else {
        return Ok(None);
    };
    if uris.len() > 1 {
        return Err(Wrong::SeveralUris);
    }
    let checked = match std::str::from_utf8(id) {
        Ok(id) => check_spiffe(id).map(|()| id),
        Err(_) => Err("is not text, so it is no SPIFFE ID"),
    };
    checked.map(Some).map_err(|wrong| {
        let shown = String::from_utf8_lossy(id);
        Wrong::Malformed(shown.chars().take(ID_SHOWN_MAX).collect(), wrong)
    })
}

fn is_spiffe(uri: &[u8]) -> bool {
    uri.get(..SCHEME.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(SCHEME.as_bytes()))
}

/// Holds a name against the rules for SPIFFE IDs (SPIFFE-ID, section 2).
pub(super) fn check_spiffe(id: &str) -> Result<(), &'static str> {
    if id.len() > ID_BYTES_MAX {
        return Err("is longer than the 2048 bytes that a SPIFFE ID may have");
    }
    let Some(rest) = id.strip_prefix("spiffe://") else {
        return Err("does not begin with `spiffe://`, so it is no SPIFFE ID");
    };
    let (domain, path) = rest
        .split_once('/')
        .map_or((rest, None), |(d, p)| (d, Some(p)));
    let in_domain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".-_".contains(&c);
    if domain.is_empty() || domain.len() > DOMAIN_BYTES_MAX || !domain.bytes().all(in_domain) {
        return Err("has no valid trust domain, so it is no SPIFFE ID");
    }
    let in_path = |c: u8| c.is_ascii_alphanumeric() || b".-_".contains(&c);
    let segment = |s: &str| !matches!(s, "" | "." | "..") && s.bytes().all(in_path);
    if path.is_some_and(|path| !path.split('/').all(segment)) {
        return Err("has no valid path, so it is no SPIFFE ID");
    }
    Ok(())
}

/// Why a certificate that claims a SPIFFE ID is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Unreadable,
    SeveralUris,
    Malformed(String, &'static str),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("the certificate cannot be read"),
            Self::SeveralUris => {
                f.write_str("the certificate has a SPIFFE ID and another URI beside it")
            }
            Self::Malformed(id, wrong) => write!(f, "the certificate's `{id}` {wrong}"),
        }
    }
}

impl std::error::Error for Wrong {}

const SCHEME: &str = "spiffe:";
const ID_BYTES_MAX: usize = 2048;
const DOMAIN_BYTES_MAX: usize = 255;
/// What of a malformed name is worth a place in a log.
const ID_SHOWN_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::test_certificates::Authority;
    use super::super::{error::Origin, pem};
    use super::*;

    fn name(names: &[&str]) -> Result<Option<String>, Wrong> {
        let made = Authority::new("root").issue(names);
        let chain = pem::certificates(made.chain.as_bytes(), &Origin::Memory("x")).unwrap();
        of(&chain).map(|identity| identity.map(|identity| identity.name().to_owned()))
    }

    /// The same with a byte that is no text in the place of each `~`.
    fn with_no_text(names: &[&str]) -> Result<Option<String>, Wrong> {
        let made = Authority::new("root").issue(names);
        let chain = pem::certificates(made.chain.as_bytes(), &Origin::Memory("x")).unwrap();
        let mut certificate = chain[0].to_vec();
        for name in names {
            let uri = certificate.windows(name.len());
            let at = uri.into_iter().position(|uri| uri == name.as_bytes());
            let at = at.unwrap();
            let tildes = name.bytes().enumerate().filter(|(_, byte)| *byte == b'~');
            for (index, _) in tildes {
                certificate[at + index] = 0xff;
            }
        }
        let identity = of(&[CertificateDer::from(certificate)])?;
        Ok(identity.map(|identity| identity.name().to_owned()))
    }

    #[test]
    fn a_spiffe_id_comes_before_dns_names_and_the_first_of_those_counts() {
        let id = "spiffe://example.org/ns/shop/sa/catalog";
        assert_eq!(name(&["shop.example", id]), Ok(Some(id.to_owned())));
        let dns = ["*.example", "Shop.example", "other.example"];
        assert_eq!(name(&dns), Ok(Some("shop.example".to_owned())));
        assert_eq!(
            name(&["https://shop.example/", "a.b"]),
            Ok(Some("a.b".to_owned()))
        );
        assert_eq!(name(&["*.example"]), Ok(None));
        assert_eq!(name(&["127.0.0.1"]), Ok(None));
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn what_claims_a_spiffe_id_must_keep_its_rules() {
        assert_eq!(
            name(&["spiffe://a/b", "https://c/"]),
            Err(Wrong::SeveralUris)
        );
        assert_eq!(
            name(&["spiffe://a/b", "spiffe://a/c"]),
            Err(Wrong::SeveralUris)
        );
        for bad in [
            "spiffe://",
            "spiffe:///a",
            "SPIFFE://a/b",
            "spiffe://A/b",
            "spiffe://a/b/",
        ] {
            let found = name(&[bad]);
            assert!(
                matches!(found, Err(Wrong::Malformed(..))),
                "{bad}: {found:?}"
            );
        }
        // What is not text counts, wherever it stands, though webpki passes over it.
        for [id, other] in [
            ["spiffe://a/b", "https://c/~"],
            ["https://c/~", "spiffe://a/b"],
            ["spiffe://a/b", "spiffe://a/~"],
        ] {
            assert_eq!(with_no_text(&[id, other]), Err(Wrong::SeveralUris));
        }
        let found = with_no_text(&["spiffe://a/~"]);
        assert!(matches!(found, Err(Wrong::Malformed(..))), "{found:?}");
        assert_eq!(with_no_text(&["https://c/~"]), Ok(None));
        let unreadable = [CertificateDer::from(vec![0x30, 0])];
        assert_eq!(of(&unreadable), Err(Wrong::Unreadable));
    }

    #[test]
    fn a_spiffe_id_has_bounds_and_an_alphabet() {
        let long = |bytes: usize| format!("spiffe://a/{}", "b".repeat(bytes - 11));
        let domain = |bytes: usize| format!("spiffe://{}/b", "a".repeat(bytes));
        for good in [
            "spiffe://a",
            "spiffe://a-1_.b/c/D.e",
            &long(2048),
            &domain(255),
        ] {
            assert_eq!(check_spiffe(good), Ok(()), "{good}");
        }
        for bad in [
            "https://a/b",
            "spiffe://a/b/../c",
            "spiffe://a/./c",
            "spiffe://a//c",
            "spiffe://a?b",
            "spiffe://a/b#c",
            "spiffe://a:1/b",
            "spiffe://u@a/b",
            "spiffe://a/%20",
            &long(2049),
            &domain(256),
        ] {
            assert!(check_spiffe(bad).is_err(), "{bad}");
        }
    }
}
