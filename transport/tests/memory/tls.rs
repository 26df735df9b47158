//! Peers that begin a TLS handshake and do not go on.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::child;
use crate::floods::{HALF_BYTES_MAX, hold};

/// The first message of a client, which believes in nobody; it never gets that far.
fn hello() -> Vec<u8> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"dreammesh/1".to_vec()];
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn who_begins_a_handshake_and_does_not_go_on_holds_little_and_is_closed() {
    let hello = hello();
    let half = &hello[..hello.len() / 2];
    // A message that may be as long as any, short of its end by more than its bound.
    let endless = [&[0x16, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb][..], &[0; 8_100]].concat();
    let half_of_next = [&hello[..], &[0x17, 3, 3, 0x10, 0], &[0; 2_000]].concat();
    for (name, half) in [
        ("one byte", &hello[..1]),
        ("half a hello", half),
        ("a hello as long as may be", &endless),
        ("a hello without the rest of the handshake", &hello),
        ("a hello and half of what follows", &half_of_next),
    ] {
        hold(child::SECURE, name, half, HALF_BYTES_MAX);
    }
}
