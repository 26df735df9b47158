//! Peers that are broken, silent or hostile, and peers of another revision.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use dreammesh_core::call::{
    Code, Compression, Metadata, MethodInfo, MethodKind, Priority, WireOption,
};
use dreammesh_core::channel::UnaryCall;
use dreammesh_core::codec::Protobuf;
use dreammesh_core::layer::Metrics;
use dreammesh_core::port::{Keep, OpenTicket, Opening, WireMode};
use dreammesh_core::wire::{LayoutHash, Message, Segment};
use dreammesh_core::wkt::{Any, SourceContext};
use dreammesh_session::frame::PREFACE;
use dreammesh_session::{Config, Event, Output, Session};
use dreammesh_transport::Connector;
use dreammesh_transport::link::BoxLink;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::echo::{Echo, UNARY, ask, call};
use crate::media::{Medium, Site};
use crate::table::media;

async fn raw(site: &Site) -> TcpStream {
    TcpStream::connect(site.target.strip_prefix("dreammesh+tcp://").unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn garbage_on_the_port_is_told_so_and_harms_nobody() {
    let site = Site::new(Medium::Tcp).await;
    for garbage in [
        b"get / http/1.1\r\nhost: x\r\n\r\n".to_vec(),
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

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_within_the_preface_is_closed_in_time() {
    let server = |it: dreammesh_transport::ServerBuilder| {
        it.hello_timeout(Duration::from_millis(20))
            .max_connections(2)
    };
    let site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    for half in [&b""[..], b"P", b"PR", &PREFACE[..1], &PREFACE[..7]] {
        let mut stream = site.hub.dial("test").unwrap();
        stream.write_all(half).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        if half.starts_with(&PREFACE[..1]) {
            assert!(text.contains("no hello in time"), "{text}");
        } else {
            // It may be about to speak another protocol, in which ours would mean nothing.
            assert!(answer.is_empty(), "{text}");
        }
    }
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_holds_up_a_drain_for_seconds_only() {
    let server = |it: dreammesh_transport::ServerBuilder| it.hello_timeout(Duration::from_secs(60));
    let mut site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    let mut silent = site.hub.dial("test").unwrap();
    // Its connection is accepted by the time this one, which was dialled later, is answered.
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    let begun = tokio::time::Instant::now();
    site.stop();
    (&mut site.serving).await.unwrap();
    // It may have sent a call that is still on its way.
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_a_drain_ends_its_connection() {
    let mut site = Site::new(Medium::Memory).await;
    let mut link = site.hub.dial("test").unwrap();
    let begun = tokio::time::Instant::now();
    let mut client = Session::<()>::client(Config::default(), begun.into_std());
    let mut output = Output::new();
    client.poll_output(&mut output, usize::MAX);
    write_all(&mut link, &mut output).await;
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    site.stop();
    // The call was on its way when the client learnt of the drain, and comes together with what
    // says so.
    let mut late = open_calls(&mut client, "echo", 1, 0);
    let mut input = BytesMut::with_capacity(4096);
    while client.is_open() {
        assert!(link.read_buf(&mut input).await.unwrap() > 0);
        client.handle_input(begun.into_std(), &mut input);
    }
    client.poll_output(&mut output, usize::MAX);
    let late = [
        late.copy_to_bytes(late.remaining()),
        output.copy_to_bytes(output.remaining()),
    ];
    link.write_all(&late.concat()).await.unwrap();
    while link.read_buf(&mut input).await.unwrap() > 0 {}
    drop(link);
    (&mut site.serving).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn links_beyond_the_maximum_wait_until_one_ends() {
    let server = |it: dreammesh_transport::ServerBuilder| it.max_connections(1);
    let site = Site::with(Medium::Memory, Echo::default(), server, |it| it).await;
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
    let mut second = site.hub.dial("test").unwrap();
    second.write_all(&PREFACE).await.unwrap();
    let mut byte = [0];
    // The paused clock moves on only when nothing else can.
    let waited = tokio::time::timeout(Duration::from_secs(1), second.read(&mut byte)).await;
    assert!(waited.is_err(), "the second link got an answer");
    drop(site.channel);
    assert_eq!(second.read(&mut byte).await.unwrap(), 1);
}

/// Opens as many calls as asked for at once, each with so many bytes; the result is what to send.
fn many_calls(session: &mut Session<()>, calls: usize, bytes: usize) -> Output {
    open_calls(session, "echo", calls, bytes)
}

/// The same, of handlers that do what they are asked.
fn open_calls(session: &mut Session<()>, what: &str, calls: usize, bytes: usize) -> Output {
    let now = tokio::time::Instant::now().into_std();
    let request = Any {
        value: vec![5; bytes].into(),
        ..ask(what)
    };
    let request = request.to_protobuf().unwrap();
    let method = session.method(&UNARY).unwrap();
    for _ in 0..calls {
        let mut opening = Opening {
            method: &UNARY,
            metadata: &Metadata::new(),
            deadline: None,
            now: None,
            trace: None,
            priority: Priority::NORMAL,
            attempt: 0,
            idempotency_key: None,
            wire: WireOption::Protobuf,
            compression: Compression::Auto,
            keep: Keep::No,
            message: &mut Some(Segment::from_vec(request.clone())),
            half_close: true,
            ticket: &mut OpenTicket::default(),
        };
        let opened = session.open(now, method, WireMode::Protobuf, &mut opening);
        opened.unwrap();
    }
    let mut output = Output::new();
    session.poll_output(&mut output, usize::MAX);
    output
}

/// Writes until everything is written or the link breaks; how much was written.
async fn write_all(link: &mut BoxLink, output: &mut Output) -> usize {
    let mut written = 0;
    while output.has_remaining() {
        match link.write(output.chunk()).await {
            Ok(count) if count > 0 => {
                output.advance(count);
                written += count;
            }
            _ => break,
        }
    }
    written
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_read_no_further_and_closed_in_the_end() {
    const CALLS: usize = 1_000;
    const BYTES: usize = 8_000;
    /// What the session lets pend, and beside it a link, a read and a gathering of 256 KiB each.
    const HELD_BYTES_MAX: usize = (1 << 20) + 3 * (256 << 10);
    let site = Site::new(Medium::Memory).await;
    let started = tokio::time::Instant::now();
    let mut link = site.hub.dial("test").unwrap();
    let mut session = Session::client(Config::default(), started.into_std());
    let mut output = Output::new();
    session.poll_output(&mut output, usize::MAX);
    write_all(&mut link, &mut output).await;
    // It reads the hello, which says how many calls there may be, and then no more.
    let mut input = BytesMut::new();
    while session.poll_event() != Some(Event::Connected) {
        link.read_buf(&mut input).await.unwrap();
        session.handle_input(started.into_std(), &mut input);
    }
    let mut output = many_calls(&mut session, CALLS, BYTES);
    let flood = tokio::spawn(async move { write_all(&mut link, &mut output).await });

    tokio::time::sleep(Duration::from_secs(5)).await;
    let begun = site.probe.begun.load(Ordering::SeqCst);
    assert!(begun * BYTES > 1 << 20, "{begun} calls");
    assert!(begun * BYTES <= HELD_BYTES_MAX, "{begun} calls");
    for _ in 0..100 {
        assert!(call(&site.channel, &ask("echo")).await.is_ok());
    }
    assert!(!flood.is_finished());
    let written = flood.await.unwrap();
    assert!(written <= 2 * HELD_BYTES_MAX, "{written} bytes");
    // 20 s until the PING, 10 s for its answer, and at most 1 s for the last words.
    assert!((30..=31).contains(&started.elapsed().as_secs()));
    assert_eq!(site.probe.begun.load(Ordering::SeqCst), begun + 100);
    assert!(call(&site.channel, &ask("echo")).await.is_ok());
}

/// Answers of calls that waited fill the output between the driver's last look and its next read,
/// so what it reads stays where it is; and the peer, which waits for an answer, sends no more.
#[tokio::test(start_paused = true)]
async fn a_call_that_came_while_much_output_was_pending_is_answered() {
    const GATED: usize = 40;
    let site = Site::new(Medium::Memory).await;
    let started = tokio::time::Instant::now();
    let now = started.into_std();
    let mut link = site.hub.dial("test").unwrap();
    let mut session = Session::client(Config::default(), now);
    let mut output = Output::new();
    session.poll_output(&mut output, usize::MAX);
    write_all(&mut link, &mut output).await;
    let mut input = BytesMut::new();
    while session.poll_event() != Some(Event::Connected) {
        link.read_buf(&mut input).await.unwrap();
        session.handle_input(now, &mut input);
    }
    let mut gated = open_calls(&mut session, "gate", GATED, 60_000);
    write_all(&mut link, &mut gated).await;
    site.probe.alive_is(GATED).await;
    // The handlers go on before the driver does, which finds this call when they are done.
    site.probe.gate.notify_waiters();
    let mut last = open_calls(&mut session, "echo", 1, 10);
    write_all(&mut link, &mut last).await;
    while site.probe.begun.load(Ordering::SeqCst) <= GATED {
        assert!(link.read_buf(&mut input).await.unwrap() > 0);
        session.handle_input(now, &mut input);
        session.poll_output(&mut output, usize::MAX);
        write_all(&mut link, &mut output).await;
    }
    // The paused clock moves on only when nothing else can, as up to a sign of life.
    assert_eq!(started.elapsed(), Duration::ZERO);
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
    for medium in media!() {
        let site = Site::new(medium).await;
        let metrics = Metrics::new();
        let connector = site.connector();
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
    for medium in media!() {
        let site = Site::new(medium).await;
        let metrics = Metrics::new();
        let connector = site.connector();
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
