//! Chunks read to where they stay, and what comes where a chunk was expected.

use bytes::BytesMut;
use dreammesh_session::frame::{CloseCode, flag, kind};
use dreammesh_session::{Config, Event};

use crate::by_hand::{Side, frame, open};

const STREAM: (u32, u32) = (0, 1);
const OTHER: (u32, u32) = (1, 1);
const CHUNK: usize = 65_536;

/// The first chunk of a message of `total` bytes.
fn first(id: (u32, u32), total: u64, payload: &[u8]) -> Vec<u8> {
    frame(
        kind::CHUNK,
        flag::MESSAGE | flag::PROTOBUF,
        id,
        &total.to_le_bytes(),
        payload,
    )
}

fn next(id: (u32, u32), flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(kind::CHUNK, flags, id, &[], payload)
}

/// Bytes of which no two chunks are alike.
fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at % 251) as u8 ^ (at / CHUNK) as u8)
        .collect()
}

/// Two calls that wait for a message each.
fn side() -> Side {
    let mut side = Side::server(Config::default());
    side.hear(&[open(STREAM, 2, 0, None), open(OTHER, 2, 0, None)].concat());
    side
}

/// Leaves a buffer on the shelf, so that landings reach beyond the chunk that is arriving.
fn warm(side: &mut Side, id: (u32, u32), text: &[u8]) {
    let chunks: Vec<_> = text.chunks(CHUNK).collect();
    side.hear(&first(id, text.len() as u64, chunks[0]));
    for chunk in &chunks[1..] {
        side.hear(&next(id, 0, chunk));
    }
    let key = side.opened()[id.0 as usize];
    let accepted = side.session.accept(key).expect("a call");
    assert_eq!(accepted.message.expect("whole").bytes, text);
}

/// Hands over what the link has, `step` bytes at a read; gives how many reads went to a landing.
fn read(side: &mut Side, mut link: &[u8], step: usize) -> usize {
    let mut input = BytesMut::new();
    let mut landings = 0;
    while !link.is_empty() {
        let landing = match input.is_empty() {
            true => side.session.poll_landing(),
            false => None,
        };
        let (mut now, rest) = link.split_at(step.min(link.len()));
        if let Some(mut landing) = landing {
            landings += 1;
            let mut behind = [0; 24];
            let before = now.len();
            for place in &mut landing.places(&mut behind) {
                let (taken, left) = now.split_at(place.len().min(now.len()));
                place[..taken.len()].copy_from_slice(taken);
                now = left;
            }
            let behind = &behind[..landing.fill(before - now.len())];
            input.extend_from_slice(behind);
            link = &link[before - now.len()..];
            side.session.handle_landed(side.now, landing, &mut input);
        } else {
            input.extend_from_slice(now);
            link = rest;
        }
        side.session.handle_input(side.now, &mut input);
        side.events();
    }
    landings
}

/// The next message of a call that was accepted.
fn taken(side: &mut Side, slot: usize) -> Vec<u8> {
    let key = side.opened()[slot];
    let message = side.session.take_message(key).expect("it is there");
    message.expect("live").expect("one more").bytes.to_vec()
}

#[test]
fn a_message_lands_whole_whatever_the_reads_bring() {
    // A size that no other test uses: the shelf is the process's.
    let text = text(9 * CHUNK + 333);
    let chunks: Vec<_> = text.chunks(CHUNK).collect();
    let mut link = first(STREAM, text.len() as u64, chunks[0]);
    for chunk in &chunks[1..] {
        link.extend(next(STREAM, 0, chunk));
    }
    for step in [1000, 65_535, 65_536, 65_552, 200_001, 1 << 20] {
        let mut side = side();
        warm(&mut side, STREAM, &text);
        let landings = read(&mut side, &link, step);
        assert!(landings > 0 || step > text.len(), "{step}");
        assert_eq!(taken(&mut side, 0), text, "{step}");
    }
}

#[test]
fn what_comes_between_the_chunks_is_input() {
    let text = text(8 * CHUNK);
    let chunks: Vec<_> = text.chunks(CHUNK).collect();
    for at in 1..chunks.len() {
        let mut link = first(STREAM, text.len() as u64, chunks[0]);
        for (number, chunk) in chunks.iter().enumerate().skip(1) {
            if number == at {
                link.extend(frame(kind::PING, 0, (0, 0), &[7; 8], &[]));
                link.extend(first(OTHER, 70_000, &[1; 40_000]));
                link.extend(next(OTHER, 0, &[2; 30_000]));
            }
            link.extend(next(STREAM, 0, chunk));
        }
        for step in [70_000, 300_000] {
            let mut side = side();
            warm(&mut side, STREAM, &text);
            warm(&mut side, OTHER, &text);
            side.frames();
            assert!(read(&mut side, &link, step) > 0);
            assert_eq!(taken(&mut side, 0), text, "{at}");
            assert_eq!(taken(&mut side, 1)[40_000..], [2; 30_000], "{at}");
            let pongs = side.frames();
            assert!(pongs.iter().any(|seen| seen.header.kind == kind::PONG));
        }
    }
}

#[test]
fn a_call_that_ends_amid_a_landing_leaves_no_credit_behind() {
    let text = text(6 * CHUNK);
    let chunks: Vec<_> = text.chunks(CHUNK).collect();
    let mut side = side();
    warm(&mut side, STREAM, &text);
    let key = side.opened()[0];
    side.hear(&first(STREAM, text.len() as u64, &chunks[0][..CHUNK])[..5000]);
    let mut landing = side.session.poll_landing().expect("a chunk is arriving");
    assert!(side.session.poll_landing().is_none(), "there is one place");
    let held = side.session.stats().credit_held;
    assert_eq!(held, text.len() as u64);
    // The handler is over before its request is.
    let status = dreammesh_core::call::Status::cancelled("enough");
    let reason = dreammesh_session::frame::end::EndReason::APPLICATION;
    let none = dreammesh_core::call::Metadata::new();
    let begun = dreammesh_core::call::Begun::Maybe;
    side.session.end(key, &status, reason, begun, &none);
    assert_eq!(side.session.stats().credit_held, 0);
    // What lands is passed over, and what follows is understood.
    let mut rest = chunks[0][5000 - 24..].to_vec();
    rest.extend(next(STREAM, 0, chunks[1]));
    rest.extend(frame(kind::PING, 0, (0, 0), &[7; 8], &[]));
    let mut behind = vec![0; rest.len()];
    let mut left = &rest[..];
    for place in &mut landing.places(&mut behind) {
        let (now, after) = left.split_at(place.len().min(left.len()));
        place[..now.len()].copy_from_slice(now);
        left = after;
    }
    behind.truncate(landing.fill(rest.len()));
    let mut input = BytesMut::from(&behind[..]);
    side.session.handle_landed(side.now, landing, &mut input);
    side.session.handle_input(side.now, &mut input);
    side.events();
    assert!(input.is_empty());
    assert!(
        side.frames()
            .iter()
            .any(|seen| seen.header.kind == kind::PONG)
    );
}

#[test]
fn no_input_is_taken_while_a_landing_is_out() {
    let mut side = side();
    side.hear(&first(STREAM, 70_000, &[7; 40_000])[..1000]);
    let landing = side.session.poll_landing().expect("a chunk is arriving");
    let mut input = BytesMut::from(&[7; 100][..]);
    side.session.handle_input(side.now, &mut input);
    assert_eq!(input.len(), 100);
    side.session
        .handle_landed(side.now, landing, &mut BytesMut::new());
    side.session.handle_input(side.now, &mut input);
    assert!(input.is_empty());
}

#[test]
fn a_chunk_is_judged_by_its_head() {
    let begun = |flags, length: usize| {
        let mut side = side();
        side.hear(&first(STREAM, 70_000, &[7; 40_000]));
        side.hear(&next(STREAM, flags, &vec![7; length])[..16]);
        side.closed().map(|closed| closed.code)
    };
    assert_eq!(begun(0, 30_000), None);
    assert_eq!(begun(flag::END, 30_000), None);
    assert_eq!(begun(0, 30_001), Some(CloseCode::PROTOCOL));
    assert_eq!(begun(flag::END, 29_999), Some(CloseCode::PROTOCOL));
    assert_eq!(begun(0, 0), Some(CloseCode::PROTOCOL));
    let mut side = side();
    side.hear(&next(STREAM, 0, &[7; 10])[..16]);
    let closed = side
        .events
        .iter()
        .any(|event| matches!(event, Event::Closed(_)));
    assert!(closed, "nothing was announced");
}
