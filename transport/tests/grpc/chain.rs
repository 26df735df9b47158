//! One call followed over two hops: by plain gRPC and on by session, and the reverse.

use std::time::{Duration, Instant};

use dreammesh_core::call::{CallError, Code, Metadata, Priority, TraceContext};
use dreammesh_core::channel::{BidiCall, Channel, UnaryCall};
use dreammesh_core::wkt::Any;
use dreammesh_transport::{Connect, Server};
use tokio::sync::watch;

use crate::hop::{self, CHAT, UNARY, ask};

const TIMEOUT: Duration = Duration::from_secs(60);
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// What is sent of a deadline may be rounded.
const ROUNDED: Duration = Duration::from_millis(10);

/// What belongs to a call besides its messages.
macro_rules! dressed {
    ($call:expr) => {
        $call
            .metadata("x-tenant", "shop")
            .metadata_bin("x-sum-bin", &[0, 255, 1][..])
            .trace(trace())
            .priority(Priority::HIGH)
            .timeout(TIMEOUT)
    };
}

fn trace() -> TraceContext {
    let trace = TraceContext::parse(PARENT).unwrap();
    trace.with_state("a=1,b=2").unwrap()
}

/// A server with one hop; the channel to it by a scheme, and how many of its handlers are alive.
async fn serve(scheme: &str, next: Option<Channel>) -> (Channel, watch::Receiver<usize>) {
    let (bound, lives) = hop::serve(Server::builder(), "dreammesh+tcp://127.0.0.1:0", next).await;
    let target = bound.replace("dreammesh+tcp", scheme);
    (Channel::connect(&target).await.unwrap(), lives)
}

/// Two hops, and a channel to the first of them.
struct Chain {
    channel: Channel,
    first: watch::Receiver<usize>,
    last: watch::Receiver<usize>,
}

const WAYS: [(&str, &str); 2] = [("grpc", "dreammesh+tcp"), ("dreammesh+tcp", "grpc")];

impl Chain {
    async fn new((first, second): (&str, &str)) -> Self {
        let (next, last) = serve(second, None).await;
        let (channel, first) = serve(first, Some(next)).await;
        Self {
            channel,
            first,
            last,
        }
    }

    fn unary(&self, what: &str) -> UnaryCall<Any> {
        UnaryCall::new(&self.channel, &UNARY, ask(what))
    }

    fn chat(&self) -> BidiCall<Any, Any> {
        BidiCall::new(&self.channel, &CHAT)
    }

    async fn alive_are(&mut self, count: usize) {
        self.last.wait_for(|alive| *alive == count).await.unwrap();
        self.first.wait_for(|alive| *alive == count).await.unwrap();
    }
}

/// What the last handler was told of a call that had all that one may have.
fn is_whole(told: &Any, asked_at: Instant, way: (&str, &str)) {
    let words = "4bf92f3577b34da6a3ce929d0e0e4736 [a=1,b=2] 2 shop Some([0, 255, 1])";
    assert_eq!(told.type_url, words, "{way:?}");
    let left = told.value.as_ref().try_into().unwrap();
    let left = Duration::from_micros(u64::from_le_bytes(left));
    let least = TIMEOUT.saturating_sub(asked_at.elapsed() + ROUNDED);
    assert!(left <= TIMEOUT, "{way:?}: {left:?}");
    assert!(left >= least, "{way:?}: {left:?} of {least:?}");
}

fn came_before(metadata: &Metadata) {
    assert_eq!(metadata.text("x-before"), Some("b"));
    let bytes = metadata.binary("x-before-bin").unwrap();
    assert_eq!(&bytes[..], [0, 255]);
}

/// The failure of the last handler, as the first caller sees it.
fn is_typed(error: &CallError, way: (&str, &str)) {
    let said = (error.code(), error.message());
    assert_eq!(said, (Code::NotFound, "gone é"), "{way:?}");
    assert_eq!(error.trailers().text("x-after"), Some("a"), "{way:?}");
    let [detail] = error.status().details() else {
        panic!("{way:?}: {:?}", error.status());
    };
    assert_eq!(detail.type_name(), "test.Detail");
    assert_eq!(&detail.value()[..], b"detail");
}

#[tokio::test]
async fn a_call_keeps_all_that_belongs_to_it_from_one_protocol_to_the_other() {
    for way in WAYS {
        let chain = Chain::new(way).await;
        let asked_at = Instant::now();
        let told = dressed!(chain.unary("tell")).await.unwrap();
        came_before(told.metadata());
        assert_eq!(told.trailers().text("x-after"), Some("a"), "{way:?}");
        is_whole(&told.into_message().into_owned(), asked_at, way);
        let told = chain.unary("tell").await.unwrap().into_owned();
        assert!(told.type_url.ends_with(" [] 1  None"), "{told:?}");
        assert!(told.value.is_empty(), "nobody has set a deadline");
        is_typed(&chain.unary("fail").await.unwrap_err(), way);
    }
}

#[tokio::test]
async fn a_stream_keeps_all_that_belongs_to_it_from_one_protocol_to_the_other() {
    for way in WAYS {
        let chain = Chain::new(way).await;
        let asked_at = Instant::now();
        let (notes, mut answers) = dressed!(chain.chat()).await.unwrap();
        for turn in 0..3 {
            notes.send(ask("tell")).await.unwrap();
            if turn == 0 {
                came_before(answers.metadata().await.unwrap());
            }
            let told = answers.next().await.unwrap().unwrap();
            is_whole(&told.into_owned(), asked_at, way);
        }
        notes.finish();
        assert!(answers.next().await.unwrap().is_none());
        assert_eq!(answers.trailers().text("x-after"), Some("a"), "{way:?}");

        let (notes, mut answers) = chain.chat().await.unwrap();
        notes.send(ask("tell")).await.unwrap();
        assert!(answers.next().await.unwrap().is_some());
        notes.send(ask("fail")).await.unwrap();
        is_typed(&answers.next().await.unwrap_err(), way);
    }
}

#[tokio::test]
async fn whoever_gives_a_call_up_ends_the_whole_chain() {
    for way in WAYS {
        let mut chain = Chain::new(way).await;
        let never = chain.unary("never");
        let calling = tokio::spawn(async move { never.await.map(drop) });
        chain.alive_are(1).await;
        calling.abort();
        chain.alive_are(0).await;

        let (notes, answers) = chain.chat().await.unwrap();
        notes.send(ask("never")).await.unwrap();
        chain.alive_are(1).await;
        drop((notes, answers));
        chain.alive_are(0).await;
    }
}

#[tokio::test]
async fn what_the_first_caller_allows_ends_the_last_handler() {
    let timeout = Duration::from_millis(500);
    for way in WAYS {
        let mut chain = Chain::new(way).await;
        let late = chain.unary("never").timeout(timeout).await.unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded, "{way:?}");
        chain.alive_are(0).await;

        let late = async {
            let (notes, mut answers) = chain.chat().timeout(timeout).await?;
            notes.send(ask("never")).await?;
            answers.next().await.map(drop)
        };
        let late = late.await.unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded, "{way:?}");
        chain.alive_are(0).await;
    }
}
