//! Both ends of a handshake, and what each says of how it went.

use dreammesh_core::call::Identity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::link::Link;
use crate::link::memory::{MemoryLink, pair};
use crate::tls::test_certificates::{Authority, Made, Validity};
use crate::tls::{Certificate, Roots, ServerTls};

const ID: &str = "spiffe://example.org/shop";

/// A server and a client that agree, for tests to change one thing about.
struct Ends {
    server: ServerTls,
    client: ClientTls,
    server_alpn: &'static [u8],
    client_alpn: &'static [&'static [u8]],
}

/// How a handshake went for both, as each says it.
struct Went {
    client: Result<BoxLink, String>,
    server: Result<Accepted, String>,
}

impl Ends {
    fn new(server: ServerTls, client: ClientTls) -> Self {
        Self {
            server,
            client,
            server_alpn: ALPN,
            client_alpn: &[ALPN],
        }
    }

    async fn meet(self) -> Went {
        let (near, far) = pair();
        let config = self.server.rustls_server(&[self.server_alpn]);
        let serving = tokio::spawn(accept(Box::new(far), &[], config));
        let config = self.client.rustls_client(self.client_alpn);
        let tls = self.client;
        let dialler = Dialler { tls, config };
        let name = dialler
            .tls
            .server_name_for("shop.example", [10, 0, 0, 7].into());
        let client = async {
            let (mut link, _) = dialler.secure(Box::new(near), name.unwrap()).await?;
            // What the server thinks of the client comes behind the client's own handshake.
            link.write_all(b"hello").await?;
            link.flush().await?;
            if self.client_alpn == [ALPN] {
                link.read_exact(&mut [0; 5]).await?;
            }
            io::Result::Ok(link)
        };
        let server = async {
            let mut link = serving.await.unwrap()?;
            let mut hello = [0; 5];
            link.read_exact(&mut hello).await?;
            link.write_all(&hello).await?;
            link.flush().await?;
            io::Result::Ok(link)
        };
        let (client, server) = tokio::join!(client, server);
        Went {
            client: client.map_err(|error| error.to_string()),
            server: server.map_err(|error| error.to_string()),
        }
    }

    /// Meets, and checks what each side says of why that failed.
    async fn fails(self, client: &str, server: &str) {
        let went = self.meet().await;
        let said = went.client.unwrap_err();
        assert!(said.contains(client), "client: {said}");
        let said = went.server.unwrap_err();
        assert!(said.contains(server), "server: {said}");
    }
}

fn certificate(made: &Made) -> Certificate {
    Certificate::from_pem(&made.chain, &made.key).unwrap()
}

fn roots(authority: &Authority) -> Roots {
    Roots::from_pem(authority.pem()).unwrap()
}

/// A server with a certificate for these names, and a client that believes in its issuer.
fn for_names(names: &[&str], validity: Validity) -> (Authority, ServerTls, ClientTls) {
    let authority = Authority::new("root");
    let made = authority.issue_valid(names, validity);
    let client = ClientTls::new(roots(&authority));
    (authority, ServerTls::new(certificate(&made)), client)
}

fn name(identity: Option<Identity>) -> Option<String> {
    identity.map(|identity| identity.name().to_owned())
}

#[tokio::test]
async fn each_side_learns_who_the_other_is() {
    let (authority, server, client) = for_names(&["*.example", "SHOP.example"], Validity::Now);
    let own = certificate(&authority.issue(&["till.example", "other.example"]));
    let server = server.client_roots(roots(&authority));
    let went = Ends::new(server, client.certificate(own)).meet().await;
    assert_eq!(
        name(went.client.unwrap().identity()).as_deref(),
        Some("shop.example")
    );
    let link = went.server.unwrap();
    assert_eq!(name(link.identity()).as_deref(), Some("till.example"));
    assert_eq!(link.alpn(), Some(ALPN));
    assert_eq!(link.peer(), "memory");
    assert!(!link.is_plaintext());
}

#[tokio::test]
async fn a_spiffe_id_stands_in_for_the_name_of_the_host() {
    let (authority, server, client) = for_names(&[ID, "elsewhere.example"], Validity::Now);
    let own = "spiffe://example.org/till";
    let server = server.client_roots_optional(roots(&authority));
    let client = client.server_identity(ID).unwrap();
    let presenting = client
        .clone()
        .certificate(certificate(&authority.issue(&[own])));
    let went = Ends::new(server.clone(), presenting).meet().await;
    assert_eq!(name(went.client.unwrap().identity()).as_deref(), Some(ID));
    assert_eq!(name(went.server.unwrap().identity()).as_deref(), Some(own));
    // Without a certificate it is let in, and nobody.
    let went = Ends::new(server, client).meet().await;
    assert!(went.client.is_ok());
    assert_eq!(name(went.server.unwrap().identity()), None);
}

#[tokio::test]
async fn a_servers_certificate_must_be_valid_now() {
    for (validity, client_says) in [
        (Validity::Past, "the server's certificate has expired"),
        (
            Validity::Future,
            "the server's certificate is not valid yet",
        ),
    ] {
        let (_, server, client) = for_names(&["shop.example"], validity);
        let server_hears = "the certificate presented to it has expired, or is not valid yet";
        Ends::new(server, client)
            .fails(client_says, server_hears)
            .await;
    }
}

#[tokio::test]
async fn a_servers_certificate_must_be_for_who_is_expected() {
    let (authority, server, client) = for_names(&["elsewhere.example", "b.example"], Validity::Now);
    let hears = "it does not accept the certificate presented to it";
    let names = "only valid for DnsName(\"elsewhere.example\") or DnsName(\"b.example\")";
    Ends::new(server.clone(), client.clone())
        .fails(names, hears)
        .await;
    let named = client.clone().server_name("c.example").unwrap();
    Ends::new(server.clone(), named)
        .fails("is for another name", hears)
        .await;
    let spiffe = client.clone().server_identity(ID).unwrap();
    let is = "is that of elsewhere.example, not of spiffe://example.org/shop";
    Ends::new(server, spiffe.clone()).fails(is, hears).await;
    let other = authority.issue(&["spiffe://example.org/other", "shop.example"]);
    let server = ServerTls::new(certificate(&other));
    let is = "is that of spiffe://example.org/other, not of spiffe://example.org/shop";
    Ends::new(server, spiffe.clone()).fails(is, hears).await;
    let nobody = ServerTls::new(certificate(&authority.issue(&["10.0.0.7"])));
    Ends::new(nobody, spiffe)
        .fails("the certificate names nobody", hears)
        .await;
    let two = authority.issue(&[ID, "spiffe://example.org/other", "shop.example"]);
    let two = ServerTls::new(certificate(&two));
    Ends::new(two, client)
        .fails("another URI beside it", hears)
        .await;
}

#[tokio::test]
async fn a_certificate_must_lead_to_a_root_by_whatever_name() {
    let (_, server, _) = for_names(&["shop.example", ID], Validity::Now);
    let namesake = ClientTls::new(roots(&Authority::new("root")));
    let says = "a root of that name that is trusted here has another key";
    let hears = "it found a signature wrong";
    Ends::new(server.clone(), namesake).fails(says, hears).await;
    let client = ClientTls::new(roots(&Authority::new("other")));
    let says = "the server's certificate does not lead to a root that is trusted here";
    let hears = "does not lead to a root that it trusts";
    let spiffe = client.clone().server_identity(ID).unwrap();
    for client in [client, spiffe] {
        Ends::new(server.clone(), client).fails(says, hears).await;
    }
}

#[tokio::test]
async fn a_client_is_told_what_is_wrong_with_its_certificate() {
    let (authority, server, client) = for_names(&["shop.example"], Validity::Now);
    let server = server.client_roots(roots(&authority));
    let none = "it requires a certificate, and none was presented";
    let says = "the client presented no certificate, which is required here";
    Ends::new(server.clone(), client.clone())
        .fails(none, says)
        .await;
    let with = |made: &Made| client.clone().certificate(certificate(made));
    let past = authority.issue_valid(&["till.example"], Validity::Past);
    let says = "the client's certificate has expired";
    Ends::new(server.clone(), with(&past))
        .fails("has expired, or is not valid", says)
        .await;
    let future = authority.issue_valid(&["till.example"], Validity::Future);
    let says = "the client's certificate is not valid yet";
    Ends::new(server.clone(), with(&future))
        .fails("has expired, or is not valid", says)
        .await;
    let foreign = Authority::new("other").issue(&["till.example"]);
    let says = "the client's certificate does not lead to a root";
    Ends::new(server.clone(), with(&foreign))
        .fails("does not lead to a root", says)
        .await;
    let two = authority.issue(&[ID, "https://example.org/"]);
    Ends::new(server, with(&two))
        .fails("does not accept", "another URI beside it")
        .await;
}

#[tokio::test]
async fn both_must_agree_on_a_protocol() {
    let ends = || {
        let (_, server, client) = for_names(&["shop.example"], Validity::Now);
        Ends::new(server, client)
    };
    let hears = "it speaks none of the protocols that were offered (ALPN)";
    let wrong = Ends {
        client_alpn: &[b"other/1"],
        ..ends()
    };
    wrong
        .fails(
            hears,
            "the client offers none of the protocols spoken here (ALPN)",
        )
        .await;
    let none = Ends {
        client_alpn: &[],
        ..ends()
    };
    none.fails(
        hears,
        "the client names no protocol to speak inside of TLS (ALPN)",
    )
    .await;
}

#[tokio::test]
async fn a_server_that_agrees_on_no_protocol_is_none_of_ours() {
    let (_, server, client) = for_names(&["shop.example"], Validity::Now);
    let (near, far) = pair();
    let config = server.rustls_server(&[]);
    let serving = tokio::spawn(accept(Box::new(far), &[], config));
    let name = "shop.example".try_into().unwrap();
    let error = Dialler::new(client)
        .secure(Box::new(near), name)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("neither a DreamMesh server nor one of gRPC"),
        "{error}"
    );
    assert!(serving.await.unwrap().is_ok());
}

/// Has a peer say these bytes and no more; how the side under test ends, and what the peer hears.
async fn told<T>(bytes: &[u8], side: impl FnOnce(MemoryLink) -> T) -> (io::Result<()>, Vec<u8>)
where
    T: Future<Output = io::Result<()>> + Send + 'static,
{
    let (near, mut far) = pair();
    let side = tokio::spawn(side(near));
    far.write_all(bytes).await.unwrap();
    far.shutdown().await.unwrap();
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    (side.await.unwrap(), heard)
}

#[tokio::test]
async fn what_is_no_tls_is_told_so() {
    let (_, server, client) = for_names(&["shop.example"], Validity::Now);
    let config = server.rustls_server(&[ALPN]);
    let serve = |link: MemoryLink| {
        let accepting = accept(Box::new(link), &[], Arc::clone(&config));
        async { accepting.await.map(drop) }
    };
    for (bytes, says) in [
        (
            &b"\x16\x03\x01\x00\x05hello"[..],
            "the client does not speak TLS",
        ),
        (b"\x16\x03\x01\xff\xff", "the client does not speak TLS"),
        (b"\x16\x03", "closed the link during the TLS handshake"),
        (b"", "closed the link during the TLS handshake"),
    ] {
        let (ended, heard) = told(bytes, serve).await;
        let error = ended.unwrap_err().to_string();
        assert!(error.contains(says), "{bytes:?}: {error}");
        assert_eq!(
            heard.is_empty(),
            !says.contains("speak"),
            "{bytes:?}: {heard:?}"
        );
    }
    let name: ServerName<'_> = "shop.example".try_into().unwrap();
    let dialler = Dialler::new(client);
    let (ended, _) = told(b"HTTP/1.1 400 Bad Request\r\n\r\n", |link| async move {
        dialler.secure(Box::new(link), name).await.map(drop)
    })
    .await;
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("the server does not speak TLS"), "{error}");
}

#[tokio::test]
async fn a_message_of_the_handshake_has_a_bound() {
    let (_, server, _) = for_names(&["shop.example"], Validity::Now);
    let config = server.rustls_server(&[ALPN]);
    // A hello of which every record is complete and the end never comes.
    let endless = |bytes: usize| {
        let mut hello = vec![1, 0, 0x40, 0];
        hello.resize(bytes, 0);
        let records = hello.chunks(1019).flat_map(|part| {
            let [high, low] = (part.len() as u16).to_be_bytes();
            [&[0x16, 3, 1, high, low], part].concat()
        });
        records.collect::<Vec<u8>>()
    };
    let serve = |link: MemoryLink| {
        let accepting = accept(Box::new(link), &[], Arc::clone(&config));
        async { accepting.await.map(drop) }
    };
    let (ended, _) = told(&endless(8 * 1019)[..8191], serve).await;
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("closed the link"), "{error}");
    let (ended, _) = told(&endless(9 * 1019)[..8193], serve).await;
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("longer than 8 KiB"), "{error}");
}

/// A pair that has met, over a medium that holds 256 KiB each way.
async fn met() -> (BoxLink, BoxLink) {
    let (_, server, client) = for_names(&["shop.example"], Validity::Now);
    let went = Ends::new(server, client).meet().await;
    (went.client.unwrap(), Box::new(went.server.unwrap()))
}

#[tokio::test]
async fn bulk_passes_in_both_directions_at_once_whatever_its_parts() {
    const BYTES: usize = 3_000_000;
    let (client, server) = met().await;
    let mut sums = Vec::new();
    for link in [client, server] {
        let (mut reader, mut writer) = tokio::io::split(link);
        let writing = tokio::spawn(async move {
            let bytes: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
            let mut rest = &bytes[..];
            // From one byte to more than one step takes, and never a multiple of a record.
            for size in (0..).map(|round| 1 + round * 7919 % 150_000) {
                let (part, others) = rest.split_at(size.min(rest.len()));
                writer.write_all(part).await.unwrap();
                rest = others;
                if rest.is_empty() {
                    break;
                }
            }
            writer.flush().await.unwrap();
            writer
        });
        sums.push(tokio::spawn(async move {
            let mut bytes = vec![0; BYTES];
            // Little room makes what is decrypted wait.
            for (round, part) in bytes.chunks_mut(40_000).enumerate() {
                for part in part.chunks_mut(1 + round * 613 % 40_000) {
                    reader.read_exact(part).await.unwrap();
                }
            }
            assert!(
                bytes
                    .iter()
                    .enumerate()
                    .all(|(at, byte)| *byte == (at % 251) as u8)
            );
            drop(writing.await.unwrap());
        }));
    }
    for sum in sums {
        sum.await.unwrap();
    }
}

#[tokio::test]
async fn several_places_are_filled_in_their_order() {
    let (mut client, mut server) = met().await;
    let bytes: Vec<u8> = (0..50_000).map(|at| (at % 251) as u8).collect();
    client.write_all(&bytes).await.unwrap();
    client.flush().await.unwrap();
    let mut read = Vec::new();
    while read.len() < bytes.len() {
        let [mut small, mut large, mut tail] = [vec![0; 10], vec![0; 20_000], vec![0; 300]];
        let count = std::future::poll_fn(|cx| {
            let mut empty = [];
            let places = [&mut small[..], &mut empty, &mut large, &mut tail];
            let mut places = places.map(io::IoSliceMut::new);
            std::pin::Pin::new(&mut *server).poll_read_vectored(cx, &mut places)
        });
        let count = count.await.unwrap();
        assert!(count > 0, "more is to come");
        read.extend_from_slice(&[small, large, tail].concat()[..count]);
    }
    assert!(read == bytes);
}

#[tokio::test]
async fn what_the_medium_does_not_take_waits_until_it_is_flushed() {
    let (mut client, mut server) = met().await;
    let bytes = vec![7; 1 << 20];
    let mut written = 0;
    // A step is taken whole even where the medium takes only some of it; then none is.
    while let Ok(step) = tokio::time::timeout(
        std::time::Duration::from_millis(20),
        client.write(&bytes[written..]),
    )
    .await
    {
        written += step.unwrap();
    }
    assert!(written > 256 * 1024 - 64 * 1024, "{written}");
    let mut read = vec![0; written];
    let (flushed, received) = tokio::join!(client.flush(), server.read_exact(&mut read));
    flushed.unwrap();
    received.unwrap();
    assert!(read == bytes[..written]);
}

#[tokio::test]
async fn an_end_is_told_and_so_is_tampering() {
    let (mut client, mut server) = met().await;
    client.write_all(b"last").await.unwrap();
    client.shutdown().await.unwrap();
    let mut all = Vec::new();
    server.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"last");
    // The other direction stays open until it is closed too.
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"answer");
}
