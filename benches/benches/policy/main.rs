//! A decision, beside `cedar-policy` and `regorus` with the same policies and requests.
//!
//! `shop` is a permit for each of many principals; `unscoped` are policies of any principal, each of another port, one of
//! which matches; `not by port` are the same as no index can find them; `all match` are policies that all match; `wide` is
//! one policy of many kinds of conditions; `worst` are images as dear as a check accepts, each in its worst request;
//! `compile` is all that comes before an image.

mod compiling;
#[cfg(feature = "rego")]
mod rego;
mod wide;
mod worst;

use std::hint::black_box;
use std::str::FromStr;

use cedar_policy::{Authorizer, Entities, EntityUid, PolicySet};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidelock_policy::{Attribute, Context, Entity, EntityRef, Image, Request, Source, compile};

const ANCESTORS: [(&str, &str); 4] = [
    ("Workload", "spiffe://example.org"),
    ("Workload", "spiffe://example.org/shop"),
    ("Workload", "spiffe://example.org/shop/team"),
    ("TrustDomain", "example.org"),
];
const PORT: u16 = 443;

/// The principal that the request is of: the middle one.
fn principal(count: usize) -> String {
    format!("spiffe://example.org/shop/team/w{}", count / 2)
}

fn shop(count: usize) -> String {
    let permit = |n| {
        format!(
            "permit(principal == Workload::\"spiffe://example.org/shop/team/w{n}\", action == Action::\"connect\", \
             resource == Service::\"db\") when {{ context.port == {PORT} }};\n"
        )
    };
    (0..count).map(permit).collect()
}

fn unscoped(count: usize) -> String {
    let permit = |n| {
        format!(
            "permit(principal, action, resource) when {{ context.port == {} }};\n",
            n + 1
        )
    };
    (0..count).map(permit).collect()
}

fn not_by_port(count: usize) -> String {
    let permit = |n| {
        format!(
            "permit(principal, action, resource) when {{ context.port < {} && context.port > {n} }};\n",
            n + 2
        )
    };
    (0..count).map(permit).collect()
}

fn all_match(count: usize) -> String {
    "permit(principal, action == Action::\"connect\", resource);\n".repeat(count)
}

fn with_request<R>(principal: &str, then: impl FnOnce(&Request<'_>) -> R) -> R {
    let ancestors = ANCESTORS.map(|(kind, id)| EntityRef::new(kind, id));
    let attributes = [Attribute::port(PORT)];
    then(&Request {
        principal: Entity::new("Workload", principal, &ancestors),
        action: "connect",
        resource: Entity::new("Service", "db", &[]),
        context: Context::new(&attributes),
    })
}

/// The same for Cedar.
fn cedar(text: &str, principal: &str) -> (PolicySet, Entities, cedar_policy::Request) {
    let uid = |kind: &str, id: &str| EntityUid::from_str(&format!("{kind}::\"{id}\"")).unwrap();
    let parents = ANCESTORS.iter().map(|(kind, id)| uid(kind, id)).collect();
    let entity = cedar_policy::Entity::new_no_attrs(uid("Workload", principal), parents);
    let entities = Entities::from_entities([entity], None).unwrap();
    let context =
        cedar_policy::Context::from_json_str(&format!("{{\"port\": {PORT}}}"), None).unwrap();
    let (who, action, what) = (
        uid("Workload", principal),
        uid("Action", "connect"),
        uid("Service", "db"),
    );
    let request = cedar_policy::Request::new(who, action, what, context, None).unwrap();
    (text.parse().unwrap(), entities, request)
}

/// Its name, its policies, how many of them, and up to how many the others are measured too.
type Shape = (&'static str, fn(usize) -> String, &'static [usize], usize);

fn decide(c: &mut Criterion) {
    const COUNTS: &[usize] = &[1, 1_000, 10_000, 100_000];
    let shapes: [Shape; 4] = [
        ("shop", shop, COUNTS, 10_000),
        ("unscoped", unscoped, &[1_000], 1_000),
        ("not by port", not_by_port, &[1_000], 1_000),
        ("all match", all_match, &[1_000], 1_000),
    ];
    for (name, policies, counts, others_up_to) in shapes {
        let mut group = c.benchmark_group(format!("policy/{name}"));
        for &count in counts {
            group.throughput(Throughput::Elements(1));
            let (text, who) = (policies(count), principal(count));
            let compiled = compile(&[Source { name, text: &text }]).unwrap();
            let image = Image::check(&compiled.image).unwrap();
            println!(
                "{name} {count}: {} bytes, cost {}",
                compiled.image.len(),
                compiled.cost
            );
            with_request(&who, |request| {
                assert!(image.decide(request).allow());
                let id = BenchmarkId::new("tidelock", count);
                group.bench_function(id, |b| {
                    b.iter(|| black_box(&image).decide(black_box(request)).allow())
                });
            });
            if count <= others_up_to {
                #[cfg(feature = "rego")]
                rego::bench(&mut group, count, &rego::policies(name, count), &who);
                let (set, entities, request) = cedar(&text, &who);
                let authorizer = Authorizer::new();
                let id = BenchmarkId::new("cedar-policy", count);
                group.bench_function(id, |b| {
                    b.iter(|| {
                        authorizer
                            .is_authorized(black_box(&request), &set, &entities)
                            .decision()
                    })
                });
            }
        }
        group.finish();
    }
}

fn check(c: &mut Criterion) {
    let text = shop(1_000);
    let compiled = compile(&[Source {
        name: "shop",
        text: &text,
    }])
    .unwrap();
    c.bench_function("policy/check/1000", |b| {
        b.iter(|| Image::check(black_box(&compiled.image)).unwrap().cost())
    });
    c.bench_function("policy/reopen/1000", |b| {
        b.iter(|| Image::reopen(black_box(&compiled.image)).unwrap().cost())
    });
}

criterion_group!(
    benches,
    decide,
    wide::wide,
    worst::worst,
    check,
    compiling::compiling
);
criterion_main!(benches);
