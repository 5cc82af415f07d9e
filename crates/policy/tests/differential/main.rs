//! The `cedar-policy` authorizer as the oracle: random schemas, policies, templates, entities and requests get the same
//! decision from it and from the image, by the same determining policies. There is one difference, and it is on purpose: a
//! `forbid` that cannot be evaluated denies, where Cedar skips it.
//!
//! `TIDELOCK_POLICY_CASES` is the number of requests, eight to a policy set; given, the seed is another each time.
#![cfg(feature = "compile")]

mod generate;
mod mutation;
mod oracle;
mod ours;
mod reach;

use std::cell::RefCell;
use std::collections::BTreeSet;

use generate::Case;
use mutation::MUTATIONS;
use oracle::Oracle;
use ours::Asked;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reach::Reach;
use tidelock_policy::bounds::MAX_DETERMINING;
use tidelock_policy::compile::{Compiled, Link, Reason, compile_linked};
use tidelock_policy::{EntityRef, Image, Source};

const DEFAULT_CASES: u32 = 20_000;
/// Requests to a policy set.
const QUESTIONS: u32 = 8;
/// Bytes that a case is drawn from.
const CASE_BYTES: usize = 3000;

/// Compiles a case, leaving out what is refused. Returns the text that was left, too.
fn compiled(case: &Case, schema: &str, reach: &mut Reach) -> (Compiled, String) {
    let mut left_out: BTreeSet<String> = BTreeSet::new();
    loop {
        let text = case.text(&|name| left_out.contains(name));
        let links: Vec<Link<'_>> = case
            .links
            .iter()
            .filter(|link| !left_out.contains(&link.template))
            .map(|link| Link {
                template: &link.template,
                name: &link.name,
                principal: link.principal.map(|(kind, id)| EntityRef::new(kind, id)),
                resource: link.resource.map(|(kind, id)| EntityRef::new(kind, id)),
            })
            .collect();
        let source = Source {
            name: "generated",
            text: &text,
        };
        match compile_linked(schema, &[source], &links) {
            Ok(compiled) => {
                reach.links += u32::try_from(links.len()).unwrap();
                return (compiled, text);
            }
            Err(errors) => {
                let before = left_out.len();
                for error in errors {
                    let named = error.place.map(|place| place.policy);
                    let names: Vec<String> = match named {
                        Some(link) if link.starts_with("link") => case
                            .links
                            .iter()
                            .filter(|one| one.name == link)
                            .map(|one| one.template.clone())
                            .collect(),
                        Some(name) => vec![name],
                        None => case.policies.iter().map(|one| one.name.clone()).collect(),
                    };
                    for name in names {
                        if left_out.insert(name) {
                            let invalid =
                                matches!(error.reason, Reason::Invalid(_) | Reason::Syntax(_));
                            *(if invalid {
                                &mut reach.invalid
                            } else {
                                &mut reach.refused
                            }) += 1;
                            let reason = error.reason.to_string();
                            let reason = reason.chars().take(60).collect();
                            *reach.reasons.entry(reason).or_default() += 1;
                        }
                    }
                }
                assert!(left_out.len() > before, "an error of no policy: {text}");
            }
        }
    }
}

fn run(case: &Case, reach: &mut Reach) -> Result<(), TestCaseError> {
    let schema_text = case.schema.text();
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(&schema_text).unwrap();
    reach.sets += 1;
    reach.policies += u32::try_from(case.policies.len()).unwrap();
    let (compiled, text) = compiled(case, &schema_text, reach);
    reach.note_code(&compiled.image);
    let image = Image::check(&compiled.image).unwrap();
    let (oracle, asked) = (Oracle::new(case, &schema, &text), Asked::new(case));
    let mut answers = Vec::new();
    for (at, question) in case.questions.iter().enumerate() {
        let expected = oracle.ask(question);
        let (found, count) = asked.ask(&image, at, true);
        let agree = if expected.determining.len() <= MAX_DETERMINING {
            found == expected && count == expected.determining.len()
        } else {
            found.outcome == expected.outcome
                && found.errors == expected.errors
                && found.determining.is_subset(&expected.determining)
                && found.determining.len() == MAX_DETERMINING
                && count == expected.determining.len()
        };
        prop_assert!(
            agree,
            "{schema_text}\n{text}\n{question:#?}\n{:#?}\nCedar: {expected:#?}\nimage: {found:#?}",
            case.beings
        );
        reach.note(&expected, count);
        answers.push((found, count));
    }
    for &(code, _, change) in MUTATIONS {
        if reach.noticed.contains(&code) {
            continue;
        }
        if let Some(changed) = mutation::mutated(&compiled.image, code, change) {
            let changed = Image::reopen(&changed).unwrap();
            let differs = answers
                .iter()
                .enumerate()
                .any(|(at, answer)| asked.ask(&changed, at, false) != *answer);
            if differs {
                reach.noticed.insert(code);
            }
        }
    }
    Ok(())
}

#[test]
fn the_image_decides_as_cedar_does() {
    let cases: Option<u32> = std::env::var("TIDELOCK_POLICY_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: cases.unwrap_or(DEFAULT_CASES).div_ceil(QUESTIONS),
        failure_persistence: None,
        ..Config::default()
    };
    let seed: [u8; 32] = match cases {
        None => *b"tidelock policy differential #02",
        Some(_) => random_seed(),
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let reach = RefCell::new(Reach::default());
    let strategy = vec(any::<u8>(), CASE_BYTES);
    let result = TestRunner::new_with_rng(config, rng).run(&strategy, |bytes| {
        run(&Case::of(&bytes), &mut reach.borrow_mut())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    reach.into_inner().assert_wide();
}

/// Long runs take another seed each time.
fn random_seed() -> [u8; 32] {
    use std::hash::{BuildHasher, RandomState};
    let seed = RandomState::new().hash_one("seed");
    println!("seed {seed:#x}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}
