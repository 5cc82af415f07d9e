//! One policy of many kinds of conditions.

use std::hint::black_box;
use std::str::FromStr;

use cedar_policy::{Authorizer, Entities, EntityUid, PolicySet};
use criterion::Criterion;
use tidelock_policy::compile::compile_with_schema;
use tidelock_policy::{Attribute, Context, Entity, EntityRef, Image, Ip, Request, Source, Value};

use crate::PORT;

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

pub(crate) fn wide(c: &mut Criterion) {
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
