//! What one message costs: serialise, then validate and read every field.
//!
//! Each system serialises an owned struct into a buffer it keeps between rounds, and reads what it
//! received the cheapest way that is safe on bytes from a network. All three must arrive at the
//! same digest before anything is timed.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    reason = "Criterion's macros emit undocumented functions"
)]

mod archive;
mod cpu;
mod stock;

use std::hint::black_box;

use bytes::Bytes;
use cpu::CpuTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use dreammesh_benches::handler::Handler;
use dreammesh_benches::message::{Digest, order, small};
use dreammesh_benches::{ours, peer};
use prost::Message as _;
use rkyv::util::AlignedVec;

/// Times one system on one message: writing, reading, and both.
fn time(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    system: &str,
    expected: Digest,
    mut write: impl FnMut(),
    read: impl Fn() -> Digest,
) {
    assert_eq!(read(), expected, "{system} reads something else");
    group.bench_function(format!("{system}/write"), |b| b.iter(&mut write));
    group.bench_function(format!("{system}/read"), |b| b.iter(|| black_box(read())));
    group.bench_function(format!("{system}/both"), |b| {
        b.iter(|| {
            write();
            black_box(read())
        });
    });
}

fn small(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("64B");
    let expected = small::digest();

    let message = small::owned(Handler::Immediate);
    let received: Bytes = archive::encode(&message).into_segment().into_bytes();
    eprintln!("64B as our archive: {} bytes", received.len());
    let write = || drop(black_box(archive::encode(black_box(&message))));
    let read = || small::read_view(archive::receive::<ours::Small>(black_box(&received)).view());
    time(&mut group, "dreammesh", expected, write, read);

    let message = stock::small();
    let received = stock::encode_small(&message, AlignedVec::new());
    let mut kept = AlignedVec::new();
    let write = || kept = stock::encode_small(black_box(&message), std::mem::take(&mut kept));
    time(&mut group, "rkyv", expected, write, || {
        stock::read_small(black_box(&received))
    });

    let message = small::prost(Handler::Immediate);
    let received = message.encode_to_vec();
    let mut kept = Vec::new();
    let write = || encode(black_box(&message), &mut kept);
    let read = || small::read_prost(&decode::<peer::Small>(black_box(&received)));
    time(&mut group, "prost", expected, write, read);
    group.finish();
}

fn order(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("order-1KiB");
    let expected = order::digest();

    let message = order::owned();
    let received: Bytes = archive::encode(&message).into_segment().into_bytes();
    eprintln!("order-1KiB as our archive: {} bytes", received.len());
    let write = || drop(black_box(archive::encode(black_box(&message))));
    let read = || order::read_view(archive::receive::<ours::Order>(black_box(&received)).view());
    time(&mut group, "dreammesh", expected, write, read);

    let message = stock::order();
    let received = stock::encode_order(&message, AlignedVec::new());
    let mut kept = AlignedVec::new();
    let write = || kept = stock::encode_order(black_box(&message), std::mem::take(&mut kept));
    time(&mut group, "rkyv", expected, write, || {
        stock::read_order(black_box(&received))
    });

    let message = order::prost();
    let received = message.encode_to_vec();
    let mut kept = Vec::new();
    let write = || encode(black_box(&message), &mut kept);
    let read = || order::read_prost(&decode::<peer::Order>(black_box(&received)));
    time(&mut group, "prost", expected, write, read);
    group.finish();
}

fn encode(message: &impl prost::Message, buffer: &mut Vec<u8>) {
    buffer.clear();
    message.encode(buffer).expect("a vector grows as needed");
    black_box(buffer);
}

fn decode<M: prost::Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).expect("the bytes are our own")
}

criterion_group! {
    name = messages;
    config = Criterion::default().with_measurement(CpuTime);
    targets = small, order
}
criterion_main!(messages);
