//! How many instructions a decision takes, counted by `valgrind`, which a busy machine does not disturb.
//!
//! `benches/instructions.sh` runs it: `instructions SHAPE POLICIES` decides a hundred times, in a function of its own that a
//! profiler can begin and end at. In a guest of `cargo lab vm --icount`, whose clock counts instructions, `--icount` behind these prints
//! what its clock says.

use std::hint::black_box;
use std::time::Instant;

use tidelock_policy::{
    Attribute, Context, Entity, EntityRef, Expr, Image, ImageBuilder, Request, Rule, Scope,
};

const PORT: u16 = 443;
const PARENT: &str = "spiffe://example.org/shop/team";
/// Decisions that are counted.
const DECISIONS: usize = 100;

fn main() {
    let mut args = std::env::args().skip(1);
    let shape = args.next().unwrap_or_else(|| "shop".into());
    let count: usize = args
        .next()
        .map_or(1, |count| count.parse().expect("a number"));
    let bytes = image(&shape, count);
    let image = Image::check(&bytes).expect("it was built");
    let who = format!("{PARENT}/w{}", count / 2);
    let ancestors = [
        EntityRef::new("Workload", "spiffe://example.org"),
        EntityRef::new("Workload", "spiffe://example.org/shop"),
        EntityRef::new("Workload", PARENT),
        EntityRef::new("TrustDomain", "example.org"),
    ];
    let attributes = [Attribute::port(PORT)];
    let request = Request {
        principal: Entity::new("Workload", &who, &ancestors),
        action: "connect",
        resource: Entity::new("Service", "db", &[]),
        context: Context::new(&attributes),
    };
    let mut allowed = 0;
    let began = Instant::now();
    for _ in 0..DECISIONS {
        allowed += usize::from(counted(&image, &request));
    }
    let each = began.elapsed().as_nanos() / DECISIONS as u128;
    assert_eq!(allowed, if shape == "none" { 0 } else { DECISIONS });
    println!("{shape}, {count} policies, {} bytes", bytes.len());
    if args.next().as_deref() == Some("--icount") {
        println!("{each} instructions");
    }
}

/// What is counted.
#[inline(never)]
fn counted(image: &Image<'_>, request: &Request<'_>) -> bool {
    black_box(image).decide(black_box(request)).allow()
}

/// As many policies of that shape as the policies of `benches/policy` are.
fn image(shape: &str, count: usize) -> Vec<u8> {
    let port = Expr::attribute("port").equals(i64::from(PORT));
    let db = Scope::Eq(EntityRef::new("Service", "db"));
    let mut builder = ImageBuilder::new();
    for n in 0..count {
        let name = format!("policy{n}");
        let id = format!("{PARENT}/w{n}");
        let own_port = Expr::attribute("port").equals(i64::try_from(n).expect("few") + 1);
        let other = format!("{PARENT}/x{n}");
        let rule = Rule::permit(&name);
        let connect = rule.actions(&["connect"]);
        let rule = match shape {
            "plain" => rule,
            "shop" => connect
                .principal(Scope::Eq(EntityRef::new("Workload", &id)))
                .resource(db)
                .when(&port),
            "in" if n == 0 => connect
                .principal(Scope::In(EntityRef::new("Workload", PARENT)))
                .resource(db)
                .when(&port),
            "in" => connect
                .principal(Scope::In(EntityRef::new("Workload", &id)))
                .resource(db)
                .when(&port),
            "none" => connect
                .principal(Scope::Eq(EntityRef::new("Workload", &other)))
                .resource(db)
                .when(&port),
            "unscoped" => rule.when(&own_port),
            "all" => connect,
            other => panic!("there is no shape `{other}`"),
        };
        builder.push(&rule).expect("within bounds");
    }
    builder.build().expect("within bounds")
}
