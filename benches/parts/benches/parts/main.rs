//! Times every part; `cargo bench -p dreammesh-parts`.
#![forbid(unsafe_code)]

mod cpu;

use cpu::CpuTime;
use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .configure_from_args();
    for part in dreammesh_parts::all() {
        let mut group = criterion.benchmark_group("parts");
        group.throughput(Throughput::Elements(part.times.into()));
        let mut body = (part.make)();
        group.bench_function(part.name, |bencher| bencher.iter(&mut body));
        group.finish();
    }
    criterion.final_summary();
}
