//! What is told of a decision, beside what Cedar answers: the policies that are said to count are those that determine, and
//! as many cannot be evaluated.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use tidelock_policy::tools::{Facts, Policies, Question, Standing, Written};
use tidelock_policy::{Effect, Outcome, Source};

use crate::generate::{Case, Datum};
use crate::oracle::Oracle;
use crate::reach::Reach;
use crate::{CASE_BYTES, body};

const CASES: u32 = 300;

fn value(datum: &Datum) -> Value {
    let extension = |name: &str, arg: &str| json!({"__extn": {"fn": name, "arg": arg}});
    match datum {
        Datum::Bool(value) => json!(value),
        Datum::Long(value) => json!(value),
        Datum::Str(value) => json!(value),
        Datum::Entity(kind, id) => json!({"__entity": {"type": kind, "id": id}}),
        Datum::Ip(text, _) => extension("ip", text),
        Datum::Decimal(text, _) => extension("decimal", text),
        Datum::Datetime(text, _) => extension("datetime", text),
        Datum::Duration(text, _) => extension("duration", text),
        Datum::Set(members) => members.iter().map(value).collect(),
        Datum::Record(fields) => record(fields),
    }
}

fn record(fields: &[(&'static str, Datum)]) -> Value {
    let field = |(name, datum): &(&str, Datum)| ((*name).to_string(), value(datum));
    Value::Object(fields.iter().map(field).collect())
}

fn entities(case: &Case) -> String {
    let name = |(kind, id): &(&str, &str)| json!({"type": kind, "id": id});
    let being = case.beings.iter().map(|being| {
        json!({
            "uid": name(&(being.kind, being.id)),
            "attrs": record(&being.attributes),
            "tags": record(&being.tags),
            "parents": being.ancestors.iter().map(name).collect::<Vec<_>>(),
        })
    });
    being.collect::<Value>().to_string()
}

/// How many questions were asked, how many of them by policies that cannot be evaluated.
type Told = (u32, u32);

fn run(mut case: Case, told: &mut Told) -> Result<(), TestCaseError> {
    case.links.clear();
    let schema_text = case.schema.text();
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(&schema_text).unwrap();
    let (_, text) = body::compiled(&case, &schema_text, &mut Reach::default());
    let source = Source {
        name: "generated",
        text: &text,
    };
    let policies = Policies::compile(&schema_text, &[source]).unwrap();
    let (oracle, entities) = (Oracle::new(&case, &schema, &text), entities(&case));
    let facts = Facts {
        entities: &entities,
        ..Facts::new(&schema_text)
    };
    for question in &case.questions {
        let written = Written {
            principal: &format!("User::\"{}\"", question.principal),
            action: question.action,
            resource: &format!("Doc::\"{}\"", question.resource),
            context: &record(&question.context).to_string(),
        };
        // One in five has a context that the schema does not have.
        let Ok(asked) = Question::read(&facts, &written) else {
            continue;
        };
        let (expected, found) = (oracle.ask(question), policies.explain(&asked).unwrap());
        let effect = match expected.outcome {
            Outcome::Forbidden => Effect::Forbid,
            _ => Effect::Permit,
        };
        let counting: BTreeSet<String> = found
            .counting(effect)
            .map(|account| account.place.policy.clone())
            .collect();
        let unevaluable = |standing: &Standing| matches!(standing, Standing::Unevaluable(_));
        let failed = found.accounts.iter().filter(|of| unevaluable(&of.standing));
        let failed = failed.count();
        let determining: BTreeSet<String> = found.determining.iter().cloned().collect();
        prop_assert!(
            found.outcome == expected.outcome
                && counting == expected.determining
                && determining == expected.determining
                && failed == expected.errors,
            "{schema_text}\n{text}\n{question:#?}\nCedar: {expected:#?}\n{found:#?}"
        );
        told.0 += 1;
        told.1 += u32::from(failed > 0);
    }
    Ok(())
}

#[test]
fn an_explanation_names_the_policies_that_cedar_names() {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"tidelock policy explanations #01");
    let told = std::cell::RefCell::new((0, 0));
    let result = TestRunner::new_with_rng(config, rng)
        .run(&vec(any::<u8>(), CASE_BYTES), |bytes| {
            run(Case::of(&bytes), &mut told.borrow_mut())
        });
    if let Err(error) = result {
        panic!("{error}");
    }
    let (asked, failed) = told.into_inner();
    assert!(asked > CASES * 4, "{asked} questions are too few");
    assert!(
        failed > 50,
        "{failed} with policies that cannot be evaluated are too few"
    );
}
