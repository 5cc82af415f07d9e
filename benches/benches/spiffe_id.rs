//! SPIFFE IDs read, beside the crate `spiffe`.
//!
//! `borrowed` is what the data path does: it allocates nothing. `owned` makes a copy, as the crate always does.

mod cpu_time;

use std::hint::black_box;

use cpu_time::CpuTime;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidelock_spiffe_core::{SpiffeId, SpiffeIdBuf};

fn parse(c: &mut Criterion<CpuTime>) {
    let longest = format!(
        "spiffe://{}{}/{}",
        "a".repeat(255),
        "/bcdefghi".repeat(198),
        "j"
    );
    let texts = [
        ("short", "spiffe://td/a".to_owned()),
        (
            "usual",
            "spiffe://example.org/ns/production/sa/web-frontend".to_owned(),
        ),
        (
            "upper-case",
            "spiffe://Example.ORG/ns/production/sa/web-frontend".to_owned(),
        ),
        ("longest", longest),
        (
            "refused",
            "spiffe://example.org/ns/production/sa/web frontend".to_owned(),
        ),
    ];
    for (name, text) in &texts {
        let mut group = c.benchmark_group(format!("spiffe_id/{name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("tidelock", "borrowed"), |b| {
            b.iter(|| SpiffeId::parse(black_box(text)).is_ok())
        });
        group.bench_function(BenchmarkId::new("tidelock", "owned"), |b| {
            b.iter(|| SpiffeIdBuf::parse(black_box(text)).is_ok())
        });
        group.bench_function(BenchmarkId::new("spiffe", "owned"), |b| {
            b.iter(|| spiffe::SpiffeId::new(black_box(text)).is_ok())
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = parse
}
criterion_main!(benches);
