//! The annotated bytes of docs/PROTOCOL.md §11 are what the implementation writes.

use std::time::Duration;

use dreammesh_core::call::{
    Compression, Deadline, Metadata, MethodInfo, MethodKind, Priority, WireOption,
};
use dreammesh_core::port::{Keep, OpenTicket, Opening, WireMode};
use dreammesh_core::wire::{Layout, LayoutHash, Segment};
use dreammesh_session::frame::method::Hashes;
use dreammesh_session::frame::method_ack::Chains;
use dreammesh_session::{Config, Event, MethodAnswer, Session};

use crate::by_hand::Side;

static LAYOUT: Layout = Layout::new("shop.v1.Item", &[], &[], 0, &[LayoutHash([7; 16])]);
static GET_ITEM: MethodInfo = MethodInfo::new(
    "/shop.v1.Catalog/GetItem",
    MethodKind::Unary,
    &LAYOUT,
    &LAYOUT,
)
.with_closures(LayoutHash([0x11; 16]), LayoutHash([0x22; 16]));

/// The bytes one side says in the example: hex pairs, up to the remark after three spaces.
fn said(side: &str) -> Vec<u8> {
    let page = include_str!("../../../../docs/PROTOCOL.md");
    let example = page
        .split("byte by byte")
        .nth(1)
        .expect("the page has its example");
    let block = example.split("```").nth(1).expect("the example is a block");
    let mut bytes = Vec::new();
    let mut speaks = false;
    for line in block.lines().filter(|line| !line.is_empty()) {
        if let Some((speaker, _)) = line.split_once(':') {
            speaks = speaker == side;
        } else if speaks {
            let hex = line.split("   ").next().unwrap_or_default();
            let pairs = hex
                .split_whitespace()
                .map(|pair| u8::from_str_radix(pair, 16));
            bytes.extend(pairs.map(|byte| byte.expect("hex")));
        }
    }
    bytes
}

#[test]
fn the_example_is_what_is_written() {
    let now = std::time::Instant::now();
    let mut client = Side::new(Session::client(Config::default(), now), now);
    let mut server = Side::new(Session::server(Config::default(), now), now);
    let hello = server.bytes();

    let method = client.session.method(&GET_ITEM).expect("room for a method");
    let mut message = Some(Segment::from_vec(b"\x0a\x04A-17".to_vec()));
    let mut ticket = OpenTicket::NONE;
    let metadata = Metadata::new();
    let mut opening = Opening {
        method: &GET_ITEM,
        metadata: &metadata,
        deadline: Deadline::after(now, Duration::from_millis(50)),
        now: None,
        trace: None,
        priority: Priority::NORMAL,
        attempt: 0,
        idempotency_key: None,
        wire: WireOption::Auto,
        compression: Compression::Auto,
        keep: Keep::No,
        message: &mut message,
        half_close: true,
        ticket: &mut ticket,
    };
    let opened = client
        .session
        .open(now, method, WireMode::Protobuf, &mut opening);
    opened.expect("room for a call");
    let from_client = client.bytes();
    assert_eq!(from_client, said("client"));

    server
        .session
        .handle_input(now, &mut (&from_client[..]).into());
    let hash = |byte| LayoutHash([byte; 16]);
    while let Some(event) = server.session.poll_event() {
        match event {
            Event::Method(index) => {
                let hashes = Hashes {
                    request: hash(0x11),
                    response: hash(0x22),
                };
                let chains = Chains::default();
                let answer = MethodAnswer {
                    known: true,
                    streams_requests: false,
                    hashes,
                    chains,
                };
                server.session.answer_method(index, &answer);
            }
            Event::Opened(key) => {
                server.session.accept(key).expect("a whole call");
                let mode = server.session.response_mode(key).expect("it is live");
                server
                    .session
                    .answer(key, Segment::from_vec(vec![0; 8]), mode);
            }
            _ => {}
        }
    }
    assert_eq!(server.bytes(), said("server"));
    drop(hello);
}
