//! Images as dear as a check accepts, each in the request that it is dearest for: what a decision may take at most.

use std::hint::black_box;

use criterion::Criterion;
use tidelock_policy::bounds::{MAX_ANCESTORS, MAX_COST, MAX_STRING_BYTES};
use tidelock_policy::{
    Attribute, Binary, BuildError, Context, Entity, EntityRef, Expr, Image, ImageBuilder, Request,
    Rule, Scope, Value,
};

/// What makes an image of so many policies.
type Build = fn(usize) -> Result<Vec<u8>, BuildError>;

fn image<'r>(rules: impl IntoIterator<Item = Rule<'r>>) -> Result<Vec<u8>, BuildError> {
    let mut builder = ImageBuilder::new();
    rules.into_iter().try_for_each(|rule| builder.push(&rule))?;
    builder.build()
}

fn name(at: usize) -> String {
    format!("{at:x>MAX_STRING_BYTES$}")
}

fn names() -> Vec<String> {
    (0..MAX_ANCESTORS).map(name).collect()
}

/// A condition of many instructions, none of which ends it.
fn long() -> Expr {
    let port = || Box::new(Expr::attribute("port"));
    let term = |n: i64| Expr::NotEqual(port(), Box::new(Expr::Long(1_000_000 + n)));
    Expr::All((0..300).map(term).collect())
}

/// A condition that seeks in the request's own set again and again.
fn seeking() -> Expr {
    let set = || Box::new(Expr::attribute("set"));
    let term = |n: i64| Expr::Binary(Binary::Contains, set(), Box::new(Expr::Long(-1 - n)));
    Expr::AnyOf((0..40).map(term).collect())
}

/// A condition that compares strings as long as they may be.
fn comparing() -> Expr {
    let text = |name| Box::new(Expr::attribute(name));
    let term = |_| Expr::Equal(text("a"), text("b"));
    Expr::AnyOf((0..40).map(term).collect())
}

fn conditions(count: usize) -> Result<Vec<u8>, BuildError> {
    let condition = long();
    image((0..count).map(|_| Rule::permit("p").when(&condition)))
}

fn values(count: usize) -> Result<Vec<u8>, BuildError> {
    let condition = seeking();
    image((0..count).map(|_| Rule::permit("p").when(&condition)))
}

fn texts(count: usize) -> Result<Vec<u8>, BuildError> {
    let condition = comparing();
    image((0..count).map(|_| Rule::permit("p").when(&condition)))
}

fn records(count: usize) -> Result<Vec<u8>, BuildError> {
    image((0..count).map(|_| Rule::permit("p").actions(&["act"])))
}

/// Long names, all of which are in the scope table.
fn scopes(count: usize) -> Result<Vec<u8>, BuildError> {
    let names = names();
    let of = |at: usize| EntityRef::new("K", &names[at % names.len()]);
    let rule = |at: usize| {
        Rule::permit("p")
            .principal(Scope::In(of(at)))
            .resource(Scope::In(of(at / MAX_ANCESTORS)))
    };
    image((0..count).map(rule))
}

/// Every scope of the principal has policies of many scopes of resources.
fn searches(count: usize) -> Result<Vec<u8>, BuildError> {
    let ids: Vec<String> = (0..MAX_ANCESTORS).map(|at| format!("n{at}")).collect();
    let of = |at: usize| EntityRef::new("K", &ids[at % ids.len()]);
    let rule = |at: usize| {
        Rule::permit("p")
            .principal(Scope::In(of(at)))
            .resource(Scope::In(of(at / MAX_ANCESTORS)))
    };
    image((0..count).map(rule))
}

fn above<'i>(kind: &'i str, ids: &'i [String]) -> Vec<EntityRef<'i>> {
    ids.iter().map(|id| EntityRef::new(kind, id)).collect()
}

/// The most policies of which a check accepts the image, and the image.
fn largest(build: Build) -> (usize, Vec<u8>) {
    let accepted = |count| build(count).ok();
    let mut high = 1;
    while accepted(high).is_some() {
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low.midpoint(high);
        if accepted(middle).is_some() {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low, accepted(low).expect("it was accepted"))
}

pub(crate) fn worst(c: &mut Criterion) {
    let short: Vec<String> = (0..MAX_ANCESTORS).map(|at| format!("n{at}")).collect();
    let (long, text) = (names(), name(0));
    // As long, and another only at the end.
    let other = name(1);
    let kind = "K".repeat(MAX_STRING_BYTES);
    let (short, long) = (above("K", &short), above("K", &long));
    let strange = names();
    let strange = above(&kind, &strange);
    let members: Vec<Value<'_>> = (0..250).map(Value::Long).collect();
    let attributes = [
        Attribute::port(443),
        Attribute::new("set", Value::Set(&members)),
        Attribute::new("a", Value::Str(&text)),
        Attribute::new("b", Value::Str(&other)),
    ];
    let shapes: [(&str, Build, &[EntityRef<'_>]); 7] = [
        ("conditions", conditions, &[]),
        ("values", values, &[]),
        ("texts", texts, &[]),
        ("records", records, &[]),
        ("scopes", scopes, &long),
        ("strange names", searches, &strange),
        ("searches", searches, &short),
    ];
    let mut group = c.benchmark_group("policy/worst");
    for (name, build, ancestors) in shapes {
        let (count, bytes) = largest(build);
        let image = Image::check(&bytes).expect("it was built");
        let request = Request {
            principal: Entity::new("K", "n", ancestors),
            action: "act",
            resource: Entity::new("K", "n", ancestors),
            context: Context::new(&attributes),
        };
        println!(
            "worst, {name}: {count} policies, {} steps, proven {}, limit {MAX_COST}",
            image.decide_counted(&request).1,
            image.cost()
        );
        group.bench_function(name, |b| {
            b.iter(|| black_box(&image).decide(black_box(&request)).allow())
        });
    }
    group.finish();
}
