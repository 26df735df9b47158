//! How two sides find out which directions carry archives.

use dreammesh_core::call::{MethodInfo, MethodKind};
use dreammesh_core::port::WireMode;
use dreammesh_core::wire::{Layout, LayoutHash};
use dreammesh_session::frame::method::{Assumed, Hashes, Verdict};
use dreammesh_session::frame::method_ack::Chains;
use dreammesh_session::frame::{CloseCode, kind};
use dreammesh_session::{Config, Event, MethodAnswer, Session};

use crate::by_hand::{Side, frame, hello, section};
use crate::methods::METHODS;

static LAYOUT: Layout = Layout::new("test.Empty", &[], &[], 0, &[LayoutHash([7; 16])]);
static METHOD: MethodInfo = MethodInfo::new("/a.B/C", MethodKind::Unary, &LAYOUT, &LAYOUT)
    .with_closures(LayoutHash([1; 16]), LayoutHash([2; 16]));

const OURS: Hashes = Hashes {
    request: LayoutHash([1; 16]),
    response: LayoutHash([2; 16]),
};
const OTHER: Hashes = Hashes {
    request: LayoutHash([1; 16]),
    response: LayoutHash([9; 16]),
};

/// A client and a server whose layouts differ in the response; gives the server's events' end.
fn pair(assumed: Option<Assumed>, chains: Chains<'_>) -> (Side, Side, u32) {
    let now = std::time::Instant::now();
    let mut client = Side::new(Session::client(Config::default(), now), now);
    let mut server = Side::new(Session::server(Config::default(), now), now);
    let method = match assumed {
        Some(assumed) => client.session.method_assuming(&METHOD, assumed),
        None => client.session.method(&METHOD),
    };
    let method = method.expect("room");
    server
        .session
        .handle_input(now, &mut (&client.bytes()[..]).into());
    while let Some(event) = server.session.poll_event() {
        if event == Event::Method(0) {
            let answer = MethodAnswer {
                known: true,
                streams_requests: false,
                hashes: OTHER,
                chains,
            };
            server.session.answer_method(0, &answer);
        }
    }
    let bytes = server.bytes();
    client.hear(&bytes);
    (client, server, method)
}

#[test]
fn a_mismatch_is_judged_by_the_client_once() {
    let chains = Chains {
        request: b"asked",
        response: b"answered",
    };
    let (mut client, mut server, method) = pair(None, chains);
    assert_eq!(client.events, [Event::Connected, Event::JudgeLayouts(0)]);
    let half = Verdict {
        request: true,
        response: false,
    };
    assert_eq!(
        (client.session.verdict(method), server.session.verdict(0)),
        (half, half)
    );
    assert_eq!(client.session.request_mode(method), WireMode::Archive);
    let judged = client
        .session
        .layouts_to_judge(method)
        .expect("chains to judge");
    assert_eq!((judged.ours, judged.theirs), (OURS, OTHER));
    assert_eq!(
        (&judged.request_chains[..], &judged.response_chains[..]),
        (&b"asked"[..], &b"answered"[..])
    );
    client.session.settle_layouts(method, Verdict::BOTH);
    client.session.settle_layouts(method, Verdict::NEITHER);
    let said = client.bytes();
    server.hear(&said);
    assert_eq!(
        (client.session.verdict(method), server.session.verdict(0)),
        (Verdict::BOTH, Verdict::BOTH)
    );
    // A second verdict breaks the protocol.
    server.hear(&frame(
        kind::LAYOUT_VERDICT,
        0,
        (0, 0),
        &section(11, &[0]),
        &[],
    ));
    assert_eq!(server.closed().expect("closed").code, CloseCode::PROTOCOL);
}

#[test]
fn a_remembered_verdict_holds_for_the_same_layouts_only() {
    let chains = Chains {
        request: b"asked",
        response: b"answered",
    };
    let assumed = Assumed {
        verdict: Verdict::BOTH,
        peer: OTHER,
    };
    let (client, server, method) = pair(Some(assumed), chains);
    assert_eq!(client.events, [Event::Connected, Event::MethodSettled(0)]);
    assert_eq!(
        (client.session.verdict(method), server.session.verdict(0)),
        (Verdict::BOTH, Verdict::BOTH)
    );
    let assumed = Assumed {
        verdict: Verdict::BOTH,
        peer: OURS,
    };
    let (client, server, method) = pair(Some(assumed), chains);
    let half = Verdict {
        request: true,
        response: false,
    };
    assert_eq!(
        (client.session.verdict(method), server.session.verdict(0)),
        (half, half)
    );
    assert_eq!(client.events, [Event::Connected, Event::JudgeLayouts(0)]);
}

#[test]
fn chains_beyond_their_bound_leave_the_method_with_protobuf() {
    for (length, judged) in [(65_532, true), (65_533, false)] {
        let long = vec![b'c'; length];
        let (client, _, _) = pair(
            None,
            Chains {
                request: &long,
                response: b"",
            },
        );
        assert_eq!(
            client.events.contains(&Event::JudgeLayouts(0)),
            judged,
            "{length}"
        );
        assert_eq!(client.events.contains(&Event::MethodSettled(0)), !judged);
    }
}

#[test]
fn acknowledgements_and_verdicts_nobody_asked_for_end_the_session() {
    let head = [
        section(9, &[1; 16]),
        section(10, &[1; 16]),
        section(11, &[3]),
    ]
    .concat();
    let ack = |index| frame(kind::METHOD_ACK, 0, (index, 0), &head, &[]);
    let mut client = Side::client(Config::default());
    client.hear(&ack(0));
    assert_eq!(client.closed().expect("closed").code, CloseCode::PROTOCOL);
    let mut client = Side::client(Config::default());
    client.session.method(&METHODS[0]).expect("room");
    client.hear(&[ack(0), ack(0)].concat());
    assert_eq!(client.closed().expect("closed").code, CloseCode::PROTOCOL);
    let mut server = Side::server(Config::default());
    server.hear(&frame(
        kind::LAYOUT_VERDICT,
        0,
        (4, 0),
        &section(11, &[0]),
        &[],
    ));
    assert_eq!(server.closed().expect("closed").code, CloseCode::PROTOCOL);
    let _ = hello();
}
