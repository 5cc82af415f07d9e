//! A decision, beside `cedar-policy` with the same policies and requests.
//!
//! `shop` is a permit for each of many principals; `unscoped` are policies of any principal with a condition, one of which
//! matches; `all match` are policies that all match; `dearest` is as dear an image as a check accepts, in its worst request.

use std::hint::black_box;
use std::str::FromStr;

use cedar_policy::{Authorizer, Entities, EntityUid, PolicySet};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidelock_policy::{
    Attribute, Context, Entity, EntityRef, Expr, Image, ImageBuilder, Request, Rule, Scope, Source,
    compile,
};

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

/// Its name, its policies, how many of them, and up to how many Cedar is measured too.
type Shape = (&'static str, fn(usize) -> String, &'static [usize], usize);

fn decide(c: &mut Criterion) {
    let shapes: [Shape; 3] = [
        ("shop", shop, &[1, 1_000, 10_000, 100_000], 10_000),
        ("unscoped", unscoped, &[1_000], 1_000),
        ("all match", all_match, &[1_000], 1_000),
    ];
    for (name, policies, counts, cedar_up_to) in shapes {
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
            if count <= cedar_up_to {
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

/// Policies of any principal with the longest condition there is, as many as the limit to an image's cost allows.
fn dearest(c: &mut Criterion) {
    let term = |n: i64| {
        Expr::NotEqual(
            Box::new(Expr::attribute("port")),
            Box::new(Expr::Long(1_000_000 + n)),
        )
    };
    let condition = Expr::All((0..300).map(term).collect());
    let shop = EntityRef::new(ANCESTORS[1].0, ANCESTORS[1].1);
    let build = |count| {
        let mut builder = ImageBuilder::new();
        builder
            .push(&Rule::permit("scoped").principal(Scope::In(shop)))
            .unwrap();
        (0..count).for_each(|_| {
            builder
                .push(&Rule::permit("dear").when(&condition))
                .unwrap()
        });
        builder.build()
    };
    let count = (1..)
        .take_while(|&count| build(count * 10).is_ok())
        .last()
        .unwrap()
        * 10;
    let bytes = build(count).unwrap();
    let image = Image::check(&bytes).unwrap();
    with_request(&principal(0), |request| {
        println!(
            "dearest: {count} policies, {} steps, proven {}",
            image.decide_counted(request).1,
            image.cost()
        );
        c.bench_function("policy/dearest", |b| {
            b.iter(|| black_box(&image).decide(black_box(request)).allow())
        });
    });
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

criterion_group!(benches, decide, dearest, check);
criterion_main!(benches);
