//! Input that is no policy: refused whole, each with its reason, and what is right beside it makes no image.
#![cfg(feature = "compile")]

use tidelock_policy::compile::{Reason, SCHEMA, compile_with_schema};
use tidelock_policy::{CompileError, Source, compile};

const GOOD: &str = "permit(principal, action, resource) when { context.port == 443 };";

fn errors(sources: &[(&str, &str)]) -> Vec<CompileError> {
    let sources: Vec<_> = sources
        .iter()
        .map(|&(name, text)| Source { name, text })
        .collect();
    compile(&sources)
        .map(|compiled| compiled.cost)
        .expect_err("something is wrong")
}

/// File, line and column of each error.
fn places(errors: &[CompileError]) -> Vec<(&str, u32, u32)> {
    let places = errors.iter().filter_map(|error| error.place.as_ref());
    places
        .map(|place| (place.file.as_str(), place.line, place.column))
        .collect()
}

#[test]
fn malformed_cedar_is_refused_at_its_place() {
    for text in [
        "permit",
        "permit(principal, action, resource)",
        "permit(principal, action);",
        "permit(principal, action, resource) when { context.port = 443 };",
        "permit(principal, action, resource) when { };",
        "permit(principal, action, resource) when { \"unclosed };",
        "permit(principal, action, resource) when { context.port == 443 ;",
        "permit(principal == Workload::x, action, resource);",
        "allow(principal, action, resource);",
        "permit(principal, action, resource) when { context.port == 9223372036854775808 };",
        "permit(principal, action, resource) when { \"\\q\" == \"q\" };",
        "\u{0}",
    ] {
        let errors = errors(&[("good", GOOD), ("bad", text), ("good too", GOOD)]);
        for error in &errors {
            assert!(matches!(error.reason, Reason::Syntax(_)), "{text}: {error}");
            assert!(!error.message().is_empty());
        }
        assert!(
            places(&errors)
                .iter()
                .all(|&(file, line, _)| (file, line) == ("bad", 1)),
            "{text}: {errors:#?}"
        );
    }
}

#[test]
fn what_the_schema_does_not_know_is_refused_by_name() {
    for (text, unknown) in [
        ("context.colour == 1", "colour"),
        (
            "context has process && context.process.colour == 1",
            "process",
        ),
        ("principal.colour == 1", "colour"),
        ("principal in Team::\"a\"", "Team"),
        ("resource == Service::\"db\" && resource.port == 1", "port"),
        ("ip(\"10.0.0.0/8\").isOdd()", "isOdd"),
    ] {
        let text = format!(
            "permit(principal, action == Action::\"connect\", resource) when {{ {text} }};"
        );
        let errors = errors(&[("good", GOOD), ("bad", &text)]);
        assert!(
            errors
                .iter()
                .all(|error| error.to_string().contains(unknown)),
            "{text}: {errors:#?}"
        );
    }
    let action = errors(&[(
        "a",
        "permit(principal, action == Action::\"fly\", resource);",
    )]);
    assert!(action[0].to_string().contains("fly"), "{action:#?}");
}

#[test]
fn a_schema_that_contradicts_itself_is_refused() {
    let source = Source {
        name: "good",
        text: GOOD,
    };
    for (schema, about) in [
        ("entity A; entity A;", "A"),
        ("entity A { x: Long, x: String };", "x"),
        ("entity A { \"x\"?: Long, y: { x: Long }, x: String };", "x"),
        ("type T = U; type U = T;", "cycle"),
        ("entity A { b: B };", "B"),
        ("entity A in [B];", "B"),
        ("action a in [b]; action b in [a];", ""),
        (
            "entity A; action a appliesTo { principal: A, resource: C };",
            "C",
        ),
        ("entity A; action a; action a;", "a"),
        ("entity A enum [];", ""),
        ("entity", ""),
        ("\u{0}", ""),
    ] {
        let errors = compile_with_schema(schema, &[source])
            .map(|compiled| compiled.cost)
            .expect_err(schema);
        let [
            CompileError {
                place: None,
                reason: Reason::Schema(said),
            },
        ] = errors.as_slice()
        else {
            panic!("{schema}: {errors:#?}");
        };
        assert!(said.contains(about), "{schema}: {said}");
    }
}

#[test]
fn of_thousands_the_wrong_ones_are_named_each_in_its_place() {
    let text = |wrong: &[(usize, &str)]| -> String {
        let policy = |n| {
            let wrong = wrong.iter().find(|&&(at, _)| at == n);
            let condition = wrong.map_or("context.port == 443", |&(_, wrong)| wrong);
            format!("@id(\"p{n}\")\npermit(principal, action, resource)\nwhen {{ {condition} }};\n")
        };
        (0..2_500).map(policy).collect()
    };
    // Not valid: found when all were parsed by the thousand.
    let invalid = text(&[
        (1_700, "context.colour == 1"),
        (2_400, "context.port == \"a\""),
    ]);
    let found = errors(&[("a", GOOD), ("b", &invalid)]);
    assert_eq!(
        places(&found).first(),
        Some(&("b", 3 * 1_700 + 3, 8)),
        "{found:#?}"
    );
    assert_eq!(places(&found).last(), Some(&("b", 3 * 2_400 + 3, 8)));
    let names: Vec<_> = found
        .iter()
        .filter_map(|error| Some(error.place.as_ref()?.policy.as_str()))
        .collect();
    assert!(names.iter().all(|name| ["p1700", "p2400"].contains(name)));
    // Not Cedar, and not to be expressed: the others of its thousand were parsed one by one.
    let text = text(&[(1_700, "context.port ="), (1_800, "action == resource")]);
    let found = errors(&[("a", GOOD), ("b", &text)]);
    let lines: Vec<_> = places(&found).iter().map(|&(_, line, _)| line).collect();
    assert_eq!(lines.first(), Some(&(3 * 1_700 + 3)), "{found:#?}");
    assert_eq!(lines.last(), Some(&(3 * 1_800 + 3)), "{found:#?}");
}

#[test]
fn columns_are_counted_in_characters_however_long_the_line() {
    let before = format!("{GOOD} /*").replace("/*", "");
    let long = format!("@id(\"{}\")", "é".repeat(900));
    let wrong = "permit(principal, action, resource) when { context.colour == 1 };";
    let text = format!("{before}{long}{GOOD}{wrong}\n{wrong}");
    let found = errors(&[("a", &text)]);
    let at = before.chars().count() + long.chars().count() + GOOD.chars().count();
    let within = wrong.find("context").unwrap();
    let column = u32::try_from(at + within + 1).unwrap();
    let second = u32::try_from(within + 1).unwrap();
    assert!(places(&found).contains(&("a", 1, column)), "{found:#?}");
    assert!(places(&found).contains(&("a", 2, second)), "{found:#?}");
}

#[test]
fn every_entity_and_action_of_the_published_schema_can_be_asked_about() {
    for entity in [
        "Workload",
        "Service",
        "Node",
        "External",
        "User",
        "TrustDomain",
    ] {
        assert!(SCHEMA.contains(&format!("entity {entity}")), "{entity}");
    }
    let text = r#"
        permit(principal in TrustDomain::"a", action == Action::"connect", resource is External)
        when { context has posture.node && context.posture.node == Node::"n" };
        permit(principal, action == Action::"connect", resource is Service)
        when { context has onBehalfOf && context.onBehalfOf in User::"ann" };
        permit(principal, action == Action::"inject", resource is External)
        when { context has onBehalfOf && context.onBehalfOf in User::"ann" };
        permit(principal, action == Action::"listen", resource is Service)
        when { context has address && context.address.isLoopback() };
        permit(principal, action == Action::"http", resource is Service)
        when { context.method == "GET" };
    "#;
    let source = Source { name: "all", text };
    let compiled = compile(&[source]).unwrap_or_else(|errors| panic!("{errors:#?}"));
    // What is in the schema for later is asked for, and warned of where somebody asks already.
    let warned: Vec<(u32, String)> = compiled
        .warnings
        .iter()
        .map(|odd| (odd.place.as_ref().unwrap().line, odd.message()))
        .collect();
    let expected = [
        (2, "permits nothing: the resource that is asked about"),
        (
            5,
            "permits nothing: `context.onBehalfOf` is known at neither end; an end knows port, addresses, time, its own process and its node's posture",
        ),
        (8, "permits nothing: to listen takes no permit."),
    ];
    assert_eq!(warned.len(), expected.len(), "{warned:#?}");
    for ((line, told), (expected_line, begins)) in warned.iter().zip(expected) {
        assert!(
            *line == expected_line && told.starts_with(begins),
            "{line}: {told}"
        );
    }
}
