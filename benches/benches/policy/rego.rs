//! The same policies in Rego, a rule for each, and `regorus` to evaluate them.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};
use regorus::{Engine, Value};

use crate::PORT;

const DEFAULT: &str = "package p\n\ndefault allow := false\n";
/// Rules of a file: it reads none of more than a mebibyte.
const RULES_PER_FILE: usize = 1_000;

fn rules(count: usize, rule: impl Fn(usize) -> String) -> Vec<String> {
    let rules: Vec<String> = (0..count)
        .map(|n| format!("allow if {{\n{}\n}}\n", rule(n)))
        .collect();
    let files = rules.chunks(RULES_PER_FILE);
    let files = files.map(|rules| format!("package p\n\n{}", rules.concat()));
    std::iter::once(DEFAULT.into()).chain(files).collect()
}

fn shop(count: usize) -> Vec<String> {
    rules(count, |n| {
        format!(
            "input.principal == \"spiffe://example.org/shop/team/w{n}\"\ninput.action == \"connect\"\n\
             input.resource == \"db\"\ninput.context.port == {PORT}"
        )
    })
}

fn unscoped(count: usize) -> Vec<String> {
    rules(count, |n| format!("input.context.port == {}", n + 1))
}

fn not_by_port(count: usize) -> Vec<String> {
    rules(count, |n| {
        format!("input.context.port < {}\ninput.context.port > {n}", n + 2)
    })
}

fn all_match(count: usize) -> Vec<String> {
    rules(count, |_| "input.action == \"connect\"".into())
}

/// The policies of that name.
pub(crate) fn policies(name: &str, count: usize) -> Vec<String> {
    match name {
        "shop" => shop(count),
        "unscoped" => unscoped(count),
        "not by port" => not_by_port(count),
        _ => all_match(count),
    }
}

/// Parsing and preparing is done before; setting the input is part of a decision, as it is of the others'.
pub(crate) fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    count: usize,
    files: &[String],
    principal: &str,
) {
    let mut engine = Engine::new();
    for (at, file) in files.iter().enumerate() {
        engine
            .add_policy(format!("{at}.rego"), file.clone())
            .unwrap();
    }
    let input = Value::from_json_str(&format!(
        "{{\"principal\": \"{principal}\", \"action\": \"connect\", \"resource\": \"db\", \
          \"context\": {{\"port\": {PORT}}}}}"
    ))
    .unwrap();
    let mut ask = move || {
        engine.set_input(black_box(input.clone()));
        engine.eval_rule("data.p.allow".into()).unwrap()
    };
    assert_eq!(ask(), Value::from(true));
    let id = BenchmarkId::new("regorus", count);
    group.bench_function(id, |b| b.iter(&mut ask));
}
