//! From text to image, beside what Cedar alone takes to parse and to validate the same.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
use criterion::Criterion;
use tidelock_policy::compile::SCHEMA;
use tidelock_policy::{Source, compile};

use crate::shop;

const POLICIES: usize = 10_000;
/// Times each is done in turn; the shortest of each is printed, in milliseconds on a CPU, so that waiting for one does not count.
const ROUNDS: usize = 5;

fn parsed(text: &str) -> PolicySet {
    black_box(text).parse().unwrap()
}

fn validated(policies: &PolicySet) -> bool {
    let schema = Schema::from_cedarschema_str(SCHEMA).unwrap().0;
    Validator::new(schema)
        .validate(policies, ValidationMode::Strict)
        .validation_passed()
}

fn compiled(text: &str) -> usize {
    let name = "shop";
    let text = black_box(text);
    compile(&[Source { name, text }]).unwrap().image.len()
}

/// How long this thread was on a CPU; where the system does not say, how long it has been.
fn on_cpu(since: Instant) -> Duration {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = said.and_then(|said| said.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

/// What a round of each takes at least, taken in turn, so that a busy machine is as busy for all.
fn side_by_side(text: &str) {
    let began = Instant::now();
    let mut least = [Duration::MAX; 3];
    let policies = parsed(text);
    for _ in 0..ROUNDS {
        let each: [&dyn Fn(); 3] = [
            &|| drop(black_box(parsed(text))),
            &|| assert!(validated(&policies)),
            &|| assert!(compiled(text) > 0),
        ];
        for (least, what) in least.iter_mut().zip(each) {
            let from = on_cpu(began);
            what();
            *least = on_cpu(began).saturating_sub(from).min(*least);
        }
    }
    let [parse, validate, compile] = least;
    let beyond = compile.saturating_sub(parse);
    let ratio = beyond.as_secs_f64() / parse.as_secs_f64();
    let [parse, validate, compile, beyond] =
        [parse, validate, compile, beyond].map(|time| time.as_millis());
    println!(
        "compile, {POLICIES} policies: Cedar parses in {parse} ms and validates in {validate} ms; compiling takes {compile} ms, \
         {beyond} ms beyond parsing, {ratio:.1} times as long as parsing"
    );
}

pub(crate) fn compiling(c: &mut Criterion) {
    let text = shop(POLICIES);
    side_by_side(&text);
    let mut group = c.benchmark_group(format!("policy/compile/{POLICIES}"));
    group.sample_size(10);
    group.bench_function("tidelock", |b| b.iter(|| compiled(&text)));
    group.bench_function("cedar-policy parse", |b| b.iter(|| parsed(&text)));
    let policies = parsed(&text);
    group.bench_function("cedar-policy validate", |b| b.iter(|| validated(&policies)));
    group.finish();
}
