//! Calls that travel with the hello of a connection (0-RTT).
//!
//! A connection is lost by having the relay swallow everything until keepalive notices. With what
//! the server sends swallowed and nothing else, no handshake can be done, so that whatever a
//! handler sees has travelled early.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dreammesh_core::call::{Code, MethodInfo};
use dreammesh_core::channel::{Channel, UnaryCall};
use dreammesh_core::wkt::Any;
use dreammesh_transport::ServerBuilder;
use dreammesh_transport::tls::{Certificate, ClientTls, Live, Roots};

use super::address_of;
use crate::authority::Authority;
use crate::certificates;
use crate::echo::{Echo, HARMLESS, QUERY, ask, call};
use crate::media::{Medium, Site, serve};
use crate::udp_relay::{UdpRelay, Weather};

const LOST: Weather = Weather {
    lost_per_mille: 1000,
    ..Weather::CLEAR
};

/// Long enough for a handler to begin on a busy machine, when nothing comes back.
const KEEPALIVE: Duration = Duration::from_secs(1);

async fn site(server_takes: bool) -> Site {
    let tls = certificates::pair().0.early_data(server_takes);
    let settings = |server: ServerBuilder| server.tls(tls);
    Site::with(Medium::Quic, Echo::default(), settings, |connector| {
        connector
    })
    .await
}

/// A channel through the relay that notices soon when its connection is lost.
async fn channel(site: &Site, relay: &UdpRelay, early: bool) -> Channel {
    through(site, relay, certificates::pair().1.early_data(early)).await
}

async fn through(site: &Site, relay: &UdpRelay, tls: ClientTls) -> Channel {
    let connector = site.connector().tls(tls);
    let connector = connector.keepalive(KEEPALIVE, KEEPALIVE);
    let target = format!("dreammesh+quic://{}", relay.address);
    let channel = connector.connect(&target).await.unwrap();
    // The server hands out its ticket as soon as the handshake is done.
    assert!(call(&channel, &ask("echo")).await.is_ok());
    assert!(query(&channel, "echo").await.is_ok());
    channel
}

fn query(channel: &Channel, what: &str) -> UnaryCall<Any> {
    UnaryCall::new(channel, &QUERY, ask(what))
}

async fn lose_connection(relay: &UdpRelay, channel: &Channel) {
    relay.set(LOST);
    let error = call(channel, &ask("echo")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

/// How many of two calls begin before the handshake can be done, one of each method.
async fn begin_early(site: &Site, relay: &UdpRelay, channel: &Channel, first: &'static MethodInfo) {
    lose_connection(relay, channel).await;
    let before = site.probe.begun.load(Ordering::SeqCst);
    relay.set_each(Weather::CLEAR, LOST);
    let spawn = |method| {
        let channel = channel.clone();
        tokio::spawn(async move { UnaryCall::<Any>::new(&channel, method, ask("echo")).await })
    };
    let effects = spawn(&crate::echo::UNARY);
    let first = spawn(first);
    let begun = || site.probe.begun.load(Ordering::SeqCst);
    site.probe.until(|| begun() > before).await;
    assert_eq!(begun(), before + 1);
    relay.set(Weather::CLEAR);
    assert!(first.await.unwrap().is_ok());
    assert!(effects.await.unwrap().is_ok());
    assert_eq!(begun(), before + 2);
}

#[tokio::test]
async fn calls_without_effects_begin_before_the_handshake_is_done() {
    let site = site(true).await;
    let relay = UdpRelay::new(address_of(&site), 11).await;
    let channel = channel(&site, &relay, true).await;
    begin_early(&site, &relay, &channel, &QUERY).await;
    // Each connection leaves a ticket for the next.
    begin_early(&site, &relay, &channel, &QUERY).await;
}

/// The client's contract says that the method has no effects; the server's does not.
#[tokio::test]
async fn a_call_that_the_server_knows_to_have_effects_waits_for_the_handshake() {
    let site = site(true).await;
    let relay = UdpRelay::new(address_of(&site), 12).await;
    let channel = channel(&site, &relay, true).await;
    lose_connection(&relay, &channel).await;
    let before = site.probe.begun.load(Ordering::SeqCst);
    relay.set_each(Weather::CLEAR, LOST);
    let claimed = tokio::spawn({
        let channel = channel.clone();
        async move { UnaryCall::<Any>::new(&channel, &HARMLESS, ask("echo")).await }
    });
    // Behind it on the same lane, so that it has been looked at when this one begins.
    let begun = || site.probe.begun.load(Ordering::SeqCst);
    let sent = relay.to_server().datagrams();
    while relay.to_server().datagrams() == sent {
        tokio::task::yield_now().await;
    }
    let harmless = tokio::spawn({
        let channel = channel.clone();
        async move { query(&channel, "echo").await }
    });
    site.probe.until(|| begun() > before).await;
    assert_eq!(begun(), before + 1);
    relay.set(Weather::CLEAR);
    assert!(harmless.await.unwrap().is_ok());
    assert!(claimed.await.unwrap().is_ok());
    assert_eq!(begun(), before + 2);
}

#[tokio::test]
async fn nothing_travels_early_unless_both_sides_want_it() {
    for (client, server) in [(false, true), (true, false)] {
        let site = site(server).await;
        let relay = UdpRelay::new(address_of(&site), 13).await;
        let channel = channel(&site, &relay, client).await;
        lose_connection(&relay, &channel).await;
        let before = site.probe.begun.load(Ordering::SeqCst);
        let (sent, hidden) = (relay.to_server().datagrams(), relay.to_client().datagrams());
        relay.set_each(Weather::CLEAR, LOST);
        let call = tokio::spawn({
            let channel = channel.clone();
            async move { query(&channel, "echo").await }
        });
        // The server has answered the hello, and the client has sent it again since.
        while relay.to_client().datagrams() == hidden || relay.to_server().datagrams() < sent + 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(site.probe.begun.load(Ordering::SeqCst), before);
        relay.set(Weather::CLEAR);
        assert!(call.await.unwrap().is_ok());
        assert_eq!(relay.early(), 0);
    }
}

#[tokio::test]
async fn what_a_server_does_not_take_early_is_made_anew_once() {
    let mut first = site(true).await;
    let relay = UdpRelay::new(address_of(&first), 14).await;
    let channel = channel(&first, &relay, true).await;
    lose_connection(&relay, &channel).await;
    first.stop();
    first.serving.await.unwrap();
    // Another server at the same address knows nothing of the tickets.
    let tls = certificates::pair().0.early_data(true);
    let echo = Echo::default();
    let probe = std::sync::Arc::clone(&echo.probe);
    let (_, _stop, serving) = serve(&first.hub, &first.target, echo, |it| it.tls(tls)).await;
    relay.set(Weather::CLEAR);
    assert_eq!(relay.early(), 0);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let channel = channel.clone();
        calls.spawn(async move { query(&channel, "echo").await });
    }
    while let Some(answer) = calls.join_next().await {
        answer.unwrap().unwrap();
    }
    assert!(relay.early() > 0);
    assert_eq!(probe.begun.load(Ordering::SeqCst), 300);
    serving.abort();
}

/// The server asks nobody for a sign of life, so that nothing but the bound of a handshake ends it.
#[tokio::test]
async fn a_handshake_that_is_not_done_in_time_ends_what_travelled_early() {
    let tls = certificates::pair().0.early_data(true);
    let never = Duration::from_secs(3600);
    let settings = |server: ServerBuilder| {
        let server = server.tls(tls).keepalive(never, never);
        server.hello_timeout(Duration::from_millis(1500))
    };
    let site = Site::with(Medium::Quic, Echo::default(), settings, |it| it).await;
    let relay = UdpRelay::new(address_of(&site), 15).await;
    let channel = channel(&site, &relay, true).await;
    lose_connection(&relay, &channel).await;
    relay.set_each(Weather::CLEAR, LOST);
    let call = tokio::spawn({
        let channel = channel.clone();
        async move { query(&channel, "never").await }
    });
    site.probe.alive_is(1).await;
    relay.set(LOST);
    site.probe.alive_is(0).await;
    call.abort();
}

#[tokio::test]
async fn a_resumed_client_is_who_it_was_until_what_stands_behind_its_ticket_is_replaced() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let roots = |authority: &Authority| Roots::from_pem(authority.pem()).unwrap();
    let issue = |name| {
        let made = before.issue(&[name]);
        Certificate::from_pem(&made.chain, &made.key).unwrap()
    };
    let own = Live::new(issue("client.example"));
    let believed = Live::new(roots(&before));
    let server = certificates::pair()
        .0
        .client_roots(believed.clone())
        .early_data(true);
    let client = certificates::pair()
        .1
        .certificate(own.clone())
        .early_data(true);
    let site = Site::with(
        Medium::Quic,
        Echo::default(),
        |it| it.tls(server),
        |it| it.tls(client.clone()),
    )
    .await;
    let relay = UdpRelay::new(address_of(&site), 16).await;
    let channel = through(&site, &relay, client).await;
    let who = async || {
        query(&channel, "who")
            .await
            .map(|who| who.view().type_url().to_owned())
    };
    assert_eq!(who().await.unwrap(), "client.example");
    lose_connection(&relay, &channel).await;
    relay.set(Weather::CLEAR);
    assert_eq!(who().await.unwrap(), "client.example");
    own.replace(issue("renewed.example"));
    lose_connection(&relay, &channel).await;
    relay.set(Weather::CLEAR);
    assert_eq!(who().await.unwrap(), "renewed.example");
    believed.replace(roots(&after));
    lose_connection(&relay, &channel).await;
    relay.set(Weather::CLEAR);
    let why = who().await.unwrap_err().to_string();
    assert!(
        why.contains("does not lead to a root that it trusts"),
        "{why}"
    );
}

#[tokio::test]
async fn what_somebody_else_sends_again_begins_nothing() {
    let site = site(true).await;
    let relay = UdpRelay::new(address_of(&site), 17).await;
    let channel = channel(&site, &relay, true).await;
    lose_connection(&relay, &channel).await;
    let before = site.probe.begun.load(Ordering::SeqCst);
    relay.record();
    relay.set(Weather::CLEAR);
    assert!(query(&channel, "echo").await.is_ok());
    assert!(relay.early() > 0);
    assert_eq!(site.probe.begun.load(Ordering::SeqCst), before + 1);
    let recorded = relay.recorded();
    drop(channel);
    let copier = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    copier.connect(address_of(&site)).await.unwrap();
    // As long as the server knows the connection, a copy of its hello is one that was duplicated on
    // the way; then it begins another.
    let mut answer = [0; 2048];
    loop {
        for datagram in &recorded {
            copier.send(datagram).await.unwrap();
        }
        let patience = Duration::from_millis(100);
        if tokio::time::timeout(patience, copier.recv(&mut answer))
            .await
            .is_ok()
        {
            break;
        }
    }
    // What the copy could begin has begun by the time that a later call is answered.
    assert!(query(&site.channel, "echo").await.is_ok());
    assert_eq!(site.probe.begun.load(Ordering::SeqCst), before + 2);
}

#[tokio::test]
async fn a_client_does_not_resume_what_it_would_not_begin() {
    let site = site(true).await;
    let relay = UdpRelay::new(address_of(&site), 18).await;
    let believed = Live::new(certificates::roots());
    let tls = ClientTls::new(believed.clone()).early_data(true);
    let channel = through(&site, &relay, tls).await;
    believed.replace(Roots::from_pem(Authority::new("other").pem()).unwrap());
    lose_connection(&relay, &channel).await;
    relay.set(Weather::CLEAR);
    let why = query(&channel, "echo").await.unwrap_err().to_string();
    assert!(why.contains("does not lead to a root"), "{why}");
    assert_eq!(relay.early(), 0);
    // What is trusted again is verified again, and resumed.
    believed.replace(certificates::roots());
    assert!(query(&channel, "echo").wait_for_ready(true).await.is_ok());
}
