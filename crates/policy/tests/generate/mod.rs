//! Random policies of the subset, entities and requests, dense enough to meet one another.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

/// A policy set and what is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    policies: Vec<String>,
    pub(crate) questions: Vec<Question>,
}

impl Case {
    /// The policy set as Cedar text; every third policy has an `@id`.
    pub(crate) fn text(&self) -> String {
        let name = |at: usize| {
            if at.is_multiple_of(3) {
                format!("@id(\"named {at}\")\n")
            } else {
                String::new()
            }
        };
        self.policies
            .iter()
            .enumerate()
            .map(|(at, policy)| format!("{}{policy}\n", name(at)))
            .collect()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) principal: Being,
    pub(crate) action: &'static str,
    pub(crate) resource: Being,
    pub(crate) port: Port,
}

/// An entity with ancestors.
#[derive(Clone, Debug)]
pub(crate) struct Being {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) ancestors: Vec<(String, String)>,
}

/// What the context says of the port. Only a number is valid by the schema; the others make conditions fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Port {
    Missing,
    Text,
    Number(i64),
}

const WORKLOADS: [&str; 8] = [
    "spiffe://a",
    "spiffe://a/x",
    "spiffe://a/x/1",
    "spiffe://a/x/2",
    "spiffe://a/y",
    "spiffe://b",
    "spiffe://b/x",
    "spiffe://b/x/1",
];
const DOMAINS: [&str; 2] = ["a", "b"];
const SERVICES: [&str; 3] = ["db", "web", "q\"uo\\te é"];
const LITERALS: [i64; 9] = [0, 1, 2, 3, 4, -1, 5_000_000_000, i64::MAX, i64::MIN];

/// A Cedar string literal.
fn quoted(id: &str) -> String {
    format!("\"{}\"", id.replace('\\', "\\\\").replace('"', "\\\""))
}

fn principal_name() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => select(&WORKLOADS).prop_map(|id| format!("Workload::{}", quoted(id))),
        1 => select(&DOMAINS).prop_map(|id| format!("TrustDomain::{}", quoted(id))),
    ]
}

fn service_name() -> impl Strategy<Value = String> {
    select(&SERVICES).prop_map(|id| format!("Service::{}", quoted(id)))
}

fn scope(
    variable: &'static str,
    kinds: &'static [&'static str],
    name: impl Strategy<Value = String> + Clone + 'static,
) -> impl Strategy<Value = String> {
    prop_oneof![
        12 => Just(String::from(variable)),
        2 => select(kinds).prop_map(move |kind| format!("{variable} is {kind}")),
        1 => name.clone().prop_map(move |name| format!("{variable} == {name}")),
        3 => name.clone().prop_map(move |name| format!("{variable} in {name}")),
        2 => (select(kinds), name)
            .prop_map(move |(kind, name)| format!("{variable} is {kind} in {name}")),
    ]
}

fn action() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => Just("action"),
        2 => Just("action == Action::\"connect\""),
        1 => Just("action == Action::\"listen\""),
        1 => Just("action in Action::\"connect\""),
        1 => Just("action in [Action::\"listen\"]"),
        2 => Just("action in [Action::\"connect\", Action::\"listen\"]"),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(String::from("context.port")),
        2 => select(&LITERALS).prop_map(|value| value.to_string()),
    ]
}

/// A condition that always has a truth value if `context.port` is a number.
fn condition() -> impl Strategy<Value = String> {
    let comparison = (
        number(),
        select(vec!["==", "!=", "<", "<=", ">", ">="]),
        number(),
    )
        .prop_map(|(a, op, b)| format!("{a} {op} {b}"));
    let member = (vec(select(&LITERALS), 1..5), number())
        .prop_map(|(set, member)| format!("{set:?}.contains({member})"));
    let leaf = prop_oneof![
        8 => comparison,
        4 => member,
        1 => Just(String::from("true")),
        1 => Just(String::from("false")),
    ];
    leaf.prop_recursive(4, 12, 4, |inner| {
        let chain = |op: &'static str| {
            let inner = inner.clone();
            vec(inner.prop_map(|term| format!("({term})")), 2..4).prop_map(move |terms| terms.join(op))
        };
        prop_oneof![
            3 => chain(" && "),
            3 => chain(" || "),
            // Without brackets, as precedence has it.
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("true && ({a}) || ({b})")),
            2 => inner.clone().prop_map(|term| format!("!({term})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) == ({b})")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) != ({b})")),
        ]
    })
}

fn policy() -> impl Strategy<Value = String> {
    let effect = prop_oneof![7 => Just("permit"), 1 => Just("forbid")];
    let principal = scope(
        "principal",
        &["Workload", "TrustDomain"],
        principal_name().boxed(),
    );
    let resource = scope("resource", &["Service", "Workload"], service_name().boxed());
    let clause = (select(vec!["when", "unless"]), condition())
        .prop_map(|(word, condition)| format!(" {word} {{ {condition} }}"))
        .boxed();
    let clauses = prop_oneof![
        2 => Just(vec![]),
        5 => vec(clause.clone(), 1),
        1 => vec(clause, 2..4),
    ];
    (effect, principal, action(), resource, clauses).prop_map(
        |(effect, principal, action, resource, clauses)| {
            format!(
                "{effect}({principal}, {action}, {resource}){};",
                clauses.concat()
            )
        },
    )
}

/// A workload in what it is in by the meaning of SPIFFE IDs, or in anything at all, or a stranger.
fn principal() -> impl Strategy<Value = Being> {
    let prefixes = |id: &'static str| {
        let path = id.strip_prefix("spiffe://").unwrap();
        let cuts = path.match_indices('/').map(|(at, _)| &path[..at]);
        let mut names: Vec<(String, String)> = cuts
            .map(|cut| ("Workload".into(), format!("spiffe://{cut}")))
            .collect();
        names.push(("TrustDomain".into(), path.split('/').next().unwrap().into()));
        Being {
            kind: "Workload".into(),
            id: id.into(),
            ancestors: names,
        }
    };
    let random = (
        select(&WORKLOADS),
        vec(select(&WORKLOADS), 0..6),
        weighted(0.5, select(&DOMAINS)),
    )
        .prop_map(|(id, workloads, domain)| {
            let workloads = workloads.into_iter().filter(|&name| name != id);
            let mut names: Vec<(String, String)> =
                workloads.map(|id| ("Workload".into(), id.into())).collect();
            names.extend(domain.map(|id| ("TrustDomain".into(), id.into())));
            Being {
                kind: "Workload".into(),
                id: id.into(),
                ancestors: names,
            }
        });
    let stranger = select(vec!["Workload", "TrustDomain", "Service"]).prop_map(|kind| Being {
        kind: kind.into(),
        id: "spiffe://c/z".into(),
        ancestors: vec![],
    });
    prop_oneof![6 => select(&WORKLOADS).prop_map(prefixes), 2 => random, 1 => stranger]
}

fn resource() -> impl Strategy<Value = Being> {
    let service = (select(&SERVICES), vec(select(&SERVICES), 0..2)).prop_map(|(id, groups)| {
        let groups = groups.into_iter().filter(|&group| group != id);
        let ancestors = groups.map(|id| ("Service".into(), id.into())).collect();
        Being {
            kind: "Service".into(),
            id: id.into(),
            ancestors,
        }
    });
    let stranger = select(vec!["Workload", "Service"]).prop_map(|kind| Being {
        kind: kind.into(),
        id: "unheard of".into(),
        ancestors: vec![],
    });
    prop_oneof![8 => service, 1 => stranger]
}

fn question() -> impl Strategy<Value = Question> {
    let port = prop_oneof![
        8 => (0..5i64).prop_map(Port::Number),
        1 => select(&LITERALS).prop_map(Port::Number),
        2 => Just(Port::Missing),
        2 => Just(Port::Text),
    ];
    let action = prop_oneof![6 => Just("connect"), 2 => Just("listen"), 1 => Just("fly")];
    (principal(), action, resource(), port).prop_map(|(principal, action, resource, port)| {
        Question {
            principal,
            action,
            resource,
            port,
        }
    })
}

/// Mostly a few policies; now and then more than a decision names.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    let few = (vec(policy(), 0..10), vec(question(), 8));
    let many = (vec(policy(), 60..120), vec(question(), 8));
    prop_oneof![12 => few, 1 => many].prop_map(|(policies, questions)| Case {
        policies,
        questions,
    })
}
