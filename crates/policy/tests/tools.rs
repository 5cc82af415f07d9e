//! What people are told of policies: errors in their places, tests, reasons.
#![cfg(feature = "compile")]

use tidelock_policy::compile::SCHEMA;
use tidelock_policy::tools::{
    self, Explanation, Facts, Policies, Question, QuestionError, Standing, Written,
};
use tidelock_policy::{Effect, Outcome, Source};

const POLICY: &str = r#"@id("web to db")
permit (
    principal in Workload::"spiffe://example.org/shop",
    action == Action::"connect",
    resource == Service::"db"
) when {
    context has clientAddress
    && context.clientAddress.isInRange(ip("10.0.0.0/8")) // inside
    && [5432, 5433].contains(context.port)
} unless {
    context has posture.attested && !context.posture.attested
};
@id("no telnet")
forbid (principal, action, resource) when { context.port == 23 };
@id("office")
permit (principal, action == Action::"connect", resource == Service::"print")
when { context.port == 631 || context.port == 23 };
"#;

fn source(text: &str) -> Source<'_> {
    Source {
        name: "shop.cedar",
        text,
    }
}

fn facts() -> Facts<'static> {
    Facts {
        above: |kind, id| match id.rsplit_once('/') {
            Some((above, _)) if kind == "Workload" => vec![(kind.into(), above.into())],
            _ => vec![],
        },
        ..Facts::new(SCHEMA)
    }
}

fn read(resource: &str, context: &str) -> Result<Question, QuestionError> {
    let written = Written {
        principal: "Workload::\"spiffe://example.org/shop/web\"",
        action: "connect",
        resource,
        context,
    };
    Question::read(&facts(), &written)
}

fn explain(service: &str, context: &str) -> Explanation {
    let question = read(&format!("Service::\"{service}\""), context).unwrap();
    let policies = Policies::compile(SCHEMA, &[source(POLICY)]).unwrap();
    policies.explain(&question).unwrap()
}

/// Of each policy by name: the place and the text of what does not hold.
fn wanted<'e>(explanation: &'e Explanation, policy: &str) -> Option<(u32, u32, &'e str)> {
    let account = explanation
        .accounts
        .iter()
        .find(|account| account.place.policy == policy);
    match &account.unwrap().standing {
        Standing::Matches => None,
        Standing::Fails(wanted) | Standing::Unevaluable(wanted) => {
            Some((wanted.place.line, wanted.place.column, &wanted.text))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_allow_says_which_permits_would_have_to_go() {
    let found = explain("db", r#"{"port": 5432, "clientAddress": "10.1.2.3"}"#);
    assert!(found.allow());
    assert_eq!(found.determining, ["web to db"]);
    assert_eq!(found.changes(), ["without `web to db` it is denied"]);
    assert_eq!(wanted(&found, "web to db"), None);
    assert_eq!(
        wanted(&found, "no telnet"),
        Some((14, 45, "context.port == 23"))
    );
}

#[test]
fn a_denial_says_what_each_permit_wanted_first() {
    for (context, expected) in [
        (r#"{"port": 5432}"#, (7, 5, "context has clientAddress")),
        (
            r#"{"port": 5432, "clientAddress": "192.0.2.1"}"#,
            (8, 8, "context.clientAddress.isInRange(ip(\"10.0.0.0/8\"))"),
        ),
        (
            r#"{"port": 1, "clientAddress": "10.0.0.1"}"#,
            (9, 8, "[5432, 5433].contains(context.port)"),
        ),
        (
            r#"{"port": 5432, "clientAddress": "10.0.0.1", "posture": {"attested": false}}"#,
            (
                11,
                5,
                "context has posture.attested && !context.posture.attested",
            ),
        ),
    ] {
        let found = explain("db", context);
        assert_eq!(found.outcome, Outcome::NoPermit, "{context}");
        assert_eq!(wanted(&found, "web to db"), Some(expected), "{context}");
        // What came closest is told first.
        assert!(found.changes()[0].contains("`web to db` permits it only"));
    }
    let found = explain("print", r#"{"port": 5432}"#);
    assert_eq!(
        wanted(&found, "web to db"),
        Some((5, 5, "resource == Service::\"db\""))
    );
    assert_eq!(
        wanted(&found, "office"),
        Some((17, 8, "context.port == 631 || context.port == 23"))
    );
    assert!(found.changes()[0].contains("`office`"), "{found}");
}

#[test]
fn a_forbid_is_named_with_what_would_be_without_it() {
    let found = explain("print", r#"{"port": 23}"#);
    assert_eq!(found.outcome, Outcome::Forbidden);
    assert_eq!(
        found.changes(),
        ["without `no telnet` it is permitted by `office`"]
    );
    let found = explain("db", r#"{"port": 23}"#);
    assert_eq!(
        found.changes(),
        ["without `no telnet` still nothing permits it"]
    );
    let text = found.to_string();
    assert!(text.starts_with("deny: Workload::"), "{text}");
    assert!(text.contains("  shop.cedar:13:1: `no telnet`\n"), "{text}");
}

#[test]
fn what_cannot_be_evaluated_is_told_as_such() {
    let text = "@id(\"big\") forbid(principal, action, resource) when { context.port * 9223372036854775807 == 1 };";
    let policies = Policies::compile(SCHEMA, &[source(text)]).unwrap();
    let question = read("Service::\"db\"", "{\"port\": 2}").unwrap();
    let found = policies.explain(&question).unwrap();
    assert_eq!(found.outcome, Outcome::Forbidden);
    assert!(matches!(
        found.accounts[0].standing,
        Standing::Unevaluable(_)
    ));
    assert_eq!(found.counting(Effect::Forbid).count(), 1);
    assert!(
        found.to_string().contains(
            "which cannot evaluate `context.port * 9223372036854775807 == 1` and so denies"
        ),
        "{found}"
    );
}

#[test]
fn more_policies_than_a_decision_names_are_all_named() {
    let text = "permit(principal, action, resource);\n".repeat(40);
    let policies = Policies::compile(SCHEMA, &[source(&text)]).unwrap();
    let question = read("Service::\"db\"", "{\"port\": 2}").unwrap();
    let found = policies.explain(&question).unwrap();
    assert_eq!(found.determining.len(), 40);
}

#[test]
fn a_request_that_the_schema_does_not_have_is_refused_by_its_part() {
    let context = |text| read("Service::\"db\"", text).unwrap_err();
    for text in [
        "{\"port\": \"80\"}",
        "{\"prt\": 80, \"port\": 1}",
        "[]",
        "{",
        "{}",
    ] {
        let error = context(text);
        assert!(
            matches!(error, QuestionError::Context(_)),
            "{text}: {error}"
        );
    }
    let resource = |text| read(text, "{\"port\": 80}").unwrap_err();
    assert!(matches!(resource("db"), QuestionError::Resource(_)));
    assert!(matches!(resource("Node::\"n\""), QuestionError::Request(_)));
    let written = Written {
        principal: "Workload::\"w\"",
        action: "fly",
        resource: "Service::\"db\"",
        context: "{}",
    };
    let Err(QuestionError::Action(why)) = Question::read(&facts(), &written) else {
        panic!()
    };
    assert!(why.contains("Action::\"connect\""), "{why}");
}

#[test]
fn every_type_of_the_schema_can_be_asked_about() {
    let text = r#"permit(principal, action, resource) when {
        context has time && context.time > datetime("2026-01-01") && context has onBehalfOf
        && context.onBehalfOf == User::"ann" && context has process.uid && context.process.uid == 7
    };"#;
    let policies = Policies::compile(SCHEMA, &[source(text)]).unwrap();
    let ask = |time: &str| {
        let context = format!(
            r#"{{"port": 1, "time": "{time}", "onBehalfOf": {{"type": "User", "id": "ann"}}, "process": {{"uid": 7}}}}"#
        );
        let question = read("Service::\"db\"", &context).unwrap();
        policies.explain(&question).unwrap().allow()
    };
    assert!(ask("2026-01-01T00:00:00.001Z"));
    assert!(!ask("2026-01-01"));
}

#[test]
fn errors_are_shown_under_the_line_where_they_stand() {
    let text = "permit(principal, action, resource);\n\tforbid(principal, action, resource) when { context.prt == 1 };\npermit(principle, action, resource);\n";
    let checked = tools::check(SCHEMA, &[source(text)]);
    assert!(checked.compiled.is_none());
    let shown = tools::show(&checked.errors, &[source(text)]);
    let line = "2 | \tforbid(principal, action, resource) when { context.prt == 1 };\n  | \t                                           ^^^^^^^^^^^\n";
    assert!(shown.contains(line), "{shown}");
    assert_eq!(shown.matches(line).count(), 1, "{shown}");
    assert!(
        shown.contains("3 | permit(principle, action, resource);\n  |        ^^^^^^^^^\n"),
        "{shown}"
    );
}

#[test]
fn a_name_given_twice_is_odd() {
    let twice = "@id(\"a\") permit(principal, action, resource);\n@id(\"a\") permit(principal, action, resource);";
    let checked = tools::check(SCHEMA, &[source(twice)]);
    assert!(checked.compiled.is_some());
    let [odd] = checked.warnings.as_slice() else {
        panic!("{:?}", checked.warnings)
    };
    assert_eq!(odd.place.as_ref().unwrap().line, 2);
    assert!(odd.message().contains("shop.cedar:1"), "{odd}");
    assert!(
        tools::show(&checked.warnings, &[source(twice)]).starts_with("warning: shop.cedar:2:1")
    );
}

const DOCUMENTS: &str = "\
apiVersion: tidelock.dev/v1
kind: Service
metadata: {name: db}
spec: {addresses: [\"10.0.0.1:1\"], servers: []}
---
kind: Policy
metadata: {name: a}
spec:
  cedar: |

    permit(principal, action,
      resource);
---
kind: Policy
spec: {cedar: \"permit(principle, action, resource);\"}
---
kind: Policy
spec: {cedar: 'forbid(principal, axion, resource);'}
";

#[test]
fn policies_in_documents_keep_their_places() {
    let read = tools::cedar_of_yaml("a.yaml", DOCUMENTS);
    assert_eq!((read.documents, read.errors.as_slice()), (3, &[][..]));
    let text = read.cedar;
    let checked = tools::check(
        SCHEMA,
        &[Source {
            name: "a.yaml",
            text: &text,
        }],
    );
    let places: Vec<_> = checked
        .errors
        .iter()
        .map(|error| error.place.as_ref().map(|place| (place.line, place.column)))
        .collect();
    assert_eq!(places, [Some((15, 23)), Some((18, 34))], "{text}");
    let fine = tools::cedar_of_yaml(
        "a.yaml",
        &DOCUMENTS
            .replace("principle", "principal")
            .replace("axion", "action"),
    );
    let compiled = tools::check(SCHEMA, &[source(&fine.cedar)])
        .compiled
        .unwrap();
    let lines: Vec<_> = compiled
        .policies
        .iter()
        .map(|place| (place.line, place.column))
        .collect();
    assert_eq!(lines, [(11, 5), (15, 16), (18, 16)]);
}

#[test]
fn a_document_without_a_policy_hides_no_other() {
    let text = format!(
        "kind: Policy\nspec: {{}}\n---\n{DOCUMENTS}---\nkind: Policy\nspec: {{cedar: []}}\n"
    );
    let read = tools::cedar_of_yaml("a.yaml", &text);
    let told: Vec<String> = read.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "a.yaml:1:1: `spec.cedar` is missing",
            "a.yaml:24:15: has to be a string"
        ]
    );
    let checked = tools::check(SCHEMA, &[source(&read.cedar)]);
    let lines: Vec<_> = checked
        .errors
        .iter()
        .map(|error| error.place.as_ref().unwrap().line)
        .collect();
    assert_eq!(lines, [18, 21]);
    let broken = tools::cedar_of_yaml("a.yaml", "a: [1\n");
    assert!(
        broken.errors.len() == 1 && broken.cedar.is_empty(),
        "{broken:?}"
    );
}

#[test]
fn of_a_long_line_the_part_around_the_error_is_shown() {
    let fine = "permit(principal, action, resource); ".repeat(500);
    for (text, shown) in [
        (format!("{fine}permit(princ);{fine}"), "…"),
        (format!("permit(princ);{fine}"), "permit(princ);"),
    ] {
        let checked = tools::check(SCHEMA, &[source(&text)]);
        let told = tools::show(&checked.errors, &[source(&text)]);
        let lines: Vec<&str> = told.lines().collect();
        let [_, _, line, marks, ..] = lines.as_slice() else {
            panic!("{told}")
        };
        assert!(
            line.starts_with(&format!("1 | {shown}")) && line.ends_with('…'),
            "{told}"
        );
        assert!(line.chars().count() < 250, "{told}");
        let at = marks.chars().position(|c| c == '^').unwrap();
        let meant: String = line.chars().skip(at).take(5).collect();
        assert_eq!(meant, "princ", "{told}");
    }
    // As many policies as it likes on one line do not make the lines shown longer than their number.
    let text = ";".repeat(5_000);
    let checked = tools::check(SCHEMA, &[source(&text)]);
    assert_eq!(checked.errors.len(), 5_000);
    assert!(tools::show(&checked.errors, &[source(&text)]).len() < 1_000_000);
}

#[test]
fn nothing_in_a_policy_acts_on_a_terminal() {
    let name = "\\u{1b}[31mred\\u{7}\u{202e}der\\n";
    let text = format!(
        "@id(\"{name}\") permit(principal, action, resource) when {{ context.prt == \"\u{1b}[2J\" }};"
    );
    let plain = |text: &str| {
        let acts =
            |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!text.chars().any(acts), "{text:?}");
        assert!(text.contains("?[31mred"), "{text:?}");
    };
    let checked = tools::check(SCHEMA, &[source(&text)]);
    plain(&tools::show(&checked.errors, &[source(&text)]));
    let text = text.replace("prt == \"\u{1b}[2J\"", "port == 1");
    let policies = Policies::compile(SCHEMA, &[source(&text)]).unwrap();
    for port in [1, 2] {
        let question = read("Service::\"db\"", &format!("{{\"port\": {port}}}")).unwrap();
        plain(&policies.explain(&question).unwrap().to_string());
    }
}

const TESTS: &str = "\
apiVersion: tidelock.dev/v1
kind: PolicyTest
metadata: {name: shop}
spec:
  cases:
  - name: the shop reaches its database
    request:
      principal: Workload::\"spiffe://example.org/shop/web\"
      action: connect
      resource: Service::\"db\"
      context: {port: 5432, clientAddress: 10.0.0.1}
    expect: {decision: allow, policies: [web to db]}
  - request:
      principal: Workload::\"spiffe://example.org/other\"
      action: Action::\"connect\"
      resource: Service::\"print\"
      context: {port: 631}
    expect: {decision: deny}
";

#[test]
fn tests_tell_each_answer_that_is_not_the_expected_one() {
    let policies = Policies::compile(SCHEMA, &[source(POLICY)]).unwrap();
    let cases = tools::read_tests("t.yaml", TESTS, &facts()).unwrap();
    let tested = tools::run_tests(&policies, &cases).unwrap();
    assert_eq!(tested[0].wrong, [""; 0]);
    assert_eq!(tested[1].wrong, ["expected deny, got allow by `office`"]);
    assert_eq!(
        (cases[1].line, cases[1].name.as_str()),
        (
            13,
            "Workload::\"spiffe://example.org/other\" Action::\"connect\" Service::\"print\""
        )
    );
    let other = TESTS.replace("[web to db]", "[office, web to db]");
    let cases = tools::read_tests("t.yaml", &other, &facts()).unwrap();
    let tested = tools::run_tests(&policies, &cases).unwrap();
    assert_eq!(
        tested[0].wrong,
        ["expected to be decided by `office`, `web to db`, was by `web to db`"]
    );
}

#[test]
fn a_test_file_with_anything_unknown_in_it_is_refused_by_line() {
    for (from, to, expected) in [
        (
            "  cases:",
            "  csaes:",
            "t.yaml:5:3: `csaes` is not a known field; known are entities, cases",
        ),
        (
            "      action: connect",
            "      verb: connect",
            "t.yaml:9:7: `verb` is not a known field",
        ),
        (
            "decision: deny",
            "decision: maybe",
            "t.yaml:18:24: `maybe` is neither `allow` nor `deny`",
        ),
        (
            "    expect: {decision: deny}\n",
            "",
            "t.yaml:13:5: `expect` is missing",
        ),
        (
            "v1\n",
            "v9\n",
            "t.yaml:1:13: `apiVersion` is `tidelock.dev/v9`",
        ),
        ("port: 631", "port: \"631\"", "t.yaml:14:7: context: "),
        ("kind: PolicyTest", "kind: &x PolicyTest", "t.yaml:2:"),
        (
            "metadata: {",
            "metadata: !!map {",
            "t.yaml:3:11: tags are not supported",
        ),
        ("metadata:", "kind:", "t.yaml:3:1: `kind` is given twice"),
    ] {
        assert!(TESTS.contains(from), "{from}");
        let errors = tools::read_tests("t.yaml", &TESTS.replace(from, to), &facts()).unwrap_err();
        let first = errors[0].to_string();
        assert!(first.starts_with(expected), "{to}: {first}");
    }
    assert!(tools::read_tests("t.yaml", "", &facts()).is_err());
}
