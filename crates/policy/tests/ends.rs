//! What policies can never decide at an end of a connection is warned of, and nothing else is.
#![cfg(feature = "compile")]

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tidelock_policy::compile::{CompileError, SCHEMA, compile_observing};
use tidelock_policy::{
    Attribute, Context, Entity, Image, Ip, Outcome, Request, Source, Value, compile, tools,
};

const CONNECT: &str = "principal, action == Action::\"connect\", resource";

fn warnings(text: &str) -> Vec<CompileError> {
    let compiled = compile(&[Source { name: "a", text }]);
    compiled
        .map_err(|errors| errors[0].to_string())
        .unwrap()
        .warnings
}

fn permit(condition: &str) -> String {
    format!("permit({CONNECT})\nwhen {{ {condition} }};")
}

fn forbid(condition: &str) -> String {
    format!("permit({CONNECT});\nforbid({CONNECT})\nwhen {{ {condition} }};")
}

/// The only warning, without its place.
fn only(text: &str) -> String {
    match warnings(text).as_slice() {
        [only] => only.message(),
        other => panic!("{text}: {other:#?}"),
    }
}

#[test]
fn a_permit_that_needs_a_fact_of_one_end_is_warned_of_where_it_asks() {
    let text = permit("context.port == 443 && context has client && context.client.uid == 7");
    let checked = tools::check(
        SCHEMA,
        &[Source {
            name: "a.cedar",
            text: &text,
        }],
    );
    let [odd] = checked.warnings.as_slice() else {
        panic!("{:#?}", checked.warnings)
    };
    assert_eq!(
        odd.to_string(),
        "a.cedar:2:43: policy `policy0`: permits nothing at the server's end, where `context.client` is never known. \
         Both ends have to permit: unless another policy permits it there, nothing is permitted. To let that end decide by \
         the rest, write `(if context has client then context.client.uid == 7 else true)` in place of `context has client && \
         context.client.uid == 7`"
    );
}

#[test]
fn what_is_written_instead_is_valid_and_not_warned_of() {
    for (condition, instead) in [
        (
            "context has client && context.client.uid == 7 && context.port == 443",
            "context.port == 443 && (if context has client then context.client.uid == 7 else true)",
        ),
        (
            "context has server.exe && context.server.exe like \"/usr/*\"",
            "(if context has server then context has server.exe && context.server.exe like \"/usr/*\" else true)",
        ),
    ] {
        let (before, _) = (only(&permit(condition)), ());
        let term = instead.trim_start_matches("context.port == 443 && ");
        assert!(before.contains(term), "{before}");
        assert!(warnings(&permit(instead)).is_empty(), "{instead}");
    }
}

#[test]
fn what_can_be_true_in_another_way_is_not_warned_of() {
    for condition in [
        "context.port == 443",
        "context has client",
        "context has client || context.port == 443",
        "if context has client then context.client.uid == 7 else true",
        "if context has client then context.client.uid == 7 else context has server",
        "(context has client && context.client.uid == 7) || (context has server && context.server.uid == 8)",
        "!(context has client && context.client.uid != 7)",
        "principal in TrustDomain::\"a\" || (context has client && context.client.uid == 7)",
        "context == context",
        "[context has client, true].contains(true)",
    ] {
        let warned = warnings(&permit(condition));
        let about_client = condition == "context has client";
        assert_eq!(warned.is_empty(), !about_client, "{condition}: {warned:#?}");
    }
    for unless in [
        "context has client && context.client.uid != 7",
        "context has server && !(context.server has exe)",
    ] {
        let text = format!("permit({CONNECT}) unless {{ {unless} }};");
        assert!(warnings(&text).is_empty(), "{unless}");
    }
}

#[test]
fn what_no_end_knows_decides_nothing_at_all() {
    let both =
        "context has client && context has server && context.client.uid == context.server.uid";
    let process = "context has process.uid && context.process.uid == 0";
    for condition in [both, process] {
        for (text, word) in [
            (permit(condition), "permits"),
            (forbid(condition), "forbids"),
        ] {
            let told = only(&text);
            assert!(told.starts_with(&format!("{word} nothing: ")), "{told}");
        }
    }
    assert_eq!(
        only(&forbid(both)),
        "forbids nothing: `context.server` is never known at the client's end, nor `context.client` at the server's; an end \
         knows port, addresses, time, its own process and its node's posture"
    );
}

#[test]
fn a_forbid_that_one_end_can_decide_is_as_it_should_be() {
    for condition in [
        "context has client && context.client.uid == 0",
        "context has server && context.server.uid == 0",
        "context has time || context.port == 443",
    ] {
        assert!(warnings(&forbid(condition)).is_empty(), "{condition}");
    }
}

#[test]
fn what_both_ends_know_is_not_warned_of() {
    for condition in [
        "context has time && context.time > datetime(\"2026-01-01\")",
        "context has serverAddress && context.serverAddress.isInRange(ip(\"10.0.0.0/8\"))",
        "context has posture.node && context.posture.node == Node::\"n1\"",
        "if context has clientAddress then context.clientAddress.isLoopback() else true",
    ] {
        assert!(warnings(&permit(condition)).is_empty(), "{condition}");
        assert!(warnings(&forbid(condition)).is_empty(), "{condition}");
    }
}

#[test]
fn a_client_has_no_address_before_it_connects() {
    let near = "context has clientAddress && context.clientAddress.isInRange(ip(\"10.0.0.0/8\"))";
    let told = only(&permit(near));
    assert!(
        told.starts_with(
            "permits nothing at the client's end, where `context.clientAddress` is not known before it connects."
        ),
        "{told}"
    );
    let instead = "(if context has clientAddress then context.clientAddress.isInRange(ip(\"10.0.0.0/8\")) else true)";
    assert!(told.contains(instead), "{told}");
    assert!(warnings(&permit(instead)).is_empty());
    // What is forbidden is forbidden once it is known.
    assert!(warnings(&forbid(near)).is_empty());
}

#[test]
fn what_no_end_asks_is_not_warned_of() {
    let inject =
        "permit(principal, action == Action::\"inject\", resource) when { context has client };";
    assert!(warnings(inject).is_empty());
    let mine = SCHEMA.replace("entity User;", "entity User; entity Mine;");
    let text = permit("context has client");
    let checked = tools::check(
        &mine,
        &[Source {
            name: "a",
            text: &text,
        }],
    );
    assert!(
        checked.warnings.is_empty(),
        "a schema of one's own has ends of its own"
    );
}

#[test]
fn what_is_only_observed_is_warned_of_too() {
    let text = permit("context has client");
    let sources = [Source {
        name: "a",
        text: &text,
    }];
    let compiled = compile_observing(&sources, &|_| true).unwrap();
    assert_eq!(compiled.warnings.len(), 1);
}

/// Terms of conditions, over what ends tell and what they do not.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "true",
        "false",
        "context has client",
        "context has server",
        "context has time",
        "(context has time && context.time < datetime(\"2026-01-01\"))",
        "(context has clientAddress && context.clientAddress.isInRange(ip(\"10.0.0.0/8\")))",
        "context has process",
        "context has client.exe",
        "(context has client && context.client.uid == 7)",
        "(context has server && context.server.gid < 8)",
        "(context has client.exe && context.client.exe like \"/usr/*\")",
        "(context has client.sha256 && context.client.sha256 == \"00\")",
        "!(context has server && context.server has sha256 && context.server.sha256 like \"0*\")",
        "(context has server && context has client && context.client.uid == context.server.uid)",
        "(context has onBehalfOf && principal in TrustDomain::\"td\")",
        "context.port == 443",
        "context.port + 1 > 443",
        "context.port * 9223372036854775807 > 443",
        "principal in TrustDomain::\"td\"",
        "resource == Service::\"s\"",
        "action == Action::\"connect\"",
        "action == Action::\"inject\"",
        "context == context",
        "[1, 2].contains(context.port)",
    ])
    .prop_map(String::from);
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}

const AT_CLIENT: &str = "permits nothing at the client's end";
const AT_SERVER: &str = "permits nothing at the server's end";
/// What warnings begin with.
const SAID: [&str; 4] = [
    AT_CLIENT,
    AT_SERVER,
    "permits nothing: ",
    "forbids nothing: ",
];

/// Every request of an end that differs in what the terms ask for.
fn requests(process: Option<&str>, connected: bool, ask: &mut dyn FnMut(&Request<'_>)) {
    let ancestors = [tidelock_policy::EntityRef::new("TrustDomain", "td")];
    for bits in 0..256_i64 {
        let bit = |n: i64| bits & (1 << n) != 0;
        let all = [
            Attribute::new("uid", Value::Long(if bit(0) { 7 } else { 9 })),
            Attribute::new("gid", Value::Long(if bit(1) { 7 } else { 9 })),
            Attribute::new("exe", Value::Str("/usr/bin/a")),
            Attribute::new("sha256", Value::Str(if bit(6) { "00" } else { "ff" })),
        ];
        let facts = if bit(2) { &all[..] } else { &all[..2] };
        let port = Attribute::port(if bit(3) { 443 } else { 1 });
        let process = process.map(|name| Attribute::new(name, Value::Record(facts)));
        let day = if bit(7) {
            1_735_689_600_000
        } else {
            1_798_761_600_000
        };
        let time = bit(3).then(|| Attribute::new("time", Value::Datetime(day)));
        let address = Ip::v4([if bit(7) { 10 } else { 11 }, 0, 0, 1], 32).unwrap();
        let address = connected.then(|| Attribute::new("clientAddress", Value::Ip(address)));
        let known = process.into_iter().chain(time).chain(address);
        let context: Vec<_> = std::iter::once(port).chain(known).collect();
        let above = if bit(4) { &ancestors[..] } else { &[] };
        ask(&Request {
            principal: Entity::new("Workload", "spiffe://td/a", above),
            action: "connect",
            resource: Entity::new("Service", if bit(5) { "s" } else { "t" }, &[]),
            context: Context::new(&context),
        });
    }
}

/// Asks every request of an end, of the process there known and not: all that decide whether something is forbidden, and
/// those before TCP has connected, which have to be permitted too.
fn any_at(end: &str, forbids: bool, ask: &mut dyn FnMut(&Request<'_>) -> bool) -> bool {
    let mut any = false;
    let connected = end == "server" || forbids;
    for (process, connected) in [(Some(end), false), (None, false), (Some(end), connected)] {
        requests(process, connected, &mut |request| any |= ask(request));
    }
    any
}

#[test]
fn what_is_said_to_decide_nothing_decides_nothing() {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(300));
    let seen = RefCell::new(BTreeMap::<&str, u32>::new());
    let held = runner.run(&(condition(), any::<bool>()), |(condition, forbids)| {
        let text = if forbids {
            forbid(&condition)
        } else {
            permit(&condition)
        };
        let Ok(compiled) = compile(&[Source {
            name: "a",
            text: &text,
        }]) else {
            return Ok(());
        };
        let image = Image::check(&compiled.image).unwrap();
        let wanted = if forbids {
            Outcome::Forbidden
        } else {
            Outcome::Permitted
        };
        let decides = ["client", "server"].map(|end| {
            any_at(end, forbids, &mut |request| {
                image.decide(request).outcome() == wanted
            })
        });
        for odd in &compiled.warnings {
            let told = odd.message();
            let Some(said) = SAID.iter().find(|said| told.starts_with(**said)) else {
                continue;
            };
            *seen.borrow_mut().entry(said).or_default() += 1;
            let [client, server] = decides;
            match *said {
                AT_CLIENT => prop_assert!(!client, "{told}\n{text}"),
                AT_SERVER => prop_assert!(!server, "{told}\n{text}"),
                _ => prop_assert!(!client && !server, "{told}\n{text}"),
            }
        }
        Ok(())
    });
    held.unwrap();
    let seen = seen.into_inner();
    assert!(SAID.iter().all(|said| seen.contains_key(said)), "{seen:?}");
}

/// A value of an extension type, as Cedar's JSON has it.
fn extension(name: &str, argument: &str) -> serde_json::Value {
    serde_json::json!({"__extn": {"fn": name, "arg": argument}})
}

/// What Cedar decides of a request of an end.
fn by_cedar(policies: &cedar_policy::PolicySet, request: &Request<'_>) -> bool {
    let uid = |kind: &str, id: &str| format!("{kind}::\"{id}\"").parse().unwrap();
    let json = |attribute: &Attribute<'_>| {
        let value = match attribute.value {
            Value::Long(value) => value.into(),
            Value::Record(fields) => fields
                .iter()
                .map(|field| match field.value {
                    Value::Long(value) => (field.name.to_owned(), serde_json::Value::from(value)),
                    Value::Str(text) => (field.name.to_owned(), text.into()),
                    other => panic!("{other:?}"),
                })
                .collect(),
            Value::Ip(ip) if ip == Ip::v4([10, 0, 0, 1], 32).unwrap() => {
                extension("ip", "10.0.0.1")
            }
            Value::Ip(_) => extension("ip", "11.0.0.1"),
            Value::Datetime(ms) => extension(
                "datetime",
                if ms < 1_767_225_600_000 {
                    "2025-01-01"
                } else {
                    "2027-01-01"
                },
            ),
            other => panic!("{other:?}"),
        };
        (attribute.name.to_owned(), value)
    };
    let context: serde_json::Map<_, _> = request.context.attributes().iter().map(json).collect();
    let context = cedar_policy::Context::from_json_value(context.into(), None).unwrap();
    let principal: cedar_policy::EntityUid = uid(request.principal.kind, request.principal.id);
    let above = request.principal.ancestors;
    let above = above.iter().map(|name| uid(name.kind, name.id)).collect();
    let known = cedar_policy::Entity::new_no_attrs(principal.clone(), above);
    let asked = cedar_policy::Request::new(
        principal,
        uid("Action", request.action),
        uid(request.resource.kind, request.resource.id),
        context,
        None,
    );
    let known = cedar_policy::Entities::from_entities([known], None).unwrap();
    let answer = cedar_policy::Authorizer::new().is_authorized(&asked.unwrap(), policies, &known);
    // What cannot be evaluated is where we differ, on purpose.
    let failed = answer.diagnostics().errors().next().is_some();
    answer.decision() == cedar_policy::Decision::Allow && !failed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn facts_decide_as_cedar_has_it(condition in condition(), forbids: bool) {
        let text = if forbids { forbid(&condition) } else { permit(&condition) };
        let Ok(compiled) = compile(&[Source { name: "a", text: &text }]) else {
            return Ok(());
        };
        let image = Image::check(&compiled.image).unwrap();
        let policies = text.parse().unwrap();
        for process in [Some("client"), Some("server"), None] {
            requests(process, true, &mut |request| {
                let ours = image.decide(request).allow();
                assert_eq!(ours, by_cedar(&policies, request), "{text}\n{request:#?}");
            });
        }
    }
}
