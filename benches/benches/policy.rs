//! A decision, beside `cedar-policy` with the same policies and requests.
//!
//! `shop` is a permit for each of many principals; `unscoped` are policies of any principal with a condition, one of which
//! matches; `all match` are policies that all match; `wide` is one policy of many kinds of conditions; `dearest` is as dear
//! an image as a check accepts, in its worst request; `compile` is all that comes before an image.

use std::hint::black_box;
use std::str::FromStr;

use cedar_policy::{Authorizer, Entities, EntityUid, PolicySet, ValidationMode, Validator};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidelock_policy::compile::{SCHEMA, compile_with_schema};
use tidelock_policy::{
    Attribute, Context, Entity, EntityRef, Expr, Image, ImageBuilder, Ip, Request, Rule, Scope,
    Source, Value, compile,
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

const WIDE_SCHEMA: &str = "
    entity Team;
    entity User in [Team] { team: Team, level: Long, home: ipaddr } tags String;
    entity Doc { owner: User, teams: Set<Team>, path: String };
    action read appliesTo { principal: User, resource: Doc, context: { ip: ipaddr, at: datetime, port: Long } };
";

const WIDE: &str = r#"
    permit(principal in Team::"a", action == Action::"read", resource)
    when {
        resource.teams.contains(principal.team) && resource.path like "/shared/*.txt" && principal.level + 1 > 3
        && context.ip.isInRange(ip("10.0.0.0/8")) && [80, 443].contains(context.port)
        && context.at.toTime() >= duration("8h")
        && principal.hasTag("site") && principal.getTag("site") == "north"
        && { who: resource.owner } == { who: User::"u" }
    };
"#;

fn wide(c: &mut Criterion) {
    let source = Source {
        name: "wide",
        text: WIDE,
    };
    let compiled = compile_with_schema(WIDE_SCHEMA, &[source]).unwrap();
    let image = Image::check(&compiled.image).unwrap();
    let mut group = c.benchmark_group("policy/wide");
    let at = 10 * 60 * 60 * 1000;
    let team = Value::Entity(EntityRef::new("Team", "a"));
    let ip = |octets| Value::Ip(Ip::v4(octets, 32).unwrap());
    let user = [
        Attribute::new("team", team),
        Attribute::new("level", Value::Long(3)),
        Attribute::new("home", ip([10, 0, 0, 1])),
    ];
    let teams = [Value::Entity(EntityRef::new("Team", "b")), team];
    let doc = [
        Attribute::new("owner", Value::Entity(EntityRef::new("User", "u"))),
        Attribute::new("teams", Value::Set(&teams)),
        Attribute::new("path", Value::Str("/shared/plans/a.txt")),
    ];
    let context = [
        Attribute::new("ip", ip([10, 1, 2, 3])),
        Attribute::new("at", Value::Datetime(at)),
        Attribute::port(PORT),
    ];
    let above = [EntityRef::new("Team", "a")];
    let tags = [Attribute::new("site", Value::Str("north"))];
    let request = Request {
        principal: Entity::new("User", "u", &above)
            .with_attributes(&user)
            .with_tags(&tags),
        action: "read",
        resource: Entity::new("Doc", "d", &[]).with_attributes(&doc),
        context: Context::new(&context),
    };
    assert!(image.decide(&request).allow());
    group.bench_function("tidelock", |b| {
        b.iter(|| black_box(&image).decide(black_box(&request)).allow())
    });
    let (policies, entities, request) = wide_cedar();
    let authorizer = Authorizer::new();
    let ask = || authorizer.is_authorized(black_box(&request), &policies, &entities);
    assert_eq!(ask().decision(), cedar_policy::Decision::Allow);
    group.bench_function("cedar-policy", |b| b.iter(|| ask().decision()));
    group.finish();
}

/// The same for Cedar.
fn wide_cedar() -> (PolicySet, Entities, cedar_policy::Request) {
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(WIDE_SCHEMA).unwrap();
    let json = r#"[
        {"uid": {"type": "Team", "id": "a"}, "attrs": {}, "parents": []},
        {"uid": {"type": "User", "id": "u"}, "parents": [{"type": "Team", "id": "a"}], "tags": {"site": "north"},
         "attrs": {"team": {"type": "Team", "id": "a"}, "level": 3, "home": "10.0.0.1"}},
        {"uid": {"type": "Doc", "id": "d"}, "parents": [],
         "attrs": {"owner": {"type": "User", "id": "u"}, "path": "/shared/plans/a.txt",
                   "teams": [{"type": "Team", "id": "a"}, {"type": "Team", "id": "b"}]}}
    ]"#;
    let entities = Entities::from_json_str(json, Some(&schema)).unwrap();
    let uid = |text: &str| EntityUid::from_str(text).unwrap();
    let read = uid("Action::\"read\"");
    let context = format!(r#"{{"ip": "10.1.2.3", "at": "1970-01-01T10:00:00Z", "port": {PORT}}}"#);
    let context = cedar_policy::Context::from_json_str(&context, Some((&schema, &read))).unwrap();
    let (who, what) = (uid("User::\"u\""), uid("Doc::\"d\""));
    let request = cedar_policy::Request::new(who, read, what, context, None).unwrap();
    (WIDE.parse().unwrap(), entities, request)
}

/// From text to image, and what Cedar alone takes to parse and to validate the same.
fn compiling(c: &mut Criterion) {
    let mut group = c.benchmark_group("policy/compile");
    group.sample_size(10);
    let text = shop(10_000);
    let source = Source {
        name: "shop",
        text: &text,
    };
    group.bench_function("tidelock/10000", |b| {
        b.iter(|| compile(black_box(&[source])).unwrap().image.len())
    });
    let schema = || {
        cedar_policy::Schema::from_cedarschema_str(SCHEMA)
            .unwrap()
            .0
    };
    group.bench_function("cedar-policy/10000", |b| {
        b.iter(|| {
            let policies: PolicySet = black_box(&text).parse().unwrap();
            Validator::new(schema())
                .validate(&policies, ValidationMode::Strict)
                .validation_passed()
        })
    });
    group.finish();
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

criterion_group!(benches, decide, wide, dearest, check, compiling);
criterion_main!(benches);
