//! What compiling accepts, what it refuses, and where it says so.
#![cfg(feature = "compile")]

use tidelock_policy::compile::{Reason, Unsupported, compile_with_schema};
use tidelock_policy::{
    Attribute, BuildError, CompileError, Context, Entity, EntityRef, Image, ImageError, Ip,
    Outcome, Request, Source, Value, compile,
};

const WEB: &str = "spiffe://example.org/shop/web";

fn one(text: &str) -> Result<tidelock_policy::Compiled, Vec<CompileError>> {
    compile(&[Source {
        name: "a.cedar",
        text,
    }])
}

fn refused(text: &str) -> Vec<String> {
    one(text)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The reasons for which a policy of this condition is refused.
fn condition(text: &str) -> Vec<Reason> {
    let text = format!("permit(principal, action, resource) when {{ {text} }};");
    let errors = one(&text).map(|compiled| compiled.cost).unwrap_err();
    errors.into_iter().map(|error| error.reason).collect()
}

/// Decides about `web` connecting to `db` at a port.
fn decide(text: &str, port: u16) -> (Outcome, Vec<String>) {
    let compiled = one(text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let image = Image::check(&compiled.image).unwrap();
    let ancestors = [
        EntityRef::new("Workload", "spiffe://example.org"),
        EntityRef::new("Workload", "spiffe://example.org/shop"),
        EntityRef::new("TrustDomain", "example.org"),
    ];
    let decision = image.decide(&Request {
        principal: Entity::new("Workload", WEB, &ancestors),
        action: "connect",
        resource: Entity::new("Service", "db", &[]),
        context: Context::new(&[Attribute::port(port)]),
    });
    let mut names: Vec<_> = decision.policies().map(String::from).collect();
    names.sort();
    (decision.outcome(), names)
}

#[test]
fn no_policies_compile_to_an_image_that_denies() {
    assert_eq!(decide("", 1), (Outcome::NoPermit, vec![]));
    assert_eq!(decide("// nothing yet\n", 1), (Outcome::NoPermit, vec![]));
}

#[test]
fn a_permit_reads_as_written() {
    let text = r#"
        @id("web to db")
        permit(
            principal in Workload::"spiffe://example.org/shop", // all of it
            action == Action::"connect",
            resource == Service::"db"
        ) when { context.port == 5432 || context.port >= 6000 && context.port < 6010 };
    "#;
    for port in [5432, 6000, 6009] {
        assert_eq!(
            decide(text, port),
            (Outcome::Permitted, vec!["web to db".into()])
        );
    }
    for port in [5433, 5999, 6010] {
        assert_eq!(decide(text, port), (Outcome::NoPermit, vec![]));
    }
}

#[test]
fn every_part_of_the_subset_compiles() {
    for (text, port, permitted) in [
        (
            r#"principal == Workload::"spiffe://example.org/shop/web", action, resource"#,
            1,
            true,
        ),
        (
            r#"principal == Workload::"spiffe://example.org/shop", action, resource"#,
            1,
            false,
        ),
        (
            r#"principal in TrustDomain::"example.org", action, resource"#,
            1,
            true,
        ),
        (
            r#"principal is Workload, action, resource is Service"#,
            1,
            true,
        ),
        (
            r#"principal is Workload in TrustDomain::"example.org", action, resource"#,
            1,
            true,
        ),
        (
            r#"principal is Workload in TrustDomain::"example.com", action, resource"#,
            1,
            false,
        ),
        (
            r#"principal, action in [Action::"connect", Action::"listen"], resource"#,
            1,
            true,
        ),
        (
            r#"principal, action in Action::"connect", resource"#,
            1,
            true,
        ),
        (
            r#"principal, action in [Action::"listen"], resource"#,
            1,
            false,
        ),
        (r#"principal, action, resource in Service::"db""#, 1, true),
        (
            r#"principal, action, resource == Service::"cache""#,
            1,
            false,
        ),
    ] {
        let expected = if permitted {
            Outcome::Permitted
        } else {
            Outcome::NoPermit
        };
        assert_eq!(
            decide(&format!("permit({text});"), port).0,
            expected,
            "{text}"
        );
    }
    for (text, port, permitted) in [
        ("when { true }", 1, true),
        ("when { false }", 1, false),
        ("unless { context.port == 1 }", 1, false),
        ("unless { context.port == 1 }", 2, true),
        (
            "when { context.port > 1 } unless { context.port > 3 }",
            2,
            true,
        ),
        (
            "when { context.port > 1 } unless { context.port > 3 }",
            4,
            false,
        ),
        ("when { context.port != 1 }", 1, false),
        ("when { 2 > context.port }", 1, true),
        ("when { 2 <= context.port }", 1, false),
        ("when { [80, 443].contains(context.port) }", 443, true),
        ("when { [80, 443].contains(context.port) }", 444, false),
        (
            "when { !(context.port == 80) && !![-1, 443].contains(context.port) }",
            443,
            true,
        ),
        (
            "when { (context.port < 5) == (context.port < 6) }",
            5,
            false,
        ),
        ("when { context.port > -9223372036854775808 }", 5, true),
        ("when { context.port < 9223372036854775807 }", 5, true),
        ("when { context[\"port\"] == 5 }", 5, true),
        ("when { context.port + 1 == 6 }", 5, true),
        (
            "when { context.port * 2 - 1 == 9 && -context.port == -5 }",
            5,
            true,
        ),
        (
            "when { context.port * 9223372036854775807 == 1 || true }",
            5,
            false,
        ),
        ("when { context has port }", 5, true),
        (
            "when { if context.port == 5 then true else false }",
            5,
            true,
        ),
        (
            "when { principal is Workload && principal in TrustDomain::\"example.org\" }",
            5,
            true,
        ),
        (
            "when { principal is Workload in TrustDomain::\"example.com\" }",
            5,
            false,
        ),
        ("when { [context.port, 6].contains(5) }", 5, true),
        ("when { [1, 2].containsAll([context.port]) }", 5, false),
        (
            "when { [5, 2].containsAny([context.port]) && ![1].isEmpty() }",
            5,
            true,
        ),
        ("when { { a: context.port }.a == 5 }", 5, true),
        ("when { { a: [context.port] } == { a: [5, 5] } }", 5, true),
        ("when { \"abc\" like \"a*c\" }", 5, true),
        (
            "when { ip(\"10.1.0.1\").isInRange(ip(\"10.0.0.0/8\")) }",
            5,
            true,
        ),
        (
            "when { decimal(\"1.5\").lessThan(decimal(\"1.25\")) }",
            5,
            false,
        ),
        (
            "when { datetime(\"2024-01-02\").durationSince(datetime(\"2024-01-01\")).toHours() == 24 }",
            5,
            true,
        ),
        (
            "when { datetime(\"2024-01-01\").offset(duration(\"1d\")) > datetime(\"2024-01-01\") }",
            5,
            true,
        ),
        (
            "when { action == Action::\"connect\" && action != Action::\"listen\" }",
            5,
            true,
        ),
        (
            "when { action in [Action::\"listen\"] || action is Action }",
            5,
            true,
        ),
    ] {
        let expected = if permitted {
            Outcome::Permitted
        } else {
            Outcome::NoPermit
        };
        let text = format!("permit(principal, action, resource) {text};");
        assert_eq!(decide(&text, port).0, expected, "{text}");
    }
}

#[test]
fn the_published_schema_is_of_use() {
    let text = r#"
        permit(principal, action == Action::"connect", resource == Service::"db") when {
            context has clientAddress && context.clientAddress.isInRange(ip("10.0.0.0/8"))
            && context has process.uid && context.process.uid == 1000
            && context has posture.attested && context.posture.attested
        };
        permit(principal, action == Action::"http", resource) when {
            context.method == "GET" && context.path like "/public/*"
        };
        forbid(principal, action == Action::"connect", resource in External::"192.0.2.0/24")
        unless { context has onBehalfOf && context.onBehalfOf == User::"ann" };
    "#;
    let compiled = one(text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let image = Image::check(&compiled.image).unwrap();
    let ask = |process: &[Attribute<'_>], attested| {
        let posture = [Attribute::new("attested", Value::Bool(attested))];
        let context = [
            Attribute::port(1),
            Attribute::new(
                "clientAddress",
                Value::Ip(Ip::v4([10, 1, 2, 3], 32).unwrap()),
            ),
            Attribute::new("process", Value::Record(process)),
            Attribute::new("posture", Value::Record(&posture)),
        ];
        image
            .decide(&Request {
                principal: Entity::new("Workload", WEB, &[]),
                action: "connect",
                resource: Entity::new("Service", "db", &[]),
                context: Context::new(&context),
            })
            .allow()
    };
    let uid = |uid| [Attribute::new("uid", Value::Long(uid))];
    assert!(ask(&uid(1000), true));
    assert!(!ask(&uid(1001), true) && !ask(&uid(1000), false) && !ask(&[], true));
}

#[test]
fn forbid_wins_and_is_named() {
    let text = r#"
        permit(principal, action, resource);
        forbid(principal, action, resource) when { context.port == 22 };
        @id("shut") forbid(principal, action, resource) when { context.port < 100 };
    "#;
    assert_eq!(
        decide(text, 443),
        (Outcome::Permitted, vec!["policy0".into()])
    );
    assert_eq!(
        decide(text, 22),
        (Outcome::Forbidden, vec!["policy1".into(), "shut".into()])
    );
}

#[test]
fn what_the_image_cannot_express_is_refused_by_name() {
    for text in [
        "[action].contains(action)",
        "[Action::\"connect\"].contains(action)",
        "{ a: action }.a == action",
    ] {
        let reasons = condition(text);
        let expected = Reason::Unsupported(Unsupported::Action);
        assert!(reasons.contains(&expected), "{text}: {reasons:?}");
    }
    let deep = condition("[[[[[1]]]]] == [[[[[context.port]]]]]");
    assert_eq!(deep, [Reason::Image(BuildError::ValueTooDeep)]);
    let wide = vec!["context.port"; 40].join(", ");
    let reasons = condition(&format!("[{wide}].contains(1)"));
    assert_eq!(reasons, [Reason::Image(BuildError::ConditionTooDeep)]);
}

#[test]
fn all_errors_come_at_once_with_file_line_and_column() {
    let text = "permit(principal, action, resource);\n\
        // é\n\
        @id(\"two\")\n\
        permit(principal, action, resource)\n\
        when { context.port == 1 && [action].contains(action)\n\
        || [action] == [action] };\n\
        permit(principle, action, resource);\n\
        forbid(principal, action == Action::\"fly\", resource);\n\
        forbid(principal, action, resource) when { context.prt == 1 };\n";
    let other = Source {
        name: "b.cedar",
        text: "permit(principal == ?resource, action, resource);",
    };
    let errors = compile(&[
        Source {
            name: "a.cedar",
            text,
        },
        other,
    ])
    .unwrap_err();
    let found: Vec<_> = errors
        .iter()
        .map(|error| {
            let place = error.place.as_ref().unwrap();
            (
                place.file.as_str(),
                place.line,
                place.column,
                place.policy.as_str(),
            )
        })
        .collect();
    let expected = [
        ("a.cedar", 5, 30, "two"),
        ("a.cedar", 5, 47, "two"),
        ("a.cedar", 6, 5, "two"),
        ("a.cedar", 6, 17, "two"),
        ("a.cedar", 7, 8, "policy2"),
        ("a.cedar", 8, 29, "policy3"),
        // Once for each action.
        ("a.cedar", 9, 44, "policy4"),
        ("a.cedar", 9, 44, "policy4"),
        ("a.cedar", 9, 44, "policy4"),
        ("a.cedar", 9, 44, "policy4"),
        ("b.cedar", 1, 21, "policy5"),
    ];
    assert_eq!(found, expected, "{errors:#?}");
    let [has, ..] = errors.as_slice() else {
        panic!()
    };
    assert!(
        has.to_string()
            .starts_with("a.cedar:5:30: policy `two`: in a condition an action")
    );
}

#[test]
fn a_check_names_what_is_wrong_or_else_what_is_odd() {
    let check = |text| {
        tidelock_policy::compile::check(&[Source {
            name: "a.cedar",
            text,
        }])
    };
    assert_eq!(check("permit(principal, action, resource);"), []);
    let odd = check("permit(principal == Service::\"x\", action, resource);");
    assert!(matches!(odd[0].reason, Reason::Warning(_)));
    assert_eq!(
        check("permit(a, action, resource); permit(b, action, resource);").len(),
        2
    );
}

#[test]
fn validation_is_strict() {
    for text in [
        "context.port == \"80\"",
        "context.port",
        "context.port < true",
        "context.uid == 1",
    ] {
        let reasons = condition(text);
        assert!(
            reasons
                .iter()
                .any(|reason| matches!(reason, Reason::Invalid(_))),
            "{text}: {reasons:?}"
        );
    }
    let kind = refused("permit(principal == Person::\"x\", action, resource);");
    assert!(
        kind.iter().any(|error| error.contains("Person")),
        "{kind:?}"
    );
}

#[test]
fn a_policy_that_can_match_nothing_is_a_warning() {
    let compiled = one("permit(principal == Service::\"x\", action, resource);").unwrap();
    let [first, ..] = compiled.warnings.as_slice() else {
        panic!()
    };
    assert!(matches!(first.reason, Reason::Warning(_)));
    assert_eq!(first.place.as_ref().unwrap().line, 1);
}

#[test]
fn an_unclosed_policy_is_a_syntax_error_at_its_place() {
    let errors =
        refused("permit(principal, action, resource;\npermit(principal, action, resource)");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].starts_with("a.cedar:1:35: policy `policy0`"),
        "{errors:?}"
    );
    assert!(errors[1].starts_with("a.cedar:2:"), "{errors:?}");
    assert_eq!(
        refused("permit(principal, action, resource) when { \"unclosed };").len(),
        1
    );
}

#[test]
fn semicolons_in_strings_and_comments_end_nothing() {
    let text = "@id(\"a;\\\"b;\") permit(principal, action, // ; \"\n resource);";
    assert_eq!(decide(text, 1), (Outcome::Permitted, vec!["a;\"b;".into()]));
}

#[test]
fn a_cost_over_the_limit_is_refused() {
    // Two attributes may be strings, and comparing strings is dear.
    let dear = vec!["context.port == context.port"; 120].join(" && ");
    let text = format!("permit(principal, action, resource) when {{ {dear} }};");
    assert!(one(&text).unwrap().cost > 15_000);
    let errors = one(&text.repeat(70))
        .map(|compiled| compiled.cost)
        .unwrap_err();
    let [
        CompileError {
            place: None,
            reason: Reason::Image(BuildError::Refused(error)),
        },
    ] = errors.as_slice()
    else {
        panic!("{errors:?}")
    };
    assert!(matches!(error, ImageError::TooCostly { .. }));
}

#[test]
fn a_schema_of_ones_own_names_actions_and_groups() {
    let schema = r#"
        namespace Shop {
            entity Customer;
            entity Article;
            action change;
            action buy, sell in [change] appliesTo { principal: Customer, resource: Article, context: { count: Long } };
        }"#;
    let text = r#"permit(principal is Shop::Customer, action in Shop::Action::"change", resource) when { context.count < 3 };"#;
    let compiled = compile_with_schema(schema, &[Source { name: "shop", text }]).unwrap();
    let image = Image::check(&compiled.image).unwrap();
    let ask = |action, count| {
        image
            .decide(&Request {
                principal: Entity::new("Shop::Customer", "c", &[]),
                action,
                resource: Entity::new("Shop::Article", "a", &[]),
                context: Context::new(&[Attribute::new(
                    "count",
                    tidelock_policy::Value::Long(count),
                )]),
            })
            .allow()
    };
    assert!(ask("Shop::Action::\"buy\"", 2));
    assert!(!ask("Shop::Action::\"buy\"", 3));
    assert!(!ask("Shop::Action::\"look\"", 2));
    let broken = compile_with_schema("entity X", &[]).unwrap_err();
    assert!(matches!(broken[0].reason, Reason::Schema(_)));
}

/// Found by the differential test: the request is not valid by the schema, and Cedar evaluates it nevertheless.
#[test]
fn a_set_where_the_schema_has_a_number_equals_itself() {
    let ask = |condition: &str| {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        let compiled = one(&text).unwrap_or_else(|errors| panic!("{errors:#?}"));
        let image = Image::check(&compiled.image).unwrap();
        let set = [Value::Bool(true)];
        let context = [Attribute::new("port", Value::Set(&set))];
        let decision = image.decide(&Request {
            principal: Entity::new("Workload", WEB, &[]),
            action: "connect",
            resource: Entity::new("Service", "db", &[]),
            context: Context::new(&context),
        });
        (decision.outcome(), decision.errors())
    };
    assert_eq!(ask("context.port == context.port"), (Outcome::Permitted, 0));
    assert_eq!(ask("context.port != context.port"), (Outcome::NoPermit, 0));
    assert_eq!(ask("context.port == 1"), (Outcome::NoPermit, 0));
    assert_eq!(ask("context.port < 1"), (Outcome::NoPermit, 1));
}
