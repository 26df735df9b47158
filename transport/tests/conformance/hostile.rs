//! Peers that are broken, silent or hostile, and peers of another revision.

use std::time::Duration;

use dreammesh_core::call::{Code, MethodInfo, MethodKind, WireOption};
use dreammesh_core::channel::UnaryCall;
use dreammesh_core::layer::Metrics;
use dreammesh_core::port::WireMode;
use dreammesh_core::wire::{LayoutHash, Message};
use dreammesh_core::wkt::SourceContext;
use dreammesh_session::frame::PREFACE;
use dreammesh_transport::Connector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::echo::{Echo, ask, call};
use crate::media::{ALL, Medium, Site};

async fn raw(site: &Site) -> TcpStream {
    TcpStream::connect(site.target.strip_prefix("dreammesh+tcp://").unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn garbage_on_the_port_is_told_so_and_harms_nobody() {
    let site = Site::new(Medium::Tcp).await;
    for garbage in [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        vec![0xff; 4096],
        (0..=255).cycle().take(100_000).collect(),
    ] {
        let mut stream = raw(&site).await;
        // The server may close while it is being written to.
        let _ = stream.write_all(&garbage).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(
            answer.first().is_some_and(|first| *first >= 0x80),
            "its preface comes first"
        );
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
    }
}

#[tokio::test]
async fn a_peer_that_falls_silent_within_the_preface_is_closed_in_time() {
    let server = |it: dreammesh_transport::ServerBuilder| {
        it.hello_timeout(Duration::from_millis(20))
            .max_connections(2)
    };
    let site = Site::with(Medium::Tcp, Echo::default(), server, |it| it).await;
    for half in [0, 1, 7] {
        let mut stream = raw(&site).await;
        stream.write_all(&PREFACE[..half]).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("no hello in time"), "{text}");
    }
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

#[tokio::test]
async fn links_beyond_the_maximum_wait_until_one_ends() {
    let server = |it: dreammesh_transport::ServerBuilder| it.max_connections(1);
    let site = Site::with(Medium::Tcp, Echo::default(), server, |it| it).await;
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    let mut second = raw(&site).await;
    let mut byte = [0];
    let waited = tokio::time::timeout(Duration::from_millis(20), second.read(&mut byte)).await;
    assert!(waited.is_err(), "the second link got an answer");
    drop(site.channel);
    assert_eq!(second.read(&mut byte).await.unwrap(), 1);
}

#[tokio::test]
async fn other_layouts_under_the_same_path_are_served_as_protobuf() {
    // Field 1 is a string in both messages, so protobuf reads one as the other.
    const OTHER: LayoutHash = LayoutHash([8; 16]);
    static UNARY: MethodInfo = MethodInfo::new(
        "/test.Echo/Unary",
        MethodKind::Unary,
        SourceContext::LAYOUT,
        SourceContext::LAYOUT,
    )
    .with_closures(OTHER, OTHER);
    for medium in ALL {
        let site = Site::new(medium).await;
        let metrics = Metrics::new();
        let connector = Connector::new().memory(&site.hub);
        let builder = connector.channel_builder(&site.target).unwrap();
        let channel = builder.metrics(metrics.clone()).build();
        for _ in 0..5 {
            let request = SourceContext {
                file_name: "echo".into(),
                ..SourceContext::default()
            };
            let answer = UnaryCall::<SourceContext>::new(&channel, &UNARY, request)
                .await
                .unwrap();
            assert_eq!(answer.view().file_name(), "echo", "{medium:?}");
        }
        let counts = &metrics.snapshot()[0];
        assert_eq!(counts.count_in(WireMode::Protobuf), 5, "{medium:?}");
        assert_eq!(counts.count_in(WireMode::Archive), 0, "{medium:?}");
    }
}

#[tokio::test]
async fn equal_layouts_travel_as_archives_until_the_switch_says_otherwise() {
    for medium in ALL {
        let site = Site::new(medium).await;
        let metrics = Metrics::new();
        let connector = Connector::new().memory(&site.hub);
        let builder = connector.channel_builder(&site.target).unwrap();
        let channel = builder
            .metrics(metrics.clone())
            .wire(WireOption::Auto)
            .build();
        for _ in 0..5 {
            assert!(call(&channel, &ask("echo")).await.is_ok());
        }
        let archives = metrics.snapshot()[0].count_in(WireMode::Archive);
        assert!(archives >= 4, "{medium:?}: {archives}");
        for _ in 0..5 {
            assert!(
                call(&channel, &ask("echo"))
                    .wire(WireOption::Protobuf)
                    .await
                    .is_ok()
            );
        }
        assert!(metrics.snapshot()[0].count_in(WireMode::Archive) <= archives + 5);
    }
}

#[tokio::test]
async fn a_target_that_nobody_serves_fails_at_once_and_says_why() {
    let error = Connector::new()
        .connect("unix:///nobody/is/here.sock")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("unix:///nobody/is/here.sock"),
        "{error}"
    );
    assert!(!error.is_target());
    let error = Connector::new()
        .connect("mesh://catalog")
        .await
        .unwrap_err();
    assert!(error.is_target());
    let lazy = Connector::new()
        .connect_lazy("unix:///nobody/is/here.sock")
        .unwrap();
    assert_eq!(
        call(&lazy, &ask("echo")).await.unwrap_err().code(),
        Code::Unavailable
    );
}
