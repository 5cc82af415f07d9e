//! Cedar's parser recurses and aborts where its stack ends. Whatever compiles or is refused must do so on the stack of an
//! ordinary thread: each case runs on one of 2 MiB, in a debug build too.
#![cfg(feature = "compile")]

use std::thread;

use tidelock_policy::compile::Reason;
use tidelock_policy::compile::bounds::{
    MAX_NESTING, MAX_OPERATORS, MAX_POLICIES, MAX_POLICY_BYTES, MAX_SOURCE_BYTES,
};
use tidelock_policy::{CompileError, Source, compile};

const STACK_BYTES: usize = 2 * 1024 * 1024;

/// The number of policies compiled, or the first reason for refusal, on a small stack.
fn on_small_stack(text: String) -> Result<usize, Reason> {
    let run = move || {
        let compiled = compile(&[Source {
            name: "deep",
            text: &text,
        }]);
        compiled.map(|compiled| compiled.policies.len())
    };
    let errors = thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
    errors.map_err(|errors: Vec<CompileError>| errors.into_iter().next().unwrap().reason)
}

fn when(condition: &str) -> String {
    format!("permit(principal, action, resource) when {{ {condition} }};")
}

/// A name, and what makes a condition of that size.
type Shape = (&'static str, fn(usize) -> String);

/// Things that nest, by how often.
fn nested() -> [Shape; 8] {
    [
        ("parentheses", |n| {
            format!("{}true{}", "(".repeat(n), ")".repeat(n))
        }),
        ("negated parentheses", |n| {
            format!("{}true{}", "!(".repeat(n), ")".repeat(n))
        }),
        ("mixed", |n| {
            format!("{}true{}", "(true && ".repeat(n), ")".repeat(n))
        }),
        ("comparisons", |n| {
            format!("{}true{}", "(true == ".repeat(n), ")".repeat(n))
        }),
        ("sets", |n| {
            format!("{}1{}.contains(1)", "[".repeat(n), "]".repeat(n))
        }),
        ("records", |n| {
            format!("{}1{} == 1", "{a:".repeat(n), "}".repeat(n))
        }),
        ("calls", |n| {
            format!("{}true{}", "[1].contains(".repeat(n), ")".repeat(n))
        }),
        ("ifs", |n| {
            format!(
                "{}true{}",
                "if (".repeat(n),
                ") then true else false".repeat(n)
            )
        }),
    ]
}

/// Things that repeat, by how often.
fn repeated() -> [Shape; 9] {
    [
        ("||", |n| vec!["true"; n].join(" || ")),
        ("&&", |n| vec!["true"; n].join(" && ")),
        ("+", |n| format!("{} == 1", vec!["1"; n].join(" + "))),
        ("*", |n| format!("{} == 1", vec!["1"; n].join(" * "))),
        ("!", |n| format!("{}true", "!".repeat(n))),
        ("-", |n| format!("{}1 == 1", "-".repeat(n))),
        (".", |n| format!("context{} == 1", ".port".repeat(n))),
        ("when", |n| vec!["true"; n].join(" } when { ")),
        ("else if", |n| {
            format!("{} true", "if true then true else".repeat(n))
        }),
    ]
}

#[test]
fn nesting_up_to_the_bound_never_overflows_the_stack() {
    for (name, nest) in nested() {
        for depth in [MAX_NESTING / 2 - 1, MAX_NESTING - 1, MAX_NESTING, 10_000] {
            let result = on_small_stack(when(&nest(depth)));
            assert!(depth < MAX_NESTING || result.is_err(), "{name} {depth}");
        }
    }
}

#[test]
fn nesting_past_the_bound_is_refused() {
    for (name, nest) in nested() {
        let result = on_small_stack(when(&nest(MAX_NESTING)));
        assert_eq!(result, Err(Reason::TooDeep), "{name}");
    }
    assert_eq!(on_small_stack(when(&nested()[0].1(MAX_NESTING - 1))), Ok(1));
}

#[test]
fn operators_up_to_the_bound_never_overflow_the_stack() {
    for (name, repeat) in repeated() {
        for count in [MAX_OPERATORS / 3, MAX_OPERATORS, MAX_OPERATORS + 1, 20_000] {
            let result = on_small_stack(when(&repeat(count)));
            assert!(
                count <= MAX_OPERATORS + 1 || result.is_err(),
                "{name} {count}"
            );
        }
    }
}

#[test]
fn operators_past_the_bound_are_refused() {
    let chain = |count| on_small_stack(when(&vec!["true"; count].join(" || ")));
    assert_eq!(
        chain(MAX_OPERATORS + 1),
        Err(Reason::TooManyOperators {
            count: MAX_OPERATORS + 1
        })
    );
    assert_eq!(chain(MAX_OPERATORS), Ok(1));
    let ports = vec!["context.port == 1"; MAX_OPERATORS].join(" || ");
    assert_eq!(on_small_stack(when(&ports)), Ok(1));
}

#[test]
fn deep_brackets_at_every_operator_stay_within_the_stack() {
    // The dearest text within both bounds: long chains at every depth.
    let mut text = String::from("true");
    let each = MAX_OPERATORS / MAX_NESTING - 1;
    for _ in 0..MAX_NESTING - 1 {
        text = format!("({}{text})", "true && ".repeat(each));
    }
    assert!(on_small_stack(when(&text)).is_ok());
}

#[test]
fn a_long_policy_is_refused() {
    let text = format!(
        "// start\npermit(principal, action, resource /*{}",
        "x".repeat(MAX_POLICY_BYTES)
    );
    assert!(matches!(
        on_small_stack(text),
        Err(Reason::PolicyTooLong { .. })
    ));
}

#[test]
fn too_many_policies_and_too_long_sources_are_refused_unparsed() {
    let many = on_small_stack(";".repeat(MAX_POLICIES + 1));
    assert_eq!(
        many,
        Err(Reason::TooManyPolicies {
            count: MAX_POLICIES + 1
        })
    );
    let long = on_small_stack(" ".repeat(MAX_SOURCE_BYTES + 1));
    assert_eq!(
        long,
        Err(Reason::SourceTooLong {
            len: MAX_SOURCE_BYTES + 1
        })
    );
}
